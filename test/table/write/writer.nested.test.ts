/** What the writer makes of nested rows that are not as they should be, and of uuids. */
import { RecordBatch } from 'apache-arrow'
import { expect, test } from 'vitest'
import { arrowSchema } from '../../../table/format/arrow-schema.ts'
import { parseFooter } from '../../../table/format/parquet-footer.ts'
import { annotateUuids } from '../../../table/format/parquet-uuid.ts'
import { readThriftStruct, type ThriftStruct } from '../../../table/format/thrift.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { IcebergType, NestedField } from '../../../table/spec/types.ts'
import { createDataFileWriter, type DataFileWriter } from '../../../table/write/writer.ts'
import { memoryStore, type NestedRow, nestedBatch } from '../format/random-types.ts'

const field = (id: number, name: string, type: IcebergType, required = false): NestedField => ({
  id,
  name,
  required,
  type,
})
const schemaOf = (...fields: readonly NestedField[]): Schema => ({ schemaId: 0, identifierFieldIds: [], fields })
const store = memoryStore()
let files = 0
const writerOf = (schema: Schema): { writer: DataFileWriter; key: string } => {
  const fileNamePrefix = `f${files++}`
  const writer = createDataFileWriter({
    store,
    location: store.url,
    schema,
    spec: { specId: 0, fields: [] },
    partition: [],
    sortOrderId: 0,
    fileNamePrefix,
    targetFileSizeBytes: 1 << 20,
  })
  return { writer, key: `data/${fileNamePrefix}-0.parquet` }
}

const nested = (id: number, inner: boolean): Schema =>
  schemaOf(
    field(id, 's', { type: 'struct', fields: [field(id + 1, 'x', 'int', inner)] }),
    field(id + 2, 'l', { type: 'list', elementId: id + 3, elementRequired: inner, element: 'string' }),
    field(id + 4, 'm', {
      type: 'map',
      keyId: id + 5,
      key: 'string',
      valueId: id + 6,
      valueRequired: inner,
      value: 'int',
    }),
  )
const FULL: NestedRow = { s: { x: 1 }, l: ['a'], m: [['k', 1]] }

test.each<readonly [string, NestedRow]>([
  ['s.x', { ...FULL, s: { x: null } }],
  ['l.element', { ...FULL, l: ['a', null] }],
  ['m.key', { ...FULL, m: [[null, 1]] }],
  ['m.value', { ...FULL, m: [['k', null]] }],
])('a null in the required field %s is refused before anything is written', async (path, row) => {
  const { writer } = writerOf(nested(1, true))
  const batch = nestedBatch(nested(1, true), [FULL, row])
  await expect(writer.write(batch)).rejects.toThrow(`required column ${path} has 1 nulls`)
  expect(await writer.close()).toEqual([])
})

test('a child of a null struct is no null where none may be', async () => {
  const { writer } = writerOf(nested(1, true))
  await writer.write(nestedBatch(nested(1, true), [FULL, { s: null, l: null, m: null }]))
  const [file] = await writer.close()
  expect(file!.dataFile.nullValueCounts).toEqual(new Map([[2, 1]]))
})

test('the table decides the field ids at every depth, whatever the batch carries', async () => {
  const { writer, key } = writerOf(nested(1, false))
  const foreign = nestedBatch(nested(50, false), [FULL])
  await writer.write(new RecordBatch(arrowSchema(nested(50, false)), foreign.data))
  await writer.close()
  const { bytes } = await store.get(key, {})
  expect(parseFooter(bytes, key).leaves.map((leaf) => leaf.fieldId)).toEqual([2, 4, 6, 7])
})

test('a struct without fields is refused: Parquet has none', () => {
  const empty = schemaOf(
    field(1, 'l', { type: 'list', elementId: 2, elementRequired: true, element: { type: 'struct', fields: [] } }),
  )
  expect(() => writerOf(empty)).toThrow(expect.objectContaining({ code: 'FIRN_TYPE_UNSUPPORTED' }))
})

test('uuid columns, and no others, carry the logical type in the file, at every depth', async () => {
  const uuid = Uint8Array.from({ length: 16 }, (_, n) => n)
  const schema = schemaOf(
    field(1, 'u', 'uuid'),
    field(2, 'fixed', 'fixed[16]'),
    field(3, 'l', { type: 'list', elementId: 4, elementRequired: false, element: 'uuid' }),
  )
  const { writer, key } = writerOf(schema)
  await writer.write(nestedBatch(schema, [{ u: uuid, fixed: uuid, l: [uuid, null] }]))
  const [file] = await writer.close()
  const { bytes } = await store.get(key, {})
  expect(bytes.length).toBe(file!.dataFile.fileSizeBytes)
  const footer = bytes.length - 8 - Buffer.from(bytes).readUInt32LE(bytes.length - 8)
  const elements = readThriftStruct(bytes, footer).value.field_2 as readonly ThriftStruct[]
  const annotated = elements.filter((element) => (element.field_10 as ThriftStruct | undefined)?.field_14 !== undefined)
  expect(annotated.map((element) => element.field_9)).toEqual([1, 4])
})

test('a footer without the uuid column is not annotated by guess', async () => {
  const schema = schemaOf(field(1, 'n', 'int'))
  const { writer, key } = writerOf(schema)
  await writer.write(nestedBatch(schema, [{ n: 1 }]))
  await writer.close()
  const { bytes } = await store.get(key, {})
  expect(() => annotateUuids(Buffer.from(bytes), new Set([9]))).toThrow('expected 1 uuid columns')
  expect(() => annotateUuids(Buffer.from(bytes.subarray(-100)), new Set([1]))).toThrow()
})
