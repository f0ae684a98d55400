/** Tables to load from: every type that a batch can carry, nulls in the optional ones, several files and row groups. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordBatch } from 'apache-arrow'
import { type Dataset, type DatasetOptions, openDataset } from '../../loader/index.ts'
import {
  type Catalog,
  openCatalog,
  openStore,
  type Schema,
  type StoreOptions,
  systemClock,
  type Table,
} from '../../table/index.ts'
import { batchOf, type TestRow, writeRows } from '../table/support.ts'

export const ROWS: Schema = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'id', required: true, type: 'string' },
    { id: 2, name: 'n', required: true, type: 'int' },
    { id: 3, name: 'text', required: false, type: 'string' },
    { id: 4, name: 'score', required: false, type: 'double' },
    { id: 5, name: 'big', required: false, type: 'long' },
    { id: 6, name: 'flag', required: false, type: 'boolean' },
    { id: 7, name: 'day', required: false, type: 'date' },
    { id: 8, name: 'at', required: false, type: 'timestamptz' },
    { id: 9, name: 'price', required: false, type: 'decimal(20, 2)' },
    { id: 10, name: 'blob', required: false, type: 'binary' },
    { id: 11, name: 'tag', required: false, type: 'fixed[3]' },
    { id: 12, name: 'ratio', required: false, type: 'float' },
  ],
}

/** Row `n`: a different third of the optional columns is null in each. */
export function rowAt(n: number): TestRow {
  const unless = <T>(part: number, value: T): T | null => (n % 3 === part ? null : value)
  return {
    id: `row-${String(n).padStart(6, '0')}`,
    n,
    text: unless(0, n % 5 === 1 ? '' : `text of ${n} – ${'żółw '.repeat(n % 40)}`),
    score: unless(1, n / 8),
    big: unless(2, 2n ** 53n + BigInt(n)),
    flag: unless(0, n % 2 === 0),
    day: unless(1, 20_000 + n),
    at: unless(2, 1_700_000_000_000_000n + BigInt(n)),
    price: unless(0, BigInt(n) * -12_345_678_901n),
    blob: unless(1, Buffer.from([n & 255, 0, 255])),
    tag: unless(2, Buffer.from([n & 255, (n >> 8) & 255, 7])),
    ratio: unless(0, Math.fround(n / 3)),
  }
}

export interface TestTable {
  readonly catalog: Catalog
  readonly table: Table
  readonly url: string
}

/** Rows [0, rows) in files of `fileRows` and row groups of `rowGroupRows`, in one commit, file names in no order. */
export async function rowsTable(
  url: string,
  { rows = 500, fileRows = 130, rowGroupRows = 16 }: { rows?: number; fileRows?: number; rowGroupRows?: number } = {},
  storeOptions: StoreOptions = {},
): Promise<TestTable> {
  const catalog = openCatalog(openStore(url, storeOptions), { clock: systemClock })
  const created = await catalog.createTable('t.rows', {
    schema: ROWS,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  })
  return { catalog, table: await appendRows(created, 0, rows, { fileRows, rowGroupRows }), url }
}

export async function appendRows(
  table: Table,
  start: number,
  end: number,
  { fileRows, rowGroupRows }: { fileRows: number; rowGroupRows: number },
): Promise<Table> {
  const files = []
  for (let first = start; first < end; first += fileRows) {
    const numbers = Array.from({ length: Math.min(fileRows, end - first) }, (_, index) => first + index)
    const prefix = createHash('sha256').update(String(first)).digest('hex').slice(0, 12)
    files.push(...(await writeRows(table, numbers.map(rowAt), [], { prefix, rowGroupRows })))
  }
  return (await table.append(files)).table
}

/** An own batch of `ROWS`, without a table. */
export const rowsBatch = (numbers: readonly number[]): RecordBatch => batchOf(ROWS, numbers.map(rowAt))

let stores = 0
export const memoryUrl = (): string => `memory://loader-${process.pid}-${stores++}`

/** A folder of its own as a warehouse; `remove` it afterwards. */
export async function folderWarehouse(): Promise<{ url: string; path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'firn-loader-'))
  return { url: `file://${path}`, path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Column `n` of every batch, in order. */
export async function numbersOf(batches: AsyncIterable<RecordBatch>): Promise<number[][]> {
  const numbers: number[][] = []
  for await (const batch of batches) numbers.push([...(batch.getChild('n')!.toArray() as Int32Array)])
  return numbers
}

/** Equal for batches with equal columns, nulls and values, in the same order. */
export async function digestOf(batches: AsyncIterable<RecordBatch>): Promise<string> {
  const hash = createHash('sha256')
  for await (const batch of batches) {
    hash.update(`${batch.numRows} ${batch.schema.fields.map(String).join()}\n`)
    for (const field of batch.schema.fields) {
      const column = batch.getChild(field.name)!
      for (let row = 0; row < batch.numRows; row++) {
        const value: unknown = column.get(row)
        hash.update(
          value instanceof Uint8Array || value instanceof Uint32Array
            ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
            : `${value}`,
        )
        hash.update('|')
      }
    }
  }
  return hash.digest('hex')
}

/** Opens, uses and closes. */
export async function withDataset<T>(options: DatasetOptions, use: (dataset: Dataset) => Promise<T>): Promise<T> {
  const dataset = await openDataset(options)
  try {
    return await use(dataset)
  } finally {
    await dataset[Symbol.asyncDispose]()
  }
}
