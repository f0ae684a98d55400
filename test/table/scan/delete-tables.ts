/** Delete files, and snapshots with them, as another engine commits them: this package writes none. */
import { type Clock, newSnapshotId, systemClock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { writeManifest } from '../../../table/manifest/manifest.ts'
import type { ManifestEntry } from '../../../table/manifest/manifest-entry.ts'
import { describeManifest, type ManifestFile, writeManifestList } from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { DELETE_PATH_ID, DELETE_POSITION_ID } from '../../../table/scan/delete-index.ts'
import { currentSchema, printMetadata, specById, type TableMetadata } from '../../../table/spec/metadata.ts'
import type { PartitionTuple } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { NestedField } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { batchOf, type TestRow } from '../support.ts'

export interface Placement {
  readonly specId?: number
  readonly partition?: PartitionTuple
}

const POSITIONS: readonly NestedField[] = [
  { id: DELETE_PATH_ID, name: 'file_path', required: true, type: 'string' },
  { id: DELETE_POSITION_ID, name: 'pos', required: true, type: 'long' },
]

let clock = systemClock

/** Names and ids of what is made from now on come from this clock's randomness. */
export function setClock(value: Clock): void {
  clock = value
}

const unique = (): string => Buffer.from(clock.randomBytes(6)).toString('hex')

async function writeFile(table: Table, fields: readonly NestedField[], rows: readonly TestRow[]): Promise<DataFile> {
  const schema: Schema = { schemaId: 0, identifierFieldIds: [], fields }
  const writer = createDataFileWriter({
    store: table.store,
    location: table.location,
    schema,
    spec: { specId: 0, fields: [] },
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: `deletes-${unique()}`,
    targetFileSizeBytes: 1 << 27,
    rowGroupRows: 3,
  })
  await writer.write(batchOf(schema, rows))
  return (await writer.close())[0]!.dataFile
}

export async function positionDeletes(
  table: Table,
  rows: readonly (readonly [path: string, position: number])[],
  { specId = 0, partition = [] }: Placement = {},
): Promise<DataFile> {
  const columns = rows.map(([path, pos]) => ({ file_path: path, pos: BigInt(pos) }))
  return { ...(await writeFile(table, POSITIONS, columns)), content: 'position-deletes', specId, partition }
}

export async function equalityDeletes(
  table: Table,
  fields: readonly NestedField[],
  rows: readonly TestRow[],
  { specId = 0, partition = [], ids }: Placement & { readonly ids?: readonly number[] } = {},
): Promise<DataFile> {
  const file = await writeFile(table, fields, rows)
  const equalityIds = ids ?? fields.map((field) => field.id)
  return { ...file, content: 'equality-deletes', specId, partition, equalityIds }
}

export const column = (schema: Schema, ...names: readonly string[]): readonly NestedField[] =>
  names.map((name) => schema.fields.find((field) => field.name === name)!)

/** The table with one more snapshot that adds `files`, after `change` was made to its metadata. */
export async function commitFiles(
  table: Table,
  files: readonly DataFile[],
  change: (metadata: TableMetadata) => TableMetadata = (metadata) => metadata,
): Promise<Table> {
  const base = change(table.metadata)
  const schema = currentSchema(base)
  const sequenceNumber = base.lastSequenceNumber + 1
  const parent = table.currentSnapshot()
  const snapshot = {
    snapshotId: newSnapshotId(clock),
    ...(parent === undefined ? {} : { parentSnapshotId: parent.snapshotId }),
    sequenceNumber,
    timestampMillis: epochMillis(base.lastUpdatedMillis + 1),
    manifestList: `${table.location}/metadata/snap-${unique()}.avro`,
    summary: { operation: 'overwrite' },
    schemaId: schema.schemaId,
  }
  const manifests: ManifestFile[] = []
  const groups = Map.groupBy(files, (file) => `${file.specId} ${file.content === 'data'}`)
  for (const [, group] of groups) {
    const spec = specById(base, group[0]!.specId)
    const path = `metadata/${unique()}-m0.avro`
    const entries = group.map(
      (dataFile): ManifestEntry => ({
        status: 'added',
        snapshotId: snapshot.snapshotId,
        sequenceNumber: undefined,
        fileSequenceNumber: undefined,
        dataFile,
      }),
    )
    const bytes = await writeManifest(entries, spec, schema)
    await table.store.put(path, bytes)
    manifests.push(describeManifest(`${table.location}/${path}`, bytes.length, entries, spec, schema, snapshot))
  }
  const before = parent === undefined ? [] : await snapshotManifests(table.store, table.metadata, parent)
  const list = await writeManifestList(snapshot, [...manifests, ...before])
  await table.store.put(snapshot.manifestList.slice(table.location.length + 1), list)
  return putMetadata(table, {
    ...base,
    lastSequenceNumber: sequenceNumber,
    lastUpdatedMillis: snapshot.timestampMillis,
    currentSnapshotId: snapshot.snapshotId,
    snapshots: [...base.snapshots, snapshot],
    snapshotLog: [...base.snapshotLog, { timestampMillis: snapshot.timestampMillis, snapshotId: snapshot.snapshotId }],
    refs: { ...base.refs, main: { snapshotId: snapshot.snapshotId, type: 'branch' } },
  })
}

/** The table with `metadata` as its next version. */
export async function putMetadata(table: Table, metadata: TableMetadata): Promise<Table> {
  const version = Number(/\/v(\d+)\.metadata\.json$/.exec(table.metadataLocation)![1]) + 1
  await table.store.put(`metadata/v${version}.metadata.json`, Buffer.from(printMetadata(metadata)))
  return table.refresh()
}
