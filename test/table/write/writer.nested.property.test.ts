/** Nested columns through the writer and back, and what the writer says of them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openParquet } from '../../../table/format/parquet-reader.ts'
import { decodeLowerBound, decodeUpperBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { compareValues } from '../../../table/spec/compare.ts'
import { keyOfPath } from '../../../table/spec/location.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveType, type PrimitiveValue } from '../../../table/spec/types.ts'
import { createDataFileWriter, type DataFileWriterOptions } from '../../../table/write/writer.ts'
import { canonical, memoryStore, type NestedRow, nestedBatch, nestedRows, randomTable } from '../format/random-types.ts'

async function write(schema: Schema, rows: readonly NestedRow[], extra: Partial<DataFileWriterOptions> = {}) {
  const store = memoryStore()
  const writer = createDataFileWriter({
    store,
    location: store.url,
    schema,
    spec: { specId: 0, fields: [] },
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: 'f',
    targetFileSizeBytes: 1 << 30,
    ...extra,
  })
  await writer.write(nestedBatch(schema, rows))
  const [file] = await writer.close()
  const { dataFile } = file!
  const key = keyOfPath(store.url, dataFile.filePath)
  return { store, key, file: dataFile, parquet: await openParquet(store, key, dataFile.fileSizeBytes) }
}

test('rows of any type, nested three deep, come back as they went in, across row groups', async () => {
  await fc.assert(
    fc.asyncProperty(randomTable(3, 25), fc.integer({ min: 1, max: 30 }), async ({ schema, rows }, rowGroupRows) => {
      const { parquet } = await write(schema, rows, { rowGroupRows })
      const back: NestedRow[] = []
      for (let group = 0; group < parquet.rowGroups.length; group++) {
        back.push(...nestedRows(schema, await parquet.read(group, schema)))
      }
      expect(back.map(canonical)).toEqual(rows.map(canonical))
    }),
    { numRuns: 150 },
  )
})

/** Primitive fields outside lists and maps, with their value in each row. */
function columnsOf(
  fields: readonly NestedField[],
  rows: readonly (NestedRow | null)[],
): { field: NestedField; values: PrimitiveValue[] }[] {
  return fields.flatMap((field) => {
    const values = rows.map((row) => row?.[field.name] ?? null)
    if (isPrimitive(field.type)) return [{ field, values: values as PrimitiveValue[] }]
    return field.type.type === 'struct' ? columnsOf(field.type.fields, values as (NestedRow | null)[]) : []
  })
}

function checkCounts(file: DataFile, schema: Schema, rows: readonly NestedRow[]): void {
  const columns = columnsOf(schema.fields, rows)
  expect([...file.valueCounts.keys()].sort()).toEqual(columns.map(({ field }) => field.id).sort())
  for (const { field, values } of columns) {
    const type = field.type as PrimitiveType
    const numbers = values.filter((value) => value !== null && !Number.isNaN(value))
    const nans = values.filter((value) => Number.isNaN(value)).length
    expect(file.valueCounts.get(field.id)).toBe(rows.length)
    expect(file.nullValueCounts.get(field.id)).toBe(rows.length - numbers.length - nans)
    expect(file.nanValueCounts.get(field.id)).toBe(type === 'float' || type === 'double' ? nans : undefined)
    const lower = file.lowerBounds.get(field.id)
    const upper = file.upperBounds.get(field.id)
    expect(lower !== undefined).toBe(numbers.length > 0 && type !== 'uuid')
    for (const value of numbers) {
      if (lower === undefined) continue
      expect(compareValues(type, decodeLowerBound(type, lower), value)).toBeLessThanOrEqual(0)
      const above = upper && decodeUpperBound(type, upper)
      if (above !== undefined) expect(compareValues(type, above, value)).toBeGreaterThanOrEqual(0)
    }
  }
}

test('struct children are counted and bounded, in the manifest and in the footer; nothing inside lists and maps', async () => {
  await fc.assert(
    fc.asyncProperty(randomTable(2, 25), async ({ schema, rows }) => {
      const { file, parquet } = await write(schema, rows, { rowGroupRows: 7 })
      checkCounts(file, schema, rows)
      for (let group = 0; group < parquet.rowGroups.length; group++) {
        const ranges = parquet.statistics(group, schema)
        const columns = columnsOf(schema.fields, rows.slice(group * 7, group * 7 + 7))
        expect([...ranges.keys()].sort()).toEqual(columns.map(({ field }) => field.id).sort())
        for (const { field, values } of columns) {
          const range = ranges.get(field.id)!
          expect(range.values).toBe(values.length)
          // Of top-level uuids the footer says nothing: Java cannot filter by it.
          const silent = field.type === 'uuid' && schema.fields.includes(field)
          expect(range.nulls).toBe(silent ? undefined : values.filter((value) => value === null).length)
          for (const value of values.filter((one) => one !== null && !Number.isNaN(one))) {
            const { lower = value, upper = value } = range
            expect(compareValues(field.type as PrimitiveType, lower, value)).toBeLessThanOrEqual(0)
            expect(compareValues(field.type as PrimitiveType, upper, value)).toBeGreaterThanOrEqual(0)
          }
        }
      }
    }),
    { numRuns: 100 },
  )
})
