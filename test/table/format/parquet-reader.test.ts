/** Files that contradict themselves. */
import { expect, test } from 'vitest'
import { openParquet } from '../../../table/format/parquet-reader.ts'
import { createParquetFile } from '../../../table/format/parquet-writer.ts'
import { batchOf, EVENTS, freshStore } from '../support.ts'

/** A Thrift compact i64 of one byte, zigzag: the 60 rows of the footer become 61. */
test('a footer whose row count is not that of its row groups is corrupt', async () => {
  const store = freshStore()
  const parts: Uint8Array[] = []
  const writer = createParquetFile({ rowGroupRows: 60, plainColumns: [] }, (bytes) => parts.push(bytes.slice()))
  await writer.write(
    batchOf(
      EVENTS,
      Array.from({ length: 60 }, (_, n) => ({ id: `r${n}`, n })),
    ),
  )
  await writer.close()
  const bytes = Buffer.concat(parts)
  await store.put('good.parquet', bytes)
  expect((await openParquet(store, 'good.parquet', bytes.length)).rowCount).toBe(60)
  const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)
  const lies = Array.from({ length: bytes.length - 8 - footer }, (_, index) => footer + index).filter(
    (at) => bytes[at] === 120,
  )
  const outcomes: string[] = []
  for (const at of lies) {
    const lie = Buffer.from(bytes)
    lie[at] = 122
    await store.put('lie.parquet', lie)
    const opened = await openParquet(store, 'lie.parquet', lie.length).catch((error: Error) => error)
    outcomes.push(opened instanceof Error ? opened.message : 'opened')
  }
  expect(outcomes.some((outcome) => outcome.includes('the footer says 61 rows, its row groups have 60'))).toBe(true)
  expect(outcomes.some((outcome) => outcome.includes('the footer says 60 rows, its row groups have 61'))).toBe(true)
})
