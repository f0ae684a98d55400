/** The filter language over every type, nested columns and the newer predicates. */
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { columnsOf, evaluate } from '../../../table/scan/expression.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const optional = (id: number, name: string, type: PrimitiveType) => ({ id, name, required: false, type }) as const
const inside = (fields: readonly ReturnType<typeof optional>[]) => ({ type: 'struct', fields }) as const

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    optional(1, 'id', 'string'),
    optional(2, 'score', 'double'),
    optional(3, 'ratio', 'float'),
    optional(4, 'clock', 'time'),
    optional(5, 'local', 'timestamp'),
    optional(6, 'key', 'uuid'),
    optional(7, 'bytes', 'binary'),
    optional(8, 'code', 'fixed[2]'),
    optional(9, 'price', 'decimal(9, 2)'),
    optional(10, 'n', 'int'),
    optional(11, 'a.b', 'int'),
    { id: 12, name: 'a', required: false, type: inside([optional(13, 'c', 'int'), optional(14, 'x "y".z', 'int')]) },
    {
      id: 15,
      name: 'tags',
      required: false,
      type: { type: 'list', elementId: 16, elementRequired: false, element: inside([optional(17, 'word', 'string')]) },
    },
    {
      id: 18,
      name: 'm',
      required: false,
      type: { type: 'map', keyId: 19, key: 'string', valueId: 20, valueRequired: false, value: 'int' },
    },
    { id: 21, name: 'v', required: false, type: { type: 'unsupported', name: 'variant' } },
    optional(22, 'starts', 'int'),
  ],
}

const matches = (text: string, row: Readonly<Record<string, PrimitiveValue>>): boolean | undefined =>
  evaluate(parseWhere(text, SCHEMA), (column) => row[column.name] ?? null)

describe('a filter', () => {
  test.each<[string, Readonly<Record<string, PrimitiveValue>>, boolean | undefined]>([
    ["id starts with 'ab'", { id: 'abc' }, true],
    ["id not starts with 'ab'", { id: 'abc' }, false],
    ["id STARTS WITH ''", { id: '' }, true],
    ["id starts with 'ab'", {}, undefined],
    ["id not starts with 'ab'", {}, undefined],
    ['score is nan', { score: Number.NaN }, true],
    ['score is not nan', { score: 1 }, true],
    // Never unknown, as in Spark and Java.
    ['score is nan', {}, false],
    ['score is not nan', {}, true],
    ['n between 1 and 3', { n: 3 }, true],
    ['n between 1 and 3 and n <> 3', { n: 3 }, false],
    ['n not between 1 and 3', { n: 0 }, true],
    ['n between 1 and 3', {}, undefined],
    ["clock >= '12:30'", { clock: 45_000_000_000n }, true],
    ["clock = '12:30:00.000001'", { clock: 45_000_000_001n }, true],
    ["local = '1969-12-31T23:59:59.999999'", { local: -1n }, true],
    ["local < '1970-01-01'", { local: -1n }, true],
    [
      "key = 'F79C3E09-677C-4BBD-A479-3F349CB785E7'",
      { key: Uint8Array.from(Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex')) },
      true,
    ],
    ["bytes > X'0aff'", { bytes: Uint8Array.of(10, 255, 0) }, true],
    ["bytes = x''", { bytes: Uint8Array.of() }, true],
    ["code in (X'0000', X'000a')", { code: Uint8Array.of(0, 10) }, true],
    ['price = -12.5', { price: -1250n }, true],
    ['price between 0.01 and 1', { price: 100n }, true],
    ['a.c = 1', { 'a.c': 1 }, true],
    // The column of that name, before the one in the struct.
    ['a.b = 1', { 'a.b': 1 }, true],
    ['"a.b" = 1', { 'a.b': 1 }, true],
    ['"a".c = 1', { 'a.c': 1 }, true],
    ['a."x ""y"".z" = 1', { 'a.x "y".z': 1 }, true],
    ['starts = 1', { starts: 1 }, true],
  ])('%s on %o is %s', (text, row, expected) => {
    expect(matches(text, row)).toBe(expected)
  })

  test.each<[string, boolean]>([
    ["score = 'NaN'", true],
    ['score > 1e308', true],
    ["score > 'Infinity'", true],
    ["score <= 'Infinity'", false],
    ["score < 'nan'", false],
    ["score in (1, 'NaN')", true],
    ['score <> 1', true],
  ])('%s is %s for NaN: it equals itself and is above everything, as in Spark', (text, expected) => {
    expect(matches(text, { score: Number.NaN })).toBe(expected)
  })

  test('does not tell the zeros apart', () => {
    expect(matches('score = 0', { score: -0 })).toBe(true)
    expect(matches('score < 0', { score: -0 })).toBe(false)
  })

  test('a list with null is true or unknown, as in SQL', () => {
    const column = { fieldId: 10, name: 'n', type: 'int' } as const
    const list = { kind: 'in', column, values: [1, null] } as const
    expect([1, 2, null].map((n) => evaluate(list, () => n))).toEqual([true, undefined, undefined])
  })

  test('names the columns that it needs, inside of structs the leaf', () => {
    expect([...columnsOf(parseWhere("a.c = 1 and not (id starts with 'a' or score is nan)", SCHEMA))]).toEqual([
      13, 1, 2,
    ])
    expect(parseWhere('a.c = 1', SCHEMA)).toMatchObject({ column: { fieldId: 13, name: 'a.c', type: 'int' } })
  })
})

describe('a bad filter', () => {
  test.each([
    ['n starts with 1', 'column n is int, not text'],
    ["id starts 'a'", 'expected "with"'],
    ['n is nan', 'only floats can be NaN'],
    ['n is 3', 'expected "null" or "nan"'],
    ['n between 1 or 3', 'expected "and"'],
    ['n not = 1', 'expected = !='],
    ["bytes = X'0'", "write it like X'0a0a'"],
    ["bytes = X'zz'", 'no such value'],
    ["code = X'00'", 'column code is fixed[2]'],
    ["key = 'f79c3e09'", 'column key is uuid'],
    ["clock = '24:00'", "write it like '12:30:00.5'"],
    ["local = '2026-01-01T00:00:00Z'", 'column local is timestamp'],
    ['price = 1.234', 'column price is decimal(9, 2)'],
    ['price = 12345678.00', 'column price is decimal(9, 2)'],
    ["score = 'wat'", "write it like -1.5e3 or 'NaN'"],
    ["id = '\ud800'", 'no such value'],
    ['tags = 1', 'is nested'],
    ["tags.element.word = 'a'", 'inside a list or map'],
    ['m.value = 1', 'inside a list or map'],
    ['v is null', 'has the type variant'],
    [`n = ${'9'.repeat(100_000)}`, 'no such value'],
  ])('%s: %s', (text, message) => {
    const error = (() => {
      try {
        return parseWhere(text, SCHEMA)
      } catch (caught) {
        return caught
      }
    })()
    expect(FirnError.is(error, 'FIRN_WHERE_INVALID')).toBe(true)
    expect((error as FirnError).message).toContain(message)
  })

  test.each(['a.nope = 1', '"a.c" = 1', 'a."b" = 1', 'nope.c = 1'])('%s names no column', (text) => {
    expect(() => parseWhere(text, SCHEMA)).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
  })
})
