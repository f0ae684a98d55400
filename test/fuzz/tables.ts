/** The undamaged tables: every kind of object that a reader opens, in every codec, the same bytes in every process. */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { Clock } from '../../table/clock.ts'
import { readAvro, required, writeAvro } from '../../table/format/avro.ts'
import { describeParquet } from '../../table/format/parquet-reader.ts'
import { openCatalog, type Table } from '../../table/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import type { DataFile } from '../../table/manifest/data-file.ts'
import { type ManifestFile, writeManifestList } from '../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../table/manifest/snapshot-manifests.ts'
import type { Schema } from '../../table/spec/schema.ts'
import { UNSORTED } from '../../table/spec/sort.ts'
import type { IcebergType, NestedField } from '../../table/spec/types.ts'
import { createDataFileWriter } from '../../table/write/writer.ts'
import { type NestedRow, nestedBatch } from '../table/format/random-types.ts'
import { deletionVector, roaring64 } from '../table/format/roaring.ts'
import { column, commitFiles, equalityDeletes, positionDeletes, setClock } from '../table/scan/delete-tables.ts'
import { eventsTable, type TestRow, testClock, writeRows } from '../table/support.ts'
import { type AvroCodec, recodeAvro } from './avro-bytes.ts'

export type ObjectKind = 'metadata' | 'list' | 'manifest' | 'data' | 'deletes' | 'vectors' | 'hint' | 'unread'

export interface FuzzTable {
  readonly name: string
  readonly objects: ReadonlyMap<string, Uint8Array>
  /** What may be damaged. */
  readonly targets: readonly { readonly key: string; readonly kind: ObjectKind }[]
}

const DAY = 86_400_000_000n

/** Every table; built anew in each process, always of the same bytes. */
export async function fuzzTables(): Promise<readonly FuzzTable[]> {
  const flat = await build('flat', flatTable)
  return [
    flat,
    await build('gzip', async (store, clock) => zipMetadata(store, await flatTable(store, clock))),
    await build('nested', nestedTable),
    await build('foreign', (store, clock) => foreignTable(store, clock, TEXTS, TEXT_FILES)),
    await build('foreign-nested', (store, clock) => foreignTable(store, clock, NESTED, ['nested-v1', 'nested-v2'])),
    ...(await bareTables()),
    await build('deletes', deletesTable),
    await build('vectors', vectorsTable),
    await build('avro-null', async (store, clock) => recodeManifests(await deletesTable(store, clock), 'null')),
    await build('avro-zstd', async (store, clock) => recodeManifests(await deletesTable(store, clock), 'zstandard')),
    await build('avro-snappy', async (store, clock) => recodeManifests(await deletesTable(store, clock), 'snappy')),
  ]
}

async function build(name: string, make: (store: ObjectStore, clock: Clock) => Promise<Table>): Promise<FuzzTable> {
  const clock = testClock(7919)
  setClock(clock)
  // The name is in every path of the metadata.
  dropMemoryStore(`fuzz-${name}`)
  const store = openMemoryStore(`fuzz-${name}`, { clock })
  const table = await make(store, clock)
  const objects = new Map<string, Uint8Array>()
  for await (const { key } of table.store.list('')) objects.set(key, (await table.store.get(key)).bytes)
  return { name, objects, targets: await targetsOf(table, objects) }
}

/** What a scan of the newest snapshot reads, by what it is. */
async function targetsOf(table: Table, objects: ReadonlyMap<string, unknown>): Promise<FuzzTable['targets']> {
  const kinds = new Map<string, ObjectKind>()
  const keyOf = (path: string): string => path.slice(table.location.length + 1)
  kinds.set(keyOf(table.metadataLocation), 'metadata')
  const snapshot = table.currentSnapshot()!
  kinds.set(keyOf(snapshot.manifestList!), 'list')
  for (const { manifestPath } of await snapshotManifests(table.store, table.metadata, snapshot)) {
    kinds.set(keyOf(manifestPath), 'manifest')
  }
  for (const { file, deletes } of await table.scan().planFiles()) {
    kinds.set(keyOf(file.filePath), 'data')
    for (const each of deletes)
      kinds.set(keyOf(each.file.filePath), each.file.fileFormat === 'PUFFIN' ? 'vectors' : 'deletes')
  }
  return [...objects.keys()].map((key) => ({
    key,
    kind: kinds.get(key) ?? (key.endsWith('version-hint.text') ? 'hint' : 'unread'),
  }))
}

const rowsOfDay = (day: number, count: number): TestRow[] =>
  Array.from({ length: count }, (_, n) => ({
    id: `row ${day} ${n} ${'x'.repeat(n % 7)}`,
    at: BigInt(day) * DAY + BigInt(n) * 1_000_003n,
    n: n % 3 === 0 ? null : n * 7 - 40,
    score: n % 5 === 0 ? null : n / 8,
    big: 9_007_199_254_740_993n + BigInt(n),
    day: day * 3 + n,
  }))

async function flatTable(store: ObjectStore, clock: Clock): Promise<Table> {
  let { table } = await eventsTable(store, clock)
  for (const day of [0, 1]) {
    const files = await writeRows(table, rowsOfDay(day, 23), [day], { prefix: `d${day}`, rowGroupRows: 9 })
    table = (await table.append(files)).table
  }
  await table.createTag('first', table.metadata.snapshots[0]!.snapshotId)
  return table.refresh()
}

/** The newest version compressed, the others gone. */
async function zipMetadata(store: ObjectStore, table: Table): Promise<Table> {
  const key = table.metadataLocation.slice(table.location.length + 1)
  const { bytes } = await table.store.get(key)
  for await (const info of table.store.list('metadata/v')) await table.store.delete(info.key)
  await table.store.put(key.replace('.metadata.json', '.gz.metadata.json'), gzipSync(bytes))
  const folder = table.location.slice(store.url.length + 1)
  return (await openCatalog(store, { clock: testClock() }).loadTable(folder.replace('/', '.'))).refresh()
}

const field = (id: number, name: string, type: IcebergType, isRequired = false): NestedField => ({
  id,
  name,
  required: isRequired,
  type,
})
const schemaOf = (...fields: readonly NestedField[]): Schema => ({ schemaId: 0, identifierFieldIds: [], fields })
const listOf = (elementId: number, element: IcebergType): IcebergType => ({
  type: 'list',
  elementId,
  elementRequired: false,
  element,
})

const TEXTS: Schema = schemaOf(field(1, 'n', 'int', true), field(2, 'text', 'string'))
const TEXT_FILES = ['snappy-v1', 'gzip-v2', 'zstd-v1', 'lz4-v1', 'brotli-v2', 'none-v1', 'none-v2', 'delta']
const NESTED: Schema = schemaOf(
  field(1, 'key', 'long', true),
  field(2, 'point', { type: 'struct', fields: [field(3, 'x', 'int', true), field(4, 'note', 'string')] }),
  field(5, 'lists', listOf(6, listOf(7, 'string'))),
  field(8, 'map', {
    type: 'map',
    keyId: 9,
    key: 'string',
    valueId: 10,
    valueRequired: false,
    value: { type: 'struct', fields: [field(11, 'v', 'double')] },
  }),
)
const EVERYTHING: Schema = schemaOf(
  ...NESTED.fields,
  field(20, 'flag', 'boolean'),
  field(21, 'price', 'decimal(18, 2)', true),
  field(22, 'wide', 'decimal(38, 10)'),
  field(23, 'code', 'fixed[3]'),
  field(24, 'raw', 'binary'),
  field(25, 'f', 'float', true),
)

async function unpartitioned(store: ObjectStore, clock: Clock, schema: Schema): Promise<Table> {
  return openCatalog(store, { clock }).createTable('t.other', {
    schema,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: UNSORTED,
    properties: {},
  })
}

/** One column, five rows: for files that are made by hand. */
async function bareTables(): Promise<readonly FuzzTable[]> {
  const types = { int32: 'int', int64: 'long', byteArray: 'string', fixed: 'fixed[4]', boolean: 'boolean' } as const
  const tables: FuzzTable[] = []
  for (const [physical, type] of Object.entries(types)) {
    const schema = schemaOf(field(1, 'n', type))
    const make = async (store: ObjectStore, clock: Clock): Promise<Table> => {
      const table = await unpartitioned(store, clock, schema)
      const rows = Array.from({ length: 5 }, (): NestedRow => ({ n: null }))
      return (await table.append(await writeNested(table, schema, rows, 'bare'))).table
    }
    tables.push(await build(`bare-${physical}`, make))
  }
  return tables
}

async function nestedTable(store: ObjectStore, clock: Clock): Promise<Table> {
  const table = await unpartitioned(store, clock, EVERYTHING)
  const rows = Array.from(
    { length: 40 },
    (_, n): NestedRow => ({
      key: BigInt(n),
      point: n % 4 === 0 ? null : { x: n, note: n % 3 === 0 ? null : `note ${n}` },
      lists:
        n % 5 === 0 ? null : Array.from({ length: n % 4 }, (_item, m) => (m === 2 ? null : [`a${n}`, null, `b${m}`])),
      map:
        n % 6 === 0
          ? null
          : [
              ['one', { v: n / 4 }],
              ['two', null],
            ],
      flag: n % 7 === 0 ? null : n % 2 === 0,
      price: BigInt(n) * 12_345n,
      wide: n % 3 === 1 ? null : -(10n ** 30n) + BigInt(n),
      code: n % 9 === 0 ? null : Buffer.from(`c${String(n).padStart(2, '0')}`),
      raw: n % 2 === 0 ? null : Buffer.alloc(n, n),
      f: n / 2,
    }),
  )
  return (await table.append(await writeNested(table, EVERYTHING, rows, 'nested'))).table
}

async function writeNested(
  table: Table,
  schema: Schema,
  rows: readonly NestedRow[],
  fileNamePrefix: string,
): Promise<readonly DataFile[]> {
  const writer = createDataFileWriter({
    store: table.store,
    location: table.location,
    schema,
    spec: table.metadata.partitionSpecs[0]!,
    partition: [],
    sortOrderId: 0,
    fileNamePrefix,
    targetFileSizeBytes: 1 << 27,
    rowGroupRows: 17,
  })
  await writer.write(nestedBatch(schema, rows))
  return (await writer.close()).map((file) => file.dataFile)
}

/** Files of other writers, see test/fixtures/parquet. */
async function foreignTable(
  store: ObjectStore,
  clock: Clock,
  schema: Schema,
  names: readonly string[],
): Promise<Table> {
  const table = await unpartitioned(store, clock, schema)
  const files = await Promise.all(
    names.map(async (name) => {
      const bytes = readFileSync(new URL(`../fixtures/parquet/${name}.parquet`, import.meta.url))
      await table.store.put(`data/${name}.parquet`, bytes)
      const groups = describeParquet(bytes, name)
      return dataFile(
        `${table.location}/data/${name}.parquet`,
        bytes.length,
        groups.reduce((sum, { rows }) => sum + rows, 0),
      )
    }),
  )
  return (await table.append(files)).table
}

const dataFile = (filePath: string, fileSizeBytes: number, recordCount: number): DataFile => ({
  content: 'data',
  filePath,
  fileFormat: 'PARQUET',
  specId: 0,
  partition: [],
  recordCount,
  fileSizeBytes,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
})

async function deletesTable(store: ObjectStore, clock: Clock): Promise<Table> {
  let { table } = await eventsTable(store, clock)
  const paths: string[] = []
  for (const day of [0, 1]) {
    const files = await writeRows(table, rowsOfDay(day, 20), [day], { prefix: `d${day}`, rowGroupRows: 8 })
    paths.push(files[0]!.filePath)
    table = (await table.append(files)).table
  }
  const positions = await positionDeletes(
    table,
    [2, 3, 11, 17].map((at) => [paths[0]!, at]),
    { partition: [0] },
  )
  table = await commitFiles(table, [positions])
  const fields = column(table.metadata.schemas[0]!, 'id', 'n')
  const keys = rowsOfDay(1, 20).filter((_row, n) => n % 6 === 1)
  const equal = await equalityDeletes(
    table,
    fields,
    keys.map(({ id, n }) => ({ id: id!, n: n! })),
    { partition: [1] },
  )
  return commitFiles(table, [equal])
}

/** Two deletion vectors in one Puffin file. This package writes no such manifest entries: their fields are added. */
async function vectorsTable(store: ObjectStore, clock: Clock): Promise<Table> {
  let { table } = await eventsTable(store, clock)
  const files = [
    ...(await writeRows(table, rowsOfDay(0, 60), [0], { prefix: 'v', rowGroupRows: 25 })),
    ...(await writeRows(table, rowsOfDay(0, 30), [0], { prefix: 'w' })),
  ]
  table = (await table.append(files)).table
  const blobs = [
    [files[0]!, deletionVector(roaring64([1, 5, 7, 20, 21, 22])), 6],
    [files[1]!, deletionVector(roaring64([0, 1, 2, 3], () => true)), 4],
  ] as const
  const puffin = Buffer.concat([Buffer.from('PFA1'), ...blobs.map(([, blob]) => blob), Buffer.from('PFA1')])
  const path = `${table.location}/data/deletes.puffin`
  await table.store.put('data/deletes.puffin', puffin)
  const entries = blobs.map(
    ([file, , count]): DataFile => ({
      ...dataFile(path, puffin.length, count),
      content: 'position-deletes',
      fileFormat: 'PUFFIN',
      partition: [0],
      referencedDataFile: file.filePath,
    }),
  )
  table = await commitFiles(table, entries)
  let offset = 4
  const places = blobs.map(([, blob]) => {
    offset += blob.length
    return { content_offset: BigInt(offset - blob.length), content_size_in_bytes: BigInt(blob.length) }
  })
  return rewriteManifests(table, async (bytes, manifest) => {
    if (manifest.content === 'data') return bytes
    const { schema, metadata, records } = await readAvro(bytes, 'manifest')
    const fields = schema['fields'] as { name: string; type: { fields: unknown[] } }[]
    const added = [required('content_offset', 144, 'long'), required('content_size_in_bytes', 145, 'long')]
    fields.find(({ name }) => name === 'data_file')!.type.fields.push(...added)
    const rest = Object.fromEntries([...metadata].filter(([key]) => !key.startsWith('avro.')))
    const placed = records.map((record, n) => ({
      ...record,
      data_file: { ...(record['data_file'] as object), ...places[n] },
    }))
    return writeAvro(schema, rest, placed)
  })
}

const recodeManifests = (table: Table, codec: AvroCodec): Promise<Table> =>
  rewriteManifests(table, async (bytes) => recodeAvro(bytes, codec))

/** Other bytes for every manifest of the newest snapshot, and for its list. */
async function rewriteManifests(
  table: Table,
  change: (bytes: Uint8Array, manifest: Pick<ManifestFile, 'content'>) => Promise<Uint8Array>,
): Promise<Table> {
  const snapshot = table.currentSnapshot()!
  const keyOf = (path: string): string => path.slice(table.location.length + 1)
  const manifests: ManifestFile[] = []
  for (const manifest of await snapshotManifests(table.store, table.metadata, snapshot)) {
    const key = keyOf(manifest.manifestPath)
    const bytes = await change((await table.store.get(key)).bytes, manifest)
    await table.store.put(key, bytes)
    manifests.push({ ...manifest, manifestLength: bytes.length })
  }
  const list = await change(await writeManifestList(snapshot, manifests), { content: 'data' })
  await table.store.put(keyOf(snapshot.manifestList!), list)
  return table
}
