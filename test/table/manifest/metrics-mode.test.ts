/** Java's rules of what is recorded of which column, and the files that come of them. */
import { expect, test } from 'vitest'
import { metricsModes } from '../../../table/manifest/metrics-mode.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { SortOrder } from '../../../table/spec/sort.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { memoryStore, nestedBatch } from '../format/random-types.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'a', required: false, type: 'string' },
    {
      id: 2,
      name: 's',
      required: false,
      type: { type: 'struct', fields: [{ id: 3, name: 'b', required: false, type: 'string' }] },
    },
    { id: 4, name: 'c', required: false, type: 'double' },
  ],
}
const TRUNCATED = { truncate: 16 }
const by = (sourceId: number, transform: string): SortOrder => ({
  orderId: 1,
  fields: [{ sourceId, transform, direction: 'asc', nullOrder: 'nulls-first' }],
})
const modes = (properties: Record<string, string>, order?: SortOrder): unknown[] =>
  [1, 3, 4].map(metricsModes(SCHEMA, order, properties))

test('without properties bounds are cut to sixteen', () => {
  expect(modes({})).toEqual([TRUNCATED, TRUNCATED, TRUNCATED])
})

test('a default is of all columns, a column has its own by its full name; what is no mode does not count', () => {
  const properties = {
    'write.metadata.metrics.default': 'Counts',
    'write.metadata.metrics.column.s.b': 'TRUNCATE(3)',
    'write.metadata.metrics.column.c': 'everything',
    'write.metadata.metrics.column.b': 'full',
  }
  expect(modes(properties)).toEqual(['counts', { truncate: 3 }, 'counts'])
  expect(modes({ 'write.metadata.metrics.default': 'truncate(0)' })).toEqual([TRUNCATED, TRUNCATED, TRUNCATED])
})

test('columns that the file is sorted by have bounds, unless they are told not to', () => {
  const none = { 'write.metadata.metrics.default': 'none' }
  expect(modes(none, by(3, 'truncate[4]'))).toEqual(['none', TRUNCATED, 'none'])
  expect(modes(none, by(3, 'bucket[4]'))).toEqual(['none', 'none', 'none'])
  expect(modes({ 'write.metadata.metrics.default': 'full' }, by(3, 'identity'))).toEqual(['full', 'full', 'full'])
  expect(modes({ ...none, 'write.metadata.metrics.column.s.b': 'none' }, by(3, 'identity'))).toEqual([
    'none',
    'none',
    'none',
  ])
})

test('beyond the limit nothing is recorded of further columns, unless a default is set', () => {
  const limit = { 'write.metadata.metrics.max-inferred-column-defaults': '2' }
  expect(modes(limit)).toEqual([TRUNCATED, TRUNCATED, 'none'])
  expect(modes({ ...limit, 'write.metadata.metrics.default': 'full' })).toEqual(['full', 'full', 'full'])
  expect(modes(limit, by(4, 'identity'))).toEqual([TRUNCATED, TRUNCATED, TRUNCATED])
  expect(modes({ 'write.metadata.metrics.max-inferred-column-defaults': '-1' })).toEqual([
    TRUNCATED,
    TRUNCATED,
    TRUNCATED,
  ])
})

test('a file has of each column what its mode says', async () => {
  const store = memoryStore()
  const writer = createDataFileWriter({
    store,
    location: store.url,
    schema: SCHEMA,
    spec: { specId: 0, fields: [] },
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: 'f',
    targetFileSizeBytes: 1 << 20,
    properties: {
      'write.metadata.metrics.column.a': 'none',
      'write.metadata.metrics.column.s.b': 'full',
      'write.metadata.metrics.column.c': 'counts',
    },
  })
  const long = 'x'.repeat(40)
  await writer.write(
    nestedBatch(SCHEMA, [
      { a: 'q', s: { b: long }, c: Number.NaN },
      { a: 'r', s: null, c: 1 },
    ]),
  )
  const { dataFile } = (await writer.close())[0]!
  expect([...dataFile.columnSizes.keys()]).toEqual([3, 4])
  expect([...dataFile.valueCounts]).toEqual([
    [3, 2],
    [4, 2],
  ])
  expect([...dataFile.nullValueCounts]).toEqual([
    [3, 1],
    [4, 0],
  ])
  expect([...dataFile.nanValueCounts]).toEqual([[4, 1]])
  expect([...dataFile.lowerBounds.keys()]).toEqual([3])
  expect(Buffer.from(dataFile.upperBounds.get(3)!).toString()).toBe(long)
})
