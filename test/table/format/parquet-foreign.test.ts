/**
 * Files of PyArrow and Spark, written by test/interop/parquet_fixtures.py: their shapes of lists and maps, their units,
 * codecs and encodings, with field ids and without.
 */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { IcebergValue } from '../../../table/format/arrow-values.ts'
import { type OpenParquetOptions, openParquet, type ParquetFile } from '../../../table/format/parquet-reader.ts'
import { parseNameMapping } from '../../../table/spec/name-mapping.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { IcebergType, NestedField, PrimitiveType } from '../../../table/spec/types.ts'
import { canonical, memoryStore, type NestedRow, nestedRows } from './random-types.ts'

async function open(name: string, options: OpenParquetOptions = {}): Promise<ParquetFile> {
  const store = memoryStore()
  const bytes = await readFile(new URL(`../../fixtures/parquet/${name}.parquet`, import.meta.url))
  await store.put('file.parquet', bytes)
  return openParquet(store, 'file.parquet', bytes.length, options)
}

const field = (id: number, name: string, type: IcebergType, required = false): NestedField => ({
  id,
  name,
  required,
  type,
})
const schemaOf = (...fields: readonly NestedField[]): Schema => ({ schemaId: 0, identifierFieldIds: [], fields })
const list = (elementId: number, element: IcebergType): IcebergType => ({
  type: 'list',
  elementId,
  elementRequired: false,
  element,
})
const map = (keyId: number, valueId: number, value: IcebergType): IcebergType => ({
  type: 'map',
  keyId,
  key: 'string',
  valueId,
  valueRequired: false,
  value,
})
const struct = (...fields: readonly NestedField[]): IcebergType => ({ type: 'struct', fields })

async function rowsOf(file: ParquetFile, schema: Schema): Promise<NestedRow[]> {
  const rows: NestedRow[] = []
  for (let group = 0; group < file.rowGroups.length; group++) {
    rows.push(...nestedRows(schema, await file.read(group, schema)))
  }
  return rows
}

const NESTED = schemaOf(
  field(1, 'key', 'long', true),
  field(2, 'point', struct(field(3, 'x', 'int', true), field(4, 'note', 'string'))),
  field(5, 'lists', list(6, list(7, 'string'))),
  field(8, 'map', map(9, 10, struct(field(11, 'v', 'double')))),
)
const NESTED_ROWS: readonly IcebergValue[] = [
  {
    key: 1n,
    point: { x: 1, note: 'a' },
    lists: [['p', null], [], null],
    map: [
      ['one', { v: 1.5 }],
      ['two', null],
    ],
  },
  { key: 2n, point: null, lists: null, map: null },
  { key: 3n, point: { x: 3, note: null }, lists: [], map: [] },
  { key: 4n, point: { x: 4, note: 'd' }, lists: [[null], ['q']], map: [['three', { v: null }]] },
]

test.each(['nested-v1', 'nested-v2'])('%s of PyArrow: nested columns with nulls at every level', async (name) => {
  expect(await rowsOf(await open(name), NESTED)).toEqual(NESTED_ROWS)
})

test('columns are their ids: a child renamed, dropped and added again under its name, moved', async () => {
  const file = await open('nested-v1')
  const changed = schemaOf(
    field(8, 'm', map(9, 10, struct(field(12, 'v', 'double'), field(11, 'was_v', 'double')))),
    field(2, 'p', struct(field(20, 'note', 'string'), field(4, 'was_note', 'string'), field(3, 'x', 'long'))),
    field(21, 'lists', list(22, 'int')),
  )
  expect((await rowsOf(file, changed))[0]).toEqual({
    m: [
      ['one', { v: null, was_v: 1.5 }],
      ['two', null],
    ],
    p: { note: null, was_note: 'a', x: 1n },
    lists: null,
  })
})

test('a struct, list or map whose fields are all new keeps its nulls and lengths', async () => {
  const file = await open('nested-v2')
  const added = schemaOf(
    field(2, 'point', struct(field(30, 'new', 'int'))),
    field(8, 'map', map(9, 10, struct(field(31, 'new', 'int')))),
  )
  expect(await rowsOf(file, added)).toEqual([
    {
      point: { new: null },
      map: [
        ['one', { new: null }],
        ['two', null],
      ],
    },
    { point: null, map: null },
    { point: { new: null }, map: [] },
    { point: { new: null }, map: [['three', { new: null }]] },
  ])
})

test('what the file does not have is the constant, else the initial default, else null, else an error', async () => {
  const file = await open('nested-v1')
  const missing = field(40, 'new', 'string')
  const withDefault: NestedField = { ...missing, initialDefault: 'dflt' }
  const inside = (child: NestedField): Schema => schemaOf(field(2, 'point', struct(child)))
  const first = async (schema: Schema, constants?: ReadonlyMap<number, string>): Promise<unknown> =>
    nestedRows(schema, await file.read(0, schema, constants && { constants }))[0]
  expect(await first(inside(missing))).toEqual({ point: { new: null } })
  expect(await first(inside(withDefault))).toEqual({ point: { new: 'dflt' } })
  expect(await first(inside(withDefault), new Map([[40, 'const']]))).toEqual({ point: { new: 'const' } })
  // A column that the file has is read, whatever the partition says.
  expect(await first(inside(field(4, 'note', 'string')), new Map([[4, 'const']]))).toEqual({ point: { note: 'a' } })
  expect(await first(schemaOf({ ...withDefault, required: true }))).toEqual({ new: 'dflt' })
  await expect(first(schemaOf({ ...missing, required: true }))).rejects.toMatchObject({
    code: 'FIRN_PARQUET_CORRUPT',
  })
})

test('nulls of the file in a required column, at any depth, are damage', async () => {
  const file = await open('nested-v1')
  const point = schemaOf(field(2, 'point', struct(field(4, 'note', 'string')), true))
  const note = schemaOf(field(2, 'point', struct(field(4, 'note', 'string', true))))
  const inner = schemaOf(
    field(5, 'lists', { ...(list(6, list(7, 'string')) as object), elementRequired: true } as never),
  )
  for (const schema of [point, note, inner]) {
    await expect(file.read(0, schema)).rejects.toMatchObject({ code: 'FIRN_PARQUET_CORRUPT' })
  }
  // A child of a null struct is no null of its own.
  const x = schemaOf(field(2, 'point', struct(field(3, 'x', 'int', true))))
  expect((await rowsOf(file, x))[1]).toEqual({ point: null })
})

const UNITS: readonly (readonly [number, string, PrimitiveType, IcebergValue])[] = [
  [1, 'millis', 'timestamptz', -1_000n],
  [2, 'nanos', 'timestamp', -1n],
  [3, 'time_millis', 'time', 3_723_004_000n],
  [4, 'time_nanos', 'time', 3_723_000_004n],
  [5, 'u8', 'int', 200],
  [6, 'u32', 'long', 4_000_000_000n],
  [7, 'small', 'decimal(9, 2)', -125n],
  [7, 'small', 'decimal(20, 2)', -125n],
  [8, 'large', 'decimal(30, 2)', -1_234_567_890_123_456_789_012n],
  [8, 'large', 'decimal(38, 2)', -1_234_567_890_123_456_789_012n],
  [9, 'day', 'date', -1],
  [9, 'day', 'timestamp', -86_400_000_000n],
  [10, 'id', 'uuid', Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex')],
  [11, 'single', 'float', 1.5],
  [11, 'single', 'double', 1.5],
  [12, 'whole', 'int', -7],
  [12, 'whole', 'long', -7n],
  [13, 'fixed', 'fixed[3]', Buffer.from('abc')],
]

test.each(UNITS)('column %i, %s, as %s, in its rows and in the footer', async (id, name, type, value) => {
  const file = await open('units')
  const schema = schemaOf(field(id, name, type))
  expect((await rowsOf(file, schema)).map((row) => canonical(row[name]!))).toEqual([canonical(value), null])
  const range = file.statistics(0, schema).get(id)!
  expect([range.values, range.nulls]).toEqual([2, 1])
  // What has no order in the footer has no bounds; what has them, has the value.
  if (range.lower !== undefined) expect(canonical(range.lower)).toEqual(canonical(value))
  if (range.upper !== undefined) expect(canonical(range.upper)).toEqual(canonical(value))
  expect(range.lower === undefined).toBe(false)
})

test.each([
  [12, 'string'],
  [12, 'double'],
  [6, 'int'],
  [14, 'long'],
  [7, 'decimal(9, 3)'],
  [7, 'decimal(8, 2)'],
  [11, 'int'],
  [13, 'fixed[4]'],
  [13, 'uuid'],
  [9, 'list'],
] as const)('column %i cannot be read as %s: no promotion leads there', async (id, type) => {
  const wanted: IcebergType = type === 'list' ? list(99, 'int') : type
  await expect((await open('units')).read(0, schemaOf(field(id, 'c', wanted)))).rejects.toMatchObject({
    code: 'FIRN_PARQUET_CORRUPT',
  })
})

const CODECS = ['snappy', 'gzip', 'zstd', 'lz4', 'brotli', 'none'].flatMap((codec) => [`${codec}-v1`, `${codec}-v2`])

test.each([...CODECS, 'delta'])('%s: pages, dictionaries and nulls', async (name) => {
  const schema = schemaOf(field(1, 'n', 'int', true), field(2, 'text', 'string'))
  const file = await open(name)
  expect(await rowsOf(file, schema)).toEqual(
    Array.from({ length: 200 }, (_, n) => ({
      n,
      text: n % 5 === 0 ? null : `${'text'.repeat(3)}-${n % 7}-${String.fromCodePoint(0x1f600 + (n % 3))}`,
    })),
  )
  const { lower, upper, nulls } = file.statistics(0, schema).get(2)!
  expect([lower, upper, nulls]).toEqual(['texttexttext-0-😀', 'texttexttext-6-😂', 40])
})

const MAPPING = JSON.stringify([
  { 'field-id': 1, names: ['id', 'key'] },
  {
    'field-id': 2,
    names: ['point'],
    fields: [
      { 'field-id': 3, names: ['x'] },
      { 'field-id': 4, names: ['note'] },
    ],
  },
  {
    'field-id': 5,
    names: ['lists'],
    fields: [{ 'field-id': 6, names: ['element'], fields: [{ 'field-id': 7, names: ['element'] }] }],
  },
  {
    'field-id': 8,
    names: ['map'],
    fields: [
      { 'field-id': 9, names: ['key'] },
      { 'field-id': 10, names: ['value'], fields: [{ 'field-id': 11, names: ['v'] }] },
    ],
  },
])

test('files without field ids are read by the name mapping, and refused without one', async () => {
  expect(await rowsOf(await open('no-ids', { nameMapping: parseNameMapping(MAPPING) }), NESTED)).toEqual(NESTED_ROWS)
  await expect(open('no-ids')).rejects.toMatchObject({ code: 'FIRN_PARQUET_NO_FIELD_IDS' })
})

test('a mapping never overrides ids, and what it does not name is not in the file', async () => {
  const other = parseNameMapping('[{"field-id": 1, "names": ["point"]}]')
  expect(await rowsOf(await open('nested-v1', { nameMapping: other }), NESTED)).toEqual(NESTED_ROWS)
  const file = await open('no-ids', { nameMapping: parseNameMapping('[{"field-id": 1, "names": ["key"]}]') })
  const some = schemaOf(field(1, 'k', 'long'), field(2, 'point', struct(field(3, 'x', 'int'))))
  expect((await rowsOf(file, some))[0]).toEqual({ k: 1n, point: null })
})

test.each(['{', '{}', '[{"names": [1]}]', '[{"field-id": "1", "names": []}]'])('the mapping %s is refused', (text) => {
  expect(() => parseNameMapping(text)).toThrow(expect.objectContaining({ code: 'FIRN_METADATA_CORRUPT' }))
})

const SPARK = schemaOf(
  field(1, 'key', 'long'),
  field(2, 'at', 'timestamptz'),
  field(3, 'with_nulls', list(4, 'string')),
  field(5, 'no_nulls', list(6, 'int')),
  field(7, 'map', map(8, 9, 'long')),
  field(10, 'point', struct(field(11, 'x', 'int'), field(12, 'note', 'string'))),
  field(13, 'structs', list(14, struct(field(15, 'v', 'double')))),
  field(16, 'dec', 'decimal(9, 2)'),
)

/** As Java makes it from a schema. */
const mappingOf = (fields: readonly NestedField[]): unknown[] =>
  fields.map(({ id, name, type }) => ({ 'field-id': id, names: [name], fields: mappingOf(partsOf(type)) }))
function partsOf(type: IcebergType): readonly NestedField[] {
  if (typeof type === 'string' || type.type === 'unsupported') return []
  if (type.type === 'struct') return type.fields
  if (type.type === 'list') return [field(type.elementId, 'element', type.element)]
  return [field(type.keyId, 'key', type.key), field(type.valueId, 'value', type.value)]
}

test.each(['spark', 'spark-legacy'])(
  '%s: INT96 timestamps to the microsecond, lists of two and of three levels',
  async (name) => {
    const nameMapping = parseNameMapping(JSON.stringify(mappingOf(SPARK.fields)))
    const file = await open(name, { nameMapping })
    expect(await rowsOf(file, SPARK)).toEqual([
      {
        key: 1n,
        at: -1n,
        with_nulls: ['a', null],
        no_nulls: [1, 2],
        map: [['k', 1n]],
        point: { x: 1, note: 'n' },
        structs: [{ v: 1.5 }],
        dec: 1234n,
      },
      {
        key: 2n,
        at: 1_795_275_000_123_456n,
        with_nulls: null,
        no_nulls: null,
        map: null,
        point: null,
        structs: null,
        dec: null,
      },
    ])
    const at = file.statistics(0, SPARK).get(2)!
    expect([at.lower, at.upper]).toEqual([undefined, undefined])
  },
)
