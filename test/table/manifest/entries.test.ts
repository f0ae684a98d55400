/** What entries take over from their manifest, and manifests that are not what their list says. */
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { pickEntries, type ResolvedEntry, readEntries, resolveEntry } from '../../../table/manifest/entries.ts'
import { writeManifest } from '../../../table/manifest/manifest.ts'
import type { ManifestEntry } from '../../../table/manifest/manifest-entry.ts'
import { describeManifest, type ManifestFile } from '../../../table/manifest/manifest-list.ts'
import type { TableMetadata } from '../../../table/spec/metadata.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { Table } from '../../../table/table.ts'
import { eventsTable, freshStore } from '../support.ts'

const SPEC: PartitionSpec = { specId: 0, fields: [{ sourceId: 3, fieldId: 1000, name: 'n', transform: 'identity' }] }

const file = (partition: DataFile['partition']): DataFile => ({
  content: 'data',
  filePath: 's3://b/t/data/1.parquet',
  fileFormat: 'PARQUET',
  specId: 0,
  partition,
  recordCount: 7,
  fileSizeBytes: 70,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
})
const entry = (over: Partial<ManifestEntry> = {}): ManifestEntry => ({
  status: 'added',
  snapshotId: undefined,
  sequenceNumber: undefined,
  fileSequenceNumber: undefined,
  dataFile: file([5]),
  ...over,
})
const own = { snapshotId: snapshotId(77n), sequenceNumber: 3, fileSequenceNumber: 2 }
const manifest = { manifestPath: 'm.avro', addedSnapshotId: snapshotId(9n), sequenceNumber: 12 } as ManifestFile

describe('inheritance', () => {
  test('an added entry takes snapshot and sequence numbers of its manifest, where it has none', () => {
    expect(resolveEntry(entry(), manifest)).toMatchObject({
      snapshotId: 9n,
      sequenceNumber: 12,
      fileSequenceNumber: 12,
      manifestPath: 'm.avro',
    })
    expect(resolveEntry(entry(own), manifest)).toMatchObject(own)
  })

  test.each(['existing', 'deleted'] as const)('an %s entry takes no sequence number', (status) => {
    expect(resolveEntry(entry({ ...own, status }), manifest)).toMatchObject(own)
    expect(() => resolveEntry(entry({ ...own, status, sequenceNumber: undefined }), manifest)).toThrow(
      expect.objectContaining({ code: 'FIRN_AVRO_CORRUPT' }),
    )
  })

  test('in manifests of format version 1 every entry has sequence number 0', () => {
    const old = { ...manifest, sequenceNumber: 0 }
    expect(resolveEntry(entry({ status: 'existing' }), old)).toMatchObject({ sequenceNumber: 0, fileSequenceNumber: 0 })
  })
})

describe('manifests of a table', () => {
  /** A table whose only manifest was written when its schema was `then`. */
  async function written(then: Schema, value: number | bigint): Promise<{ table: Table; list: ManifestFile }> {
    const { table } = await eventsTable(freshStore())
    const entries = [entry({ dataFile: file([value]) })]
    const bytes = await writeManifest(entries, SPEC, then)
    await table.store.put('metadata/m.avro', bytes)
    const path = `${table.location}/metadata/m.avro`
    const added = { snapshotId: snapshotId(9n), sequenceNumber: 1 }
    return { table, list: describeManifest(path, bytes.length, entries, SPEC, then, added) }
  }
  const schemaOf = (table: Table): Schema => table.metadata.schemas[0]!
  const withSchema = (table: Table, fields: Schema['fields']): TableMetadata => ({
    ...table.metadata,
    partitionSpecs: [SPEC],
    schemas: [{ ...schemaOf(table), fields }],
  })
  const readAll = async (table: Table, metadata: TableMetadata, list: ManifestFile): Promise<ResolvedEntry[]> => {
    const entries: ResolvedEntry[] = []
    for await (const some of readEntries(table.store, metadata, [list])) entries.push(...some)
    return entries
  }
  const N = { id: 3, name: 'n', required: false } as const

  test('have partition values of the type that the column has now', async () => {
    const { table, list } = await written({ schemaId: 0, identifierFieldIds: [], fields: [{ ...N, type: 'int' }] }, 5)
    const [asInt] = await readAll(table, withSchema(table, [{ ...N, type: 'int' }]), list)
    const [asLong] = await readAll(table, withSchema(table, [{ ...N, type: 'long' }]), list)
    expect([asInt!.dataFile.partition, asLong!.dataFile.partition]).toEqual([[5], [5n]])
  })

  test('are picked one by one, manifest after manifest; an error of the pick is not taken for damage', async () => {
    const { table, list } = await written({ schemaId: 0, identifierFieldIds: [], fields: [{ ...N, type: 'int' }] }, 5)
    const metadata = withSchema(table, [{ ...N, type: 'int' }])
    const pick = async (of: (entry: ResolvedEntry) => string | undefined): Promise<readonly (readonly string[])[]> => {
      const all: (readonly string[])[] = []
      for await (const some of pickEntries(table.store, metadata, [list, list], of)) all.push(some)
      return all
    }
    expect(await pick(({ dataFile }) => dataFile.filePath)).toEqual([
      ['s3://b/t/data/1.parquet'],
      ['s3://b/t/data/1.parquet'],
    ])
    expect(await pick(() => undefined)).toEqual([[], []])
    const refusal = new FirnError('invalid', 'FIRN_DELETES_UNSUPPORTED', 'not this one')
    const refuse = (): never => {
      throw refusal
    }
    await expect(pick(refuse)).rejects.toBe(refusal)
  })

  test('keep them when the source column was dropped', async () => {
    const { table, list } = await written({ schemaId: 0, identifierFieldIds: [], fields: [{ ...N, type: 'long' }] }, 5n)
    const other = { id: 1, name: 'id', required: true, type: 'string' } as const
    const [found] = await readAll(table, withSchema(table, [other]), list)
    expect(found!.dataFile.partition).toEqual([5n])
  })

  test('are refused when their length is not the stated one, or when they are encrypted', async () => {
    const { table, list } = await written({ schemaId: 0, identifierFieldIds: [], fields: [{ ...N, type: 'int' }] }, 5)
    const metadata = withSchema(table, [{ ...N, type: 'int' }])
    const other = { ...list, manifestLength: list.manifestLength + 1 }
    await expect(readAll(table, metadata, other)).rejects.toMatchObject({ code: 'FIRN_MANIFEST_LENGTH_MISMATCH' })
    const encrypted = { ...list, keyMetadata: Uint8Array.of(1) }
    await expect(readAll(table, metadata, encrypted)).rejects.toMatchObject({ code: 'FIRN_ENCRYPTED' })
  })
})
