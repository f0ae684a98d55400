/** What the writer says about a file against what is in it. */
import { Schema as ArrowSchema, Field, RecordBatch, TimestampMillisecond } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openParquet } from '../../../table/format/parquet-reader.ts'
import { createParquetFile } from '../../../table/format/parquet-writer.ts'
import { decodeBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { dataFileFromJson, dataFileToJson } from '../../../table/manifest/data-file.ts'
import { compareValues } from '../../../table/spec/compare.ts'
import { keyOfPath } from '../../../table/spec/location.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { FLAT_TYPES } from '../flat-types.ts'
import { batchOf, EVENTS, freshStore, rowsOf, type TestRow } from '../support.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: FLAT_TYPES.map(([type], index) => ({ id: index + 1, name: `c${index + 1}`, required: false, type })),
}
const UNPARTITIONED = { specId: 0, fields: [] }

const rows: fc.Arbitrary<TestRow[]> = fc.array(
  fc.record(
    Object.fromEntries(FLAT_TYPES.map(([, values], index) => [`c${index + 1}`, fc.option(values, { freq: 4 })])),
  ),
  { minLength: 1, maxLength: 60 },
)

async function write(data: readonly TestRow[], rowGroupRows: number) {
  const store = freshStore()
  const options = { schema: SCHEMA, spec: UNPARTITIONED, partition: [], sortOrderId: 0, fileNamePrefix: 'f' }
  const writer = createDataFileWriter({
    store,
    location: store.url,
    ...options,
    targetFileSizeBytes: 1 << 30,
    rowGroupRows,
  })
  await writer.write(batchOf(SCHEMA, data))
  const [file] = await writer.close()
  return { store, file: file! }
}

const sameValue = (value: PrimitiveValue): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : Object.is(value, -0) ? 'minus zero' : value

test('every flat type comes back as it went in, nulls, NaN, -0.0 and all, across row groups', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 70 }), async (data, rowGroupRows) => {
      const { store, file } = await write(data, rowGroupRows)
      const key = keyOfPath(store.url, file.dataFile.filePath)
      const parquet = await openParquet(store, key, file.dataFile.fileSizeBytes)
      const back: TestRow[] = []
      for (let group = 0; group < parquet.rowGroups.length; group++)
        back.push(...rowsOf(SCHEMA, await parquet.read(group, SCHEMA)))
      expect(back.map((row) => Object.values(row).map((v) => (Object.is(v, -0) ? 'minus zero' : v)))).toEqual(
        data.map((row) => SCHEMA.fields.map((field) => sameValue(row[field.name] ?? null))),
      )
      expect(parquet.rowGroups.map((group) => group.rows)).toEqual(file.rowGroups.map((group) => group.rows))
      expect(parquet.rowGroups.every((group, i, all) => group.rows === rowGroupRows || i === all.length - 1)).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('counts are exact and bounds hold for every value', async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (data) => {
      const { file } = await write(data, 7)
      checkStatistics(file.dataFile, data)
      // As it travels between tasks.
      checkStatistics(dataFileFromJson(JSON.parse(JSON.stringify(dataFileToJson(file.dataFile)))), data)
    }),
    { numRuns: 60 },
  )
})

function checkStatistics(file: DataFile, data: readonly TestRow[]): void {
  expect(file.recordCount).toBe(data.length)
  for (const { id, name, type } of SCHEMA.fields) {
    const values = data.map((row) => row[name] ?? null)
    const present = values.filter((value) => value !== null)
    const numbers = present.filter((value) => !Number.isNaN(value))
    expect(file.valueCounts.get(id)).toBe(values.length)
    expect(file.nullValueCounts.get(id)).toBe(values.length - present.length)
    const isFloat = type === 'float' || type === 'double'
    expect(file.nanValueCounts.get(id)).toBe(isFloat ? present.length - numbers.length : undefined)
    expect(file.columnSizes.get(id)).toBeGreaterThan(0)
    const lower = file.lowerBounds.get(id)
    const upper = file.upperBounds.get(id)
    expect(lower !== undefined).toBe(numbers.length > 0)
    for (const value of numbers) {
      expect(
        compareValues(type as PrimitiveType, decodeBound(type as PrimitiveType, lower!), value),
      ).toBeLessThanOrEqual(0)
      if (upper !== undefined) {
        expect(
          compareValues(type as PrimitiveType, decodeBound(type as PrimitiveType, upper), value),
        ).toBeGreaterThanOrEqual(0)
      }
    }
  }
  expect([...file.splitOffsets]).toEqual([...file.splitOffsets].sort((a, b) => a - b))
  expect(file.splitOffsets[0]).toBe(4)
}

test('files roll at the target size, in order, with no row lost', async () => {
  const store = freshStore()
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'n', required: true, type: 'int' },
      { id: 2, name: 'noise', required: true, type: 'binary' },
    ],
  }
  const target = 200_000
  const writer = createDataFileWriter({
    store,
    location: store.url,
    schema,
    spec: UNPARTITIONED,
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: 'run',
    targetFileSizeBytes: target,
    rowGroupRows: 50,
  })
  let state = 1
  const noise = (): Uint8Array =>
    Uint8Array.from({ length: 400 }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state >>> 24
    })
  for (let start = 0; start < 3_000; start += 300) {
    await writer.write(
      batchOf(
        schema,
        Array.from({ length: 300 }, (_, i) => ({ n: start + i, noise: noise() })),
      ),
    )
  }
  const files = await writer.close()
  expect(files.length).toBeGreaterThan(3)
  for (const file of files.slice(0, -1)) {
    expect(file.dataFile.fileSizeBytes).toBeGreaterThanOrEqual(target)
    expect(file.dataFile.fileSizeBytes).toBeLessThan(target + 3 * 50 * 420)
  }
  const bounds = files.map(({ dataFile }) => [
    decodeBound('int', dataFile.lowerBounds.get(1)!),
    decodeBound('int', dataFile.upperBounds.get(1)!),
  ])
  let next = 0
  for (const [index, [low, high]] of bounds.entries()) {
    expect(low).toBe(next)
    next = Number(high) + 1
    expect(files[index]!.dataFile.recordCount).toBe(Number(high) - Number(low) + 1)
  }
  expect(next).toBe(3_000)
})

test('columns of another type or under other field ids cannot slip in', async () => {
  const store = freshStore()
  const fields = [
    { id: 1, name: 'a', required: false, type: 'timestamptz' },
    { id: 2, name: 'b', required: false, type: 'timestamptz' },
  ] as const
  const schema: Schema = { schemaId: 0, identifierFieldIds: [], fields }
  const options = { location: store.url, spec: UNPARTITIONED, partition: [], sortOrderId: 0 }
  const writer = createDataFileWriter({ store, schema, ...options, fileNamePrefix: 'f', targetFileSizeBytes: 1 << 20 })
  const millis = new Field('a', new TimestampMillisecond('UTC'), true)
  const wrong = new ArrowSchema([millis, new Field('b', new TimestampMillisecond('UTC'), true)])
  const good = batchOf(schema, [{ a: 1n, b: 2n }])
  await expect(writer.write(new RecordBatch(wrong, good.data))).rejects.toMatchObject({ code: 'FIRN_SCHEMA_MISMATCH' })
  // Whatever ids the caller's fields carry, the table's own are written.
  const swapped = batchOf(
    {
      ...schema,
      fields: [
        { ...fields[0], id: 2 },
        { ...fields[1], id: 1 },
      ],
    },
    [{ a: 1n, b: 2n }],
  )
  await writer.write(swapped)
  await writer.write(good)
  const [file] = await writer.close()
  const parquet = await openParquet(store, keyOfPath(store.url, file!.dataFile.filePath), file!.dataFile.fileSizeBytes)
  expect(rowsOf(schema, await parquet.read(0, schema))).toEqual([
    { a: 1n, b: 2n },
    { a: 1n, b: 2n },
  ])
})

test('an encoder that fails ends the writer instead of hanging it', async () => {
  const parquet = createParquetFile({ rowGroupRows: 10, plainColumns: [] }, () => {})
  const typed = (type: 'long' | 'int'): Schema => {
    return {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [EVENTS.fields[1]!, { id: 1, name: 'a', required: false, type }],
    }
  }
  const failing = async (): Promise<void> => {
    await parquet.write(batchOf(typed('long'), [{ a: 1n }]))
    await parquet.write(batchOf(typed('int'), [{ a: 1 }]))
    await parquet.close()
  }
  await expect(failing()).rejects.toMatchObject({ code: 'FIRN_PARQUET_WRITE_FAILED' })
})

test('a data file is never replaced: a prefix that was used before is refused', async () => {
  const store = freshStore()
  const write = async (value: number) => {
    const schema: Schema = { schemaId: 0, identifierFieldIds: [], fields: [SCHEMA.fields[1]!] }
    const options = { location: store.url, spec: UNPARTITIONED, partition: [], sortOrderId: 0, fileNamePrefix: 'same' }
    const writer = createDataFileWriter({ store, schema, ...options, targetFileSizeBytes: 1 << 20 })
    await writer.write(batchOf(schema, [{ c2: value }]))
    return writer.close()
  }
  await write(1)
  await expect(write(2)).rejects.toMatchObject({ code: 'FIRN_PRECONDITION_FAILED' })
})

test('partition values that JSON has no word for travel between tasks', async () => {
  const { file } = await write([{ c2: 1 }], 10)
  const partition = [Number.NaN, -0, Number.POSITIVE_INFINITY, 5n, Uint8Array.of(1), null, 'x', true]
  const back = dataFileFromJson(JSON.parse(JSON.stringify(dataFileToJson({ ...file.dataFile, partition }))))
  expect(back.partition).toEqual(partition)
  expect(Object.is(back.partition[1], -0)).toBe(true)
})

test('a null in a required column and columns in another order are refused before anything is written', async () => {
  const store = freshStore()
  const required: Schema = { ...SCHEMA, fields: [{ ...SCHEMA.fields[0]!, required: true }] }
  const options = { location: store.url, spec: UNPARTITIONED, partition: [], sortOrderId: 0, fileNamePrefix: 'f' }
  const writer = createDataFileWriter({ store, schema: required, ...options, targetFileSizeBytes: 1 })
  const nullable: Schema = { ...required, fields: [{ ...required.fields[0]!, required: false }] }
  await expect(writer.write(batchOf(nullable, [{ c1: null }]))).rejects.toMatchObject({ code: 'FIRN_SCHEMA_MISMATCH' })
  await expect(writer.write(batchOf(SCHEMA, [{}]))).rejects.toMatchObject({ code: 'FIRN_SCHEMA_MISMATCH' })
  expect(await writer.close()).toEqual([])
  for await (const object of store.list('')) expect.fail(`${object.key} was written`)
})
