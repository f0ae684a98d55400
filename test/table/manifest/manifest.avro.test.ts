/** Manifests and lists as foreign readers see them: ids, names, order of fields. Spec: "Manifests", "Manifest Lists". */
import avro from 'avsc'
import { describe, expect, test } from 'vitest'
import { readAvro, writeAvro } from '../../../table/format/avro.ts'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { readManifest, writeManifest } from '../../../table/manifest/manifest.ts'
import type { ManifestEntry } from '../../../table/manifest/manifest-entry.ts'
import { describeManifest, readManifestList, writeManifestList } from '../../../table/manifest/manifest-list.ts'
import { avroName } from '../../../table/manifest/partition-avro.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { plain } from './avsc-oracle.ts'

const SCHEMA: Schema = {
  schemaId: 3,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'at', required: false, type: 'timestamptz' },
    { id: 2, name: 'price', required: false, type: 'decimal(9, 2)' },
    { id: 3, name: 'cost', required: false, type: 'decimal(9, 2)' },
    { id: 4, name: 'name', required: false, type: 'string' },
    { id: 5, name: 'key', required: false, type: 'uuid' },
    { id: 6, name: 'ratio', required: false, type: 'double' },
  ],
}
const part = (sourceId: number, fieldId: number, name: string, transform: string) => ({
  sourceId,
  fieldId,
  name,
  transform,
})
const SPEC = {
  specId: 2,
  fields: [
    part(1, 1000, 'at_day', 'day'),
    part(2, 1001, 'price', 'identity'),
    part(3, 1002, 'cost', 'identity'),
    part(4, 1003, 'a name-ü', 'identity'),
    part(5, 1004, 'key', 'identity'),
    part(1, 1005, 'at', 'identity'),
    part(6, 1006, 'ratio', 'identity'),
  ],
}
const UUID = Uint8Array.from({ length: 16 }, (_, index) => index * 16)

const file = (partition: DataFile['partition'], over: Partial<DataFile> = {}): DataFile => ({
  content: 'data',
  filePath: 's3://b/t/data/1.parquet',
  fileFormat: 'PARQUET',
  specId: 2,
  partition,
  recordCount: 7,
  fileSizeBytes: 5_000_000_000,
  columnSizes: new Map([[1, 10]]),
  valueCounts: new Map([[1, 7]]),
  nullValueCounts: new Map([[1, 1]]),
  nanValueCounts: new Map(),
  lowerBounds: new Map([[4, Uint8Array.of(97)]]),
  upperBounds: new Map([[4, Uint8Array.of(98)]]),
  splitOffsets: [4, 5_000_000],
  equalityIds: [],
  sortOrderId: 1,
  ...over,
})
const entry = (dataFile: DataFile, over: Partial<ManifestEntry> = {}): ManifestEntry => ({
  status: 'added',
  snapshotId: snapshotId(9_223_372_036_854_775_806n),
  sequenceNumber: undefined,
  fileSequenceNumber: undefined,
  dataFile,
  ...over,
})
const TUPLE = [17_486, -1420n, 1420n, 'x', UUID, -5n, Number.NaN]

describe('a manifest', () => {
  test('comes back as it was written, for every kind of partition value', async () => {
    const entries = [
      entry(file(TUPLE)),
      entry(file(TUPLE.map(() => null)), { status: 'existing', sequenceNumber: 4, fileSequenceNumber: 3 }),
      entry(file(TUPLE), { status: 'deleted', sequenceNumber: 2, fileSequenceNumber: 2 }),
    ]
    const bytes = await writeManifest(entries, SPEC, SCHEMA)
    expect(plain(await readManifest(bytes, 'm.avro', 2, SPEC, SCHEMA))).toEqual(entries)
  })

  test('has a field id on every field, element ids on arrays, and null first in every union', async () => {
    const { schema } = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    const seen: number[] = []
    const visit = (node: unknown): void => {
      if (Array.isArray(node)) {
        expect(node[0]).toBe('null')
        node.forEach(visit)
      } else if (typeof node === 'object' && node !== null) {
        const type = node as { type: unknown; fields?: { 'field-id': number; type: unknown }[]; items?: unknown }
        for (const field of type.fields ?? []) {
          expect(field['field-id']).toBeTypeOf('number')
          seen.push(field['field-id'])
          visit(field.type)
        }
        if (type.type === 'array' && !('logicalType' in type)) expect(type).toHaveProperty('element-id')
        if (type.items !== undefined) visit(type.items)
      }
    }
    visit(schema)
    const fixed = [0, 1, 3, 4, 2, 134, 100, 101, 102, 103, 104, 108, 109, 110, 137, 125, 128, 131, 132, 135, 140, 143]
    expect(seen).toEqual(expect.arrayContaining([...fixed, 117, 118, 126, 127, 1000, 1006]))
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('says which schema, spec and content it is of', async () => {
    const { metadata } = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    expect(Object.fromEntries(metadata)).toMatchObject({
      'schema-id': '3',
      'partition-spec-id': '2',
      'format-version': '2',
      content: 'data',
    })
    expect(JSON.parse(metadata.get('partition-spec')!)).toBeInstanceOf(Array)
    expect(JSON.parse(metadata.get('schema')!).fields).toHaveLength(6)
  })

  test('is read by field id: other names and other order of a foreign writer do not matter', async () => {
    const own = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    const rename = (node: unknown): unknown => {
      if (Array.isArray(node)) return node.map(rename)
      if (typeof node !== 'object' || node === null) return node
      const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, rename(value)]))
      if ('field-id' in copy) copy['name'] = `x${copy['field-id']}`
      return copy
    }
    const renamed = (value: unknown, schema: unknown): unknown => {
      const type = Array.isArray(schema) ? schema[1] : schema
      const inner = type as {
        fields?: { name: string; 'field-id': number; type: unknown }[]
        items?: unknown
        type?: unknown
      }
      if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
      if (Array.isArray(value)) return value.map((item) => renamed(item, inner.items))
      const fields = inner.fields ?? (inner.type as { fields?: typeof inner.fields })?.fields ?? []
      const record = value as Record<string, unknown>
      return Object.fromEntries(fields.map((f) => [`x${f['field-id']}`, renamed(record[f.name], f.type)]))
    }
    const foreign = await writeAvro(
      rename(own.schema) as never,
      Object.fromEntries([...own.metadata].filter(([k]) => !k.startsWith('avro.'))),
      [renamed(own.records[0], own.schema) as never],
    )
    expect(plain(await readManifest(foreign, 'm.avro', 2, SPEC, SCHEMA))).toEqual([entry(file(TUPLE))])
  })

  test('is read with its own schema when the source columns were dropped since, whatever way a decimal is spelt in it', async () => {
    const dropped = { ...SCHEMA, fields: [] }
    const own = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    const metadata = Object.fromEntries([...own.metadata].filter(([key]) => !key.startsWith('avro.')))
    const spelt = { ...metadata, schema: metadata['schema']!.replaceAll('decimal(9, 2)', 'decimal(9,2)') }
    const bytes = await writeAvro(own.schema, spelt, own.records)
    expect(plain(await readManifest(bytes, 'm.avro', 2, SPEC, dropped))).toEqual([entry(file(TUPLE))])
    const damaged = await writeAvro(own.schema, { ...metadata, schema: '{"fields": [' }, own.records)
    await expect(readManifest(damaged, 'm.avro', 2, SPEC, dropped)).rejects.toMatchObject({ code: 'FIRN_AVRO_CORRUPT' })
  })

  test('defines every fixed type once and refers to none: PyIceberg does not follow references', async () => {
    const { schema } = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    const names = Array.from(
      JSON.stringify(schema).matchAll(/"type":"fixed"[^}]*"name":"([^"]+)"/g),
      (match) => match[1],
    )
    expect(names).toEqual(['decimal_9_2', 'decimal_9_2_1002', 'uuid_fixed'])
  })

  test('keeps what a delete file is about', async () => {
    const older = { status: 'existing', sequenceNumber: 3, fileSequenceNumber: 2 } as const
    const entries = [
      entry(file(TUPLE, { content: 'equality-deletes', equalityIds: [4, 1] }), older),
      entry(file(TUPLE, { content: 'position-deletes', referencedDataFile: 's3://b/t/data/2.parquet' })),
      entry(file(TUPLE, { content: 'position-deletes', keyMetadata: Uint8Array.of(1, 2) })),
    ]
    const bytes = await writeManifest(entries, SPEC, SCHEMA)
    expect((await readAvro(bytes, 'm.avro')).metadata.get('content')).toBe('deletes')
    expect(plain(await readManifest(bytes, 'm.avro', 2, SPEC, SCHEMA))).toEqual(entries)
  })

  test('of data and delete files together, or with an older entry that would inherit, is refused', async () => {
    const refused = { code: 'FIRN_DATA_FILE_INVALID' }
    const mixed = [entry(file(TUPLE)), entry(file(TUPLE, { content: 'position-deletes' }))]
    await expect(writeManifest(mixed, SPEC, SCHEMA)).rejects.toMatchObject(refused)
    const older = { status: 'existing', snapshotId: snapshotId(1n), sequenceNumber: 1, fileSequenceNumber: 1 } as const
    for (const member of ['snapshotId', 'sequenceNumber', 'fileSequenceNumber']) {
      const lacking = entry(file(TUPLE), { ...older, [member]: undefined })
      await expect(writeManifest([lacking], SPEC, SCHEMA), member).rejects.toMatchObject(refused)
    }
    await writeManifest([entry(file(TUPLE), older)], SPEC, SCHEMA)
  })

  test('of a writer that gave its partition fields no id is read by their names', async () => {
    const own = await readAvro(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA), 'm.avro')
    const nameless = JSON.parse(JSON.stringify(own.schema).replaceAll(/"field-id":100\d,/g, ''))
    const metadata = Object.fromEntries([...own.metadata].filter(([key]) => !key.startsWith('avro.')))
    const bytes = await writeAvro(nameless, metadata, own.records)
    expect(JSON.stringify((await readAvro(bytes, 'm.avro')).schema)).not.toContain(':1000')
    expect(plain(await readManifest(bytes, 'm.avro', 2, SPEC, SCHEMA))).toEqual([entry(file(TUPLE))])
  })

  test('without entries is refused', async () => {
    await expect(writeManifest([], SPEC, SCHEMA)).rejects.toMatchObject({ code: 'FIRN_MANIFEST_EMPTY' })
  })
})

describe('a manifest list', () => {
  const added = { snapshotId: snapshotId(5n), sequenceNumber: 9 }

  test('summarises its manifests: counts, rows, sequence numbers, bounds of each partition field', async () => {
    const entries = [
      entry(file(TUPLE)),
      entry(file([null, 7n, 1n, '\u{10000}', UUID, 5n, 1.5], { recordCount: 2 })),
      entry(file([3, 7n, 1n, '\uffff', UUID, 5n, 2.5]), {
        status: 'existing',
        sequenceNumber: 4,
        fileSequenceNumber: 4,
      }),
      entry(file(TUPLE, { recordCount: 100 }), { status: 'deleted', sequenceNumber: 1, fileSequenceNumber: 1 }),
    ]
    const manifest = describeManifest('s3://b/t/metadata/m.avro', 123, entries, SPEC, SCHEMA, added)
    expect(manifest).toMatchObject({
      addedFilesCount: 2,
      existingFilesCount: 1,
      deletedFilesCount: 1,
      addedRowsCount: 9,
      existingRowsCount: 7,
      deletedRowsCount: 100,
      sequenceNumber: 9,
      minSequenceNumber: 4,
    })
    const [day, , , name, , , ratio] = manifest.partitions
    expect(day).toMatchObject({ containsNull: true, lowerBound: Uint8Array.of(3, 0, 0, 0) })
    // UTF-8 order: U+FFFF is below U+10000, in UTF-16 it would be above.
    expect(Buffer.from(name!.upperBound!).toString('utf8')).toBe('\u{10000}')
    expect(ratio).toMatchObject({ containsNan: true })
    expect(new DataView(ratio!.upperBound!.buffer).getFloat64(0, true)).toBe(2.5)
    const bytes = await writeManifestList({ snapshotId: snapshotId(5n), sequenceNumber: 9 }, [manifest])
    expect(await readManifestList(bytes, 'l.avro')).toEqual([manifest])
  })

  test('names the inner record r508, without which Java fails, and is readable with no manifest at all', async () => {
    const bytes = await writeManifestList({ snapshotId: snapshotId(5n), sequenceNumber: 1 }, [])
    const { schema, metadata, records } = await readAvro(bytes, 'l.avro')
    expect(JSON.stringify(schema)).toContain('"name":"r508"')
    expect(metadata.get('parent-snapshot-id')).toBe('null')
    expect(records).toEqual([])
    // A second reader of the format agrees.
    const rows: unknown[] = []
    await new Promise((resolve, reject) => {
      const decoder = new avro.streams.BlockDecoder()
      decoder
        .on('data', (row) => rows.push(row))
        .on('end', resolve)
        .on('error', reject)
      decoder.end(Buffer.from(bytes))
    })
    expect(rows).toEqual([])
  })
})

test('Avro names are made of letters, digits and underscores only', () => {
  expect(avroName('at_day')).toBe('at_day')
  expect(avroName('1st')).toBe('_1st')
  expect(avroName('a.b')).toBe('a_x2Eb')
  expect(avroName('ü')).toBe('_xFC')
})

test('a codec that is not known is named, not taken for damage', async () => {
  const bytes = Buffer.from(await writeManifest([entry(file(TUPLE))], SPEC, SCHEMA))
  const at = bytes.indexOf('deflate')
  const unknown = Buffer.concat([
    bytes.subarray(0, at - 1),
    Buffer.of(10),
    Buffer.from('bzip2'),
    bytes.subarray(at + 7),
  ])
  await expect(readAvro(unknown, 'x.avro')).rejects.toMatchObject({ code: 'FIRN_AVRO_CODEC_UNSUPPORTED' })
})

test.each([new Uint8Array(0), Uint8Array.of(1, 2, 3), Buffer.from('Obj\u0001')])(
  'bytes that are no Avro file: %o',
  async (bytes) => {
    await expect(readAvro(bytes, 'x.avro')).rejects.toMatchObject({ code: 'FIRN_AVRO_CORRUPT', kind: 'corrupt' })
  },
)
