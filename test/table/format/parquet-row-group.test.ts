/** How the bytes of a row group are asked for. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openParquet, type ParquetFile } from '../../../table/format/parquet-reader.ts'
import { createParquetFile } from '../../../table/format/parquet-writer.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { batchOf, freshStore, rowsOf, type TestRow } from '../support.ts'

const NAMES = ['title', 'author', 'content', 'notes'] as const
const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: NAMES.map((name, index) => ({ id: index + 1, name, required: false, type: 'binary' as const })),
}
const only = (...names: readonly string[]): Schema => ({
  ...SCHEMA,
  fields: SCHEMA.fields.filter(({ name }) => names.includes(name)),
})

/** Ten rows whose columns take so many bytes, which do not compress; `ranges` are those that were asked for. */
async function fileOf(sizes: Readonly<Record<(typeof NAMES)[number], number>>): Promise<{
  readonly file: ParquetFile
  readonly rows: readonly TestRow[]
  readonly ranges: { start: number; end: number }[]
}> {
  const rows = Array.from({ length: 10 }, () =>
    Object.fromEntries(NAMES.map((name) => [name, randomBytes(Math.ceil(sizes[name] / 10))])),
  )
  const parts: Uint8Array[] = []
  const writer = createParquetFile({ rowGroupRows: 10, plainColumns: NAMES }, (bytes) => parts.push(bytes.slice()))
  await writer.write(batchOf(SCHEMA, rows))
  await writer.close()
  const bytes = Buffer.concat(parts)
  const store = freshStore()
  await store.put('f.parquet', bytes)
  const file = await openParquet(store, 'f.parquet', bytes.length)
  const ranges: { start: number; end: number }[] = []
  const { get } = store
  store.get = (key, options) => {
    ranges.push(options!.range as { start: number; end: number })
    return get.call(store, key, options)
  }
  return { file, rows, ranges }
}

const hex = (rows: readonly TestRow[], schema: Schema): unknown =>
  rows.map((row) =>
    Object.fromEntries(schema.fields.map(({ name }) => [name, Buffer.from(row[name] as Uint8Array).toString('hex')])),
  )

test('columns with little between them are one request, those with much between them are two', async () => {
  const { file, rows, ranges } = await fileOf({ title: 1_000, author: 20_000, content: 1_000_000, notes: 300_000 })
  for (const [schema, requests] of [
    [only('title', 'content'), 1],
    [only('title', 'author', 'content', 'notes'), 1],
    [only('title', 'notes'), 2],
  ] as const) {
    ranges.length = 0
    expect(rowsOf(schema, await file.read(0, schema))).toEqual(hex(rows, schema))
    expect(ranges.length).toBe(requests)
  }
  // What lies between is not fetched then.
  expect(ranges.reduce((sum, { start, end }) => sum + end - start, 0)).toBeLessThan(310_000)
})

test('requests stay below 8 MiB as long as one column is', async () => {
  const { file, rows, ranges } = await fileOf({ title: 5 << 20, author: 2 << 20, content: 4 << 20, notes: 9 << 20 })
  expect(rowsOf(SCHEMA, await file.read(0, SCHEMA))).toEqual(hex(rows, SCHEMA))
  expect(ranges.map(({ start, end }) => Math.round((end - start) / (1 << 20)))).toEqual([7, 4, 9])
})

test('what several schemas want is fetched once', async () => {
  const { file, rows, ranges } = await fileOf({ title: 1_000, author: 1_000, content: 1_000, notes: 1_000 })
  const [tested, wanted] = [only('author'), only('title', 'author')]
  const group = await file.fetch(0, [tested, wanted])
  expect(ranges.length).toBe(1)
  expect(rowsOf(tested, group.batch(tested))).toEqual(hex(rows, tested))
  const [batch] = group.batches(wanted, [Int32Array.of(7, 2)])
  expect(rowsOf(wanted, batch!)).toEqual(hex([rows[7]!, rows[2]!], wanted))
})
