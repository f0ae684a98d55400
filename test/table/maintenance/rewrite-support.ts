/** Tables of any columns for the tests of rewriting, and what is in them. */
import { mkdtempSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Data, RecordBatch } from 'apache-arrow'
import { expect } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { valueAt } from '../../../table/format/arrow-values.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import {
  planRewrite,
  type RewritePlanOptions,
  type RewriteResult,
  type RewriteRunOptions,
  runRewrite,
} from '../../../table/maintenance/rewrite.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { currentSchema, defaultSpec } from '../../../table/spec/metadata.ts'
import type { PartitionSpec, PartitionTuple } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { SortField } from '../../../table/spec/sort.ts'
import type { Table } from '../../../table/table.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { freshStore } from '../support.ts'

export type AnyRow = Readonly<Record<string, unknown>>

export const UNPARTITIONED: PartitionSpec = { specId: 0, fields: [] }

export const ascending = (sourceId: number, more: Partial<SortField> = {}): SortField => ({
  sourceId,
  transform: 'identity',
  direction: 'asc',
  nullOrder: 'nulls-first',
  ...more,
})

export interface TestTable {
  readonly schema: Schema
  readonly spec?: PartitionSpec
  readonly order?: readonly SortField[]
  readonly rowGroupRows?: number
  readonly store?: ObjectStore
}

export async function makeTable(options: TestTable): Promise<Table> {
  const catalog = openCatalog(options.store ?? freshStore(), { clock: systemClock })
  const order = options.order ?? []
  return catalog.createTable('t.rows', {
    schema: options.schema,
    partitionSpec: options.spec ?? UNPARTITIONED,
    sortOrder: { orderId: order.length === 0 ? 0 : 1, fields: order },
    properties: {
      'commit.retry.min-wait-ms': '1',
      'commit.retry.max-wait-ms': '5',
      'firn.row-group-rows': String(options.rowGroupRows ?? 64),
    },
  })
}

/** Values as `valueAt` gives them; a missing member is null. */
export function batchOfRows(schema: Schema, rows: readonly AnyRow[]): RecordBatch {
  const columns = schema.fields.map(({ type, name }) =>
    columnFromValues(
      type,
      rows.map((row) => (row[name] ?? null) as never),
      name,
    ),
  )
  return batchOfColumns(schema, columns, rows.length)
}

export async function writeFile(
  table: Table,
  rows: readonly AnyRow[],
  options: { partition?: PartitionTuple; sortOrderId?: number } = {},
): Promise<DataFile> {
  const schema = currentSchema(table.metadata)
  const writer = createDataFileWriter({
    store: table.store,
    location: table.location,
    schema,
    spec: defaultSpec(table.metadata),
    partition: options.partition ?? [],
    sortOrderId: options.sortOrderId ?? 0,
    fileNamePrefix: newRunId(systemClock),
    targetFileSizeBytes: 1 << 30,
  })
  await writer.write(batchOfRows(schema, rows))
  return (await writer.close())[0]!.dataFile
}

export const ARTICLES: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    { id: 2, name: 'title', required: false, type: 'string' },
  ],
}

export const articlesFrom = (ids: readonly number[], chars = 20): readonly AnyRow[] =>
  ids.map((id) => ({ id: BigInt(id), title: id % 7 === 0 ? null : noise(id, chars) }))

/** `files` files of `rows` articles each, every one over all ids from `first` on. */
export const interleaved = (files: number, rows: number, chars = 20, first = 0): readonly (readonly AnyRow[])[] =>
  Array.from({ length: files }, (_, file) =>
    articlesFrom(
      Array.from({ length: rows }, (_row, row) => first + row * files + file),
      chars,
    ),
  )

/** Each element becomes a file; all of them one snapshot. */
export async function appendFiles(table: Table, files: readonly (readonly AnyRow[])[]): Promise<Table> {
  const written: DataFile[] = []
  for (const rows of files) written.push(await writeFile(table, rows))
  return (await table.append(written)).table
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return `${item}n`
    if (item instanceof Uint8Array) return `x${Buffer.from(item).toString('hex')}`
    if (typeof item === 'number' && !Number.isFinite(item)) return String(item)
    return Object.is(item, -0) ? '-0' : item
  })

/** Every row as one text, sorted: equal for equal contents. */
export async function contents(table: Table): Promise<readonly string[]> {
  return (await rowsInOrder(table)).map(text).sort()
}

export async function rowsInOrder(table: Table): Promise<readonly AnyRow[]> {
  const scan = table.scan()
  const rows: AnyRow[] = []
  for await (const batch of scan.batches()) rows.push(...rowsOfBatch(scan.schema, batch))
  return rows
}

export function rowsOfBatch(schema: Schema, batch: RecordBatch): readonly AnyRow[] {
  return Array.from({ length: batch.numRows }, (_, row) => {
    const values = schema.fields.map(({ name, type }, column) => [
      name,
      valueAt(type as never, batch.data.children[column] as Data, row),
    ])
    return Object.fromEntries(values) as AnyRow
  })
}

export async function filesOf(table: Table): Promise<readonly DataFile[]> {
  return (await table.scan().planFiles()).map(({ file }) => file)
}

/** Plans and runs in a temporary folder, which must be empty after. */
export async function rewrite(
  table: Table,
  planOptions: RewritePlanOptions = {},
  runOptions: Partial<RewriteRunOptions> = {},
): Promise<{ readonly table: Table; readonly result: RewriteResult }> {
  return withSpillFolder(async (spillFolder) => {
    const plan = await planRewrite(table, planOptions)
    return runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder, ...runOptions })
  })
}

export async function withSpillFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'firn-rewrite-test-'))
  const left: string[] = []
  try {
    return await body(folder)
  } finally {
    left.push(...readdirSync(folder))
    await rm(folder, { recursive: true })
    expect(left).toEqual([])
  }
}

/** Text that does not compress: sizes follow from it. */
export function noise(seed: number, chars: number): string {
  let state = Math.imul(seed + 1, 2654435761) >>> 0
  let text = ''
  while (text.length < chars) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    text += state.toString(36)
  }
  return text.slice(0, chars)
}
