/** Tables for tests: a small schema, rows as plain objects, and stores that misbehave on cue. */
import { type Data, makeData, RecordBatch, Struct } from 'apache-arrow'
import type { TableDefinition } from '../../table/catalog/definition.ts'
import { type Catalog, openCatalog } from '../../table/catalog/open.ts'
import { type Clock, systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { columnFromValues } from '../../table/format/arrow-columns.ts'
import { arrowSchema } from '../../table/format/arrow-schema.ts'
import { valueAt } from '../../table/format/arrow-values.ts'
import { epochMillis } from '../../table/ids.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import type { DataFile } from '../../table/manifest/data-file.ts'
import type { PartitionSpec, PartitionTuple } from '../../table/spec/partition.ts'
import type { Schema } from '../../table/spec/schema.ts'
import { isPrimitive, type PrimitiveValue } from '../../table/spec/types.ts'
import type { Table } from '../../table/table.ts'
import { createDataFileWriter } from '../../table/write/writer.ts'

export type TestRow = Readonly<Record<string, PrimitiveValue>>

export const EVENTS: Schema = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'id', required: true, type: 'string' },
    { id: 2, name: 'at', required: false, type: 'timestamptz' },
    { id: 3, name: 'n', required: false, type: 'int' },
    { id: 4, name: 'score', required: false, type: 'double' },
    { id: 5, name: 'big', required: false, type: 'long' },
    { id: 6, name: 'day', required: false, type: 'date' },
  ],
}

export const BY_DAY: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'at_day', transform: 'day' }],
}

export const DEFINITION: TableDefinition = {
  schema: EVENTS,
  partitionSpec: BY_DAY,
  sortOrder: {
    orderId: 1,
    fields: [{ sourceId: 1, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
  },
  properties: { 'commit.retry.min-wait-ms': '1', 'commit.retry.max-wait-ms': '5' },
}

/** Rows as one batch of `schema`; a missing member is null. */
export function batchOf(schema: Schema, rows: readonly TestRow[]): RecordBatch {
  const children = schema.fields.map((field): Data => {
    if (!isPrimitive(field.type)) throw new Error('flat columns only')
    const values = rows.map((row) => row[field.name] ?? null)
    return columnFromValues(field.type, values, field.name)
  })
  const arrow = arrowSchema(schema)
  return new RecordBatch(
    arrow,
    makeData({ type: new Struct(arrow.fields), length: rows.length, nullCount: 0, children }),
  )
}

export function rowsOf(schema: Schema, batch: RecordBatch): TestRow[] {
  return Array.from({ length: batch.numRows }, (_, row) =>
    Object.fromEntries(
      schema.fields.map((field, column) => {
        if (!isPrimitive(field.type)) throw new Error('flat columns only')
        const value = valueAt(field.type, batch.data.children[column] as Data, row)
        return [field.name, value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value]
      }),
    ),
  )
}

export async function writeRows(
  table: Table,
  rows: readonly TestRow[],
  partition: PartitionTuple,
  options: { prefix?: string; targetFileSizeBytes?: number; rowGroupRows?: number } = {},
): Promise<readonly DataFile[]> {
  const writer = createDataFileWriter({
    store: table.store,
    location: table.location,
    schema: table.metadata.schemas[0]!,
    spec: table.metadata.partitionSpecs[0]!,
    partition,
    sortOrderId: 1,
    fileNamePrefix: options.prefix ?? Buffer.from(systemClock.randomBytes(6)).toString('hex'),
    targetFileSizeBytes: options.targetFileSizeBytes ?? 1 << 27,
    ...(options.rowGroupRows === undefined ? {} : { rowGroupRows: options.rowGroupRows }),
  })
  await writer.write(batchOf(table.metadata.schemas[0]!, rows))
  return (await writer.close()).map((file) => file.dataFile)
}

export async function readRows(scan: ReturnType<Table['scan']>): Promise<TestRow[]> {
  const rows: TestRow[] = []
  for await (const batch of scan.batches()) rows.push(...rowsOf(scan.schema, batch))
  return rows
}

let stores = 0
export const freshStore = (clock: Clock = systemClock): ObjectStore =>
  openMemoryStore(`test-${process.pid}-${stores++}`, { clock })

export async function eventsTable(
  store: ObjectStore,
  clock: Clock = systemClock,
): Promise<{ catalog: Catalog; table: Table }> {
  const catalog = openCatalog(store, { clock })
  return { catalog, table: await catalog.createTable('t.events', DEFINITION) }
}

let seeds = 0

/** A clock that only moves when slept on; random bytes from a seed, another one for each clock. */
export function testClock(seed: number = ++seeds * 7919, startMillis: number = 1_700_000_000_000): Clock {
  let now = startMillis
  let state = seed >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  return {
    nowMillis: () => epochMillis(Math.floor(now++)),
    monotonicMillis: () => now,
    randomBytes: (size) => Uint8Array.from({ length: size }, () => next() & 0xff),
    sleep: async (millis) => {
      now += millis
      await Promise.resolve()
    },
  }
}

export type Fault = 'before' | 'after' | undefined

/** A store whose puts fail when `fault` says so: before they take effect, or after, when only the answer is lost. */
export function faultyPuts(store: ObjectStore, fault: (key: string) => Fault): ObjectStore {
  const lost = (key: string): FirnError =>
    new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', `no answer for ${key}`)
  return {
    ...store,
    url: store.url,
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    put: async (key, body, options) => {
      const what = fault(key)
      if (what === 'before') throw lost(key)
      const result = await store.put(key, body, options)
      if (what === 'after') throw lost(key)
      return result
    },
  }
}
