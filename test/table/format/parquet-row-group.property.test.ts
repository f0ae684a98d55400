/** Batches of drawn rows have those rows, whatever the types, and buffers that nobody else has. */
import type { Data, RecordBatch } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openParquet, type ParquetFile } from '../../../table/format/parquet-reader.ts'
import { createParquetFile } from '../../../table/format/parquet-writer.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { canonical, memoryStore, type NestedRow, nestedBatch, nestedRows, randomTable } from './random-types.ts'

async function write(
  schema: Schema,
  rows: readonly NestedRow[],
  rowGroupRows: number,
): Promise<{ readonly store: ObjectStore; readonly file: ParquetFile }> {
  const parts: Uint8Array[] = []
  const writer = createParquetFile({ rowGroupRows, plainColumns: [] }, (bytes) => parts.push(bytes.slice()))
  await writer.write(nestedBatch(schema, rows))
  await writer.close()
  const bytes = Buffer.concat(parts)
  const store = memoryStore()
  await store.put('f.parquet', bytes)
  return { store, file: await openParquet(store, 'f.parquet', bytes.length) }
}

function buffersOf(data: Data): ArrayBuffer[] {
  const own = [data.values, data.valueOffsets, data.nullCount > 0 ? data.nullBitmap : undefined] as (
    | Uint8Array
    | undefined
  )[]
  return [
    ...own.filter((view) => view !== undefined && view.byteLength > 0).map((view) => view!.buffer as ArrayBuffer),
    ...data.children.flatMap((child) => buffersOf(child as Data)),
  ]
}
const allBuffers = (batch: RecordBatch): ArrayBuffer[] => batch.data.children.flatMap((data) => buffersOf(data as Data))

test('rows of every type come in the order in which they are drawn, in batches that can be sent away', async () => {
  const drawn = randomTable(2, 20).chain(({ schema, rows }) => {
    const order = fc.shuffledSubarray(
      rows.map((_row, index) => index),
      { minLength: 0, maxLength: rows.length },
    )
    return fc.record({
      schema: fc.constant(schema),
      rows: fc.constant(rows),
      order,
      size: fc.integer({ min: 1, max: 7 }),
    })
  })
  await fc.assert(
    fc.asyncProperty(drawn, async ({ schema, rows, order, size }) => {
      const { file } = await write(schema, rows, 64)
      const picks: Int32Array[] = []
      for (let at = 0; at < order.length; at += size) picks.push(Int32Array.from(order.slice(at, at + size)))
      const group = await file.fetch(0, [schema])
      const batches = group.batches(schema, picks)
      const found = batches.flatMap((batch) => nestedRows(schema, batch))
      expect(found.map(canonical)).toEqual(order.map((row) => canonical(rows[row]!)))
      const buffers = batches.flatMap(allBuffers)
      expect(new Set(buffers).size).toBe(buffers.length)
      // Sending one away takes nothing from the others, nor from what is read later.
      const [first, ...others] = batches
      if (first !== undefined) structuredClone(null, { transfer: allBuffers(first) })
      const left = others.flatMap((batch) => nestedRows(schema, batch))
      expect(left.map(canonical)).toEqual(order.slice(size).map((row) => canonical(rows[row]!)))
      expect(nestedRows(schema, group.batch(schema)).map(canonical)).toEqual(rows.map(canonical))
    }),
    { numRuns: 80 },
  )
})
