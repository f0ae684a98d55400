/** Single decisions: what has to be skipped for a scan to be cheap, and what must not be for it to be right. */
import { describe, expect, test } from 'vitest'
import { encodeBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { evaluate } from '../../../table/scan/expression.ts'
import { fileMayMatch, fileMustMatch, manifestMayMatch, rowGroupMayMatch } from '../../../table/scan/prune.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { applyTransform } from '../../../table/spec/transform.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const optional = (id: number, name: string, type: PrimitiveType) => ({ id, name, required: false, type }) as const
const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    optional(1, 'id', 'string'),
    optional(2, 'ts', 'timestamptz'),
    optional(3, 'n', 'int'),
    optional(4, 'big', 'long'),
    optional(5, 'score', 'double'),
    { id: 6, name: 'place', required: false, type: { type: 'struct', fields: [optional(7, 'zip', 'int')] } },
    { id: 8, name: 'fixed', required: true, type: { type: 'struct', fields: [optional(9, 'zip', 'int')] } },
  ],
}
const UNPARTITIONED = { specId: 0, fields: [] }

interface Statistics {
  readonly lower?: PrimitiveValue | Uint8Array
  readonly upper?: PrimitiveValue | Uint8Array
  readonly nulls?: number
  readonly nans?: number
}

/** A file of ten rows with statistics of one column. */
function fileOf(id: number, type: PrimitiveType, { lower, upper, nulls, nans }: Statistics): DataFile {
  const one = <T>(value: T | undefined): ReadonlyMap<number, T> => new Map(value === undefined ? [] : [[id, value]])
  const bound = (value: PrimitiveValue | undefined): Uint8Array | undefined =>
    value === undefined || value instanceof Uint8Array ? value : encodeBound(type, value)
  return {
    content: 'data',
    filePath: 'memory://t/f.parquet',
    fileFormat: 'PARQUET',
    specId: 0,
    partition: [],
    recordCount: 10,
    fileSizeBytes: 1,
    columnSizes: new Map(),
    valueCounts: one(10),
    nullValueCounts: one(nulls),
    nanValueCounts: one(nans),
    lowerBounds: one(bound(lower)),
    upperBounds: one(bound(upper)),
    splitOffsets: [],
    equalityIds: [],
  }
}

/** `all`, `some` or `none` of the rows, as far as it can be told. */
function verdict(where: string, file: DataFile, spec: Parameters<typeof fileMayMatch>[2] = UNPARTITIONED): string {
  const filter = parseWhere(where, SCHEMA)
  if (fileMustMatch(filter, file, spec, SCHEMA)) return 'all'
  return fileMayMatch(filter, file, spec, SCHEMA) ? 'some' : 'none'
}

test.each([
  ['n > 0', 'all'],
  ['n >= 5', 'some'],
  ['n > 9', 'none'],
  ['n <= 9', 'all'],
  ['n <> 10', 'all'],
  ['n = 10', 'none'],
  ['n in (0, 10)', 'none'],
  ['n not in (0, 10)', 'all'],
  ['n is null', 'none'],
  ['n is not null', 'all'],
  ['n between 1 and 9', 'all'],
  ['n not between 1 and 9', 'none'],
  ['n > 0 and n < 5', 'some'],
  ['n > 0 or n = 100', 'all'],
  ['not (n > 9 or n < 1)', 'all'],
  ["n > 0 or id = 'a'", 'all'],
  ["n > 0 and id = 'a'", 'some'],
])('from 1 to 9 without nulls, %s: %s', (where, expected) => {
  expect(verdict(where, fileOf(3, 'int', { lower: 1, upper: 9, nulls: 0 }))).toBe(expected)
})

describe('a claim that all rows match', () => {
  test('needs the nulls counted: a comparison with null is not true', () => {
    for (const nulls of [undefined, 1]) {
      const file = fileOf(3, 'int', { lower: 1, upper: 9, ...(nulls === undefined ? {} : { nulls }) })
      expect(verdict('n > 0', file)).toBe('some')
      expect(verdict('not n > 9', file)).toBe('some')
    }
    expect(verdict('n is null', fileOf(3, 'int', { nulls: 10 }))).toBe('all')
    expect(verdict('n = 1 or n <> 1', fileOf(3, 'int', { nulls: 10 }))).toBe('none')
  })

  test('needs the NaN counted, where NaN decides', () => {
    const counted = fileOf(5, 'double', { lower: 1, upper: 9, nulls: 0, nans: 0 })
    const unknown = fileOf(5, 'double', { lower: 1, upper: 9, nulls: 0 })
    expect([verdict('score < 10', counted), verdict('score < 10', unknown)]).toEqual(['all', 'some'])
    // NaN is above everything.
    expect([verdict('score > 9', counted), verdict('score > 9', unknown)]).toEqual(['none', 'some'])
    expect([verdict('score > 0', counted), verdict('score > 0', unknown)]).toEqual(['all', 'all'])
    expect([verdict('score is nan', counted), verdict('score is not nan', counted)]).toEqual(['none', 'all'])
    expect(verdict("score = 'NaN'", fileOf(5, 'double', { nulls: 0, nans: 10 }))).toBe('all')
  })

  test('is not made of a column in an optional struct, for writers count its nulls differently', () => {
    const statistics = { lower: 1, upper: 9, nulls: 0 }
    expect(verdict('place.zip > 0', fileOf(7, 'int', statistics))).toBe('some')
    expect(verdict('place.zip is null', fileOf(7, 'int', statistics))).toBe('some')
    expect(verdict('place.zip > 9', fileOf(7, 'int', statistics))).toBe('none')
    expect(verdict('fixed.zip > 0', fileOf(9, 'int', statistics))).toBe('all')
  })

  test('is made of truncated text where the cut does not matter', () => {
    const file = fileOf(1, 'string', { lower: 'abcd', upper: 'abce', nulls: 0 })
    expect(verdict("id starts with 'ab'", file)).toBe('all')
    expect(verdict("id starts with 'abcd'", file)).toBe('some')
    expect(verdict("id starts with 'b'", file)).toBe('none')
    expect(verdict("id not starts with 'b'", file)).toBe('all')
    expect(verdict("id >= 'abcd'", file)).toBe('all')
  })
})

describe('bounds of other writers', () => {
  test('that end inside of a character compare as bytes', () => {
    // C3 is the first half of é (C3 A9): as text it would be U+FFFD, above é.
    const file = fileOf(1, 'string', { lower: Uint8Array.of(0xc3), upper: Uint8Array.of(0xc4), nulls: 0 })
    expect(verdict("id = 'é'", file)).toBe('some')
    expect(verdict("id < 'z'", file)).toBe('none')
  })

  test('as wide as before a promotion are read, of no known width are ignored', () => {
    const narrow = { lower: encodeBound('int', 1), upper: encodeBound('int', 9), nulls: 0 }
    expect(verdict('big > 9', fileOf(4, 'long', narrow))).toBe('none')
    expect(verdict('big > 9', fileOf(4, 'long', { ...narrow, upper: Uint8Array.of(1, 2, 3) }))).toBe('some')
    expect(verdict('score > 9', fileOf(5, 'double', { upper: encodeBound('float', 9), nulls: 0, nans: 0 }))).toBe(
      'none',
    )
    // A date that became a timestamp counts days, not microseconds.
    expect(verdict("ts > '2000-01-01'", fileOf(2, 'timestamptz', { ...narrow }))).toBe('some')
  })

  test('that contradict each other are ignored', () => {
    expect(verdict('n = 5', fileOf(3, 'int', { lower: 9, upper: 1, nulls: 0 }))).toBe('some')
  })

  test('of zeros do not tell -0.0 from 0.0', () => {
    const zero = fileOf(5, 'double', { lower: 0, upper: 0, nulls: 0, nans: 0 })
    expect(verdict('score = 0', zero)).toBe('all')
    expect(verdict('score < 0', zero)).toBe('none')
    expect(verdict('score = 0', fileOf(5, 'double', { lower: -0, upper: -0, nulls: 0, nans: 0 }))).toBe('all')
  })
})

describe('a partition', () => {
  const DAY = 86_400_000_000n
  const at = (sourceId: number, transform: string, value: PrimitiveValue, where: string): string =>
    verdict(
      where,
      { ...fileOf(0, 'int', {}), partition: [value] },
      { specId: 0, fields: [{ sourceId, fieldId: 1000, name: 'p', transform }] },
    )

  test.each([
    ['year', 50, "ts < '2020-01-01'", 'none'],
    ['year', 50, "ts >= '2020-01-01' and ts < '2021-01-01'", 'all'],
    ['month', 600, "ts < '2020-02-01'", 'all'],
    ['day', 18_262, "ts < '2020-01-01T00:00:00Z'", 'none'],
    ['day', 18_262, "ts <= '2020-01-01T00:00:00Z'", 'some'],
    ['hour', 438_288, "ts between '2020-01-01' and '2020-01-01T00:59:59.999999Z'", 'all'],
    ['day', 18_262, 'ts is null', 'none'],
    ['day', null, 'ts is null', 'all'],
    ['void', null, 'ts is null', 'some'],
    ['zorder', 'x', 'ts is null', 'some'],
  ])('%s %s, %s: %s', (transform, value, where, expected) => {
    expect(at(2, transform, value, where)).toBe(expected)
  })

  test('written by rounding toward zero holds times of the unit before as well', () => {
    // 1969-12-31T23:00 is day -1, and 0 where the division truncates.
    expect(at(2, 'day', 0, "ts = '1969-12-31T23:00:00Z'")).toBe('some')
    expect(at(2, 'day', 0, "ts >= '1970-01-01'")).toBe('some')
    expect(at(2, 'day', 1, "ts < '1970-01-02'")).toBe('none')
    expect(applyTransform('day', 'timestamptz', -DAY / 24n)).toBe(-1)
  })

  test('by bucket is found by equality only', () => {
    const bucket = Number(applyTransform('bucket[16]', 'string', 'a'))
    expect(at(1, 'bucket[16]', bucket, "id = 'a'")).toBe('some')
    expect(at(1, 'bucket[16]', (bucket + 1) % 16, "id = 'a'")).toBe('none')
    expect(at(1, 'bucket[16]', (bucket + 1) % 16, "id in ('a', 'a')")).toBe('none')
    expect(at(1, 'bucket[16]', (bucket + 1) % 16, "id <> 'a'")).toBe('all')
    expect(at(1, 'bucket[16]', bucket, "id <> 'a'")).toBe('some')
    expect(at(1, 'bucket[16]', bucket, "id > 'a'")).toBe('some')
  })

  test('by prefix is a range of text', () => {
    expect(at(1, 'truncate[3]', 'abc', "id starts with 'ab'")).toBe('all')
    expect(at(1, 'truncate[3]', 'abc', "id starts with 'abcd'")).toBe('some')
    expect(at(1, 'truncate[3]', 'abc', "id starts with 'abd'")).toBe('none')
    expect(at(1, 'truncate[3]', 'abc', "id < 'abd'")).toBe('all')
    expect(at(1, 'truncate[3]', 'abc', "id >= 'abd'")).toBe('none')
    // Shorter than the width: the value itself.
    expect(at(1, 'truncate[3]', 'ab', "id = 'ab'")).toBe('all')
    expect(at(1, 'truncate[3]', 'ab', "id = 'abc'")).toBe('none')
    expect(at(3, 'truncate[10]', -10, 'n between -10 and -1')).toBe('all')
    expect(at(3, 'truncate[10]', -10, 'n = 0')).toBe('none')
  })

  test('of the lowest integers, which wrap around, is not trusted', () => {
    const wrapped = applyTransform('truncate[10]', 'int', -(2 ** 31))
    expect(at(3, 'truncate[10]', wrapped, 'n < 0')).toBe('some')
    // The same partition of a column that is a long by now.
    expect(at(4, 'truncate[10]', BigInt(Number(wrapped)), 'big < 0')).toBe('some')
  })

  test('of NaN holds nothing else', () => {
    expect(at(5, 'identity', Number.NaN, 'score is nan')).toBe('all')
    expect(at(5, 'identity', Number.NaN, 'score <= 1')).toBe('none')
  })

  test('value that is missing from the tuple says nothing', () => {
    const spec = { specId: 0, fields: [{ sourceId: 3, fieldId: 1000, name: 'p', transform: 'identity' }] }
    expect(verdict('n is null', fileOf(0, 'int', {}), spec)).toBe('some')
  })
})

describe('a manifest', () => {
  const spec = (sourceId: number, transform: string) => ({
    specId: 0,
    fields: [{ sourceId, fieldId: 1000, name: 'p', transform }],
  })
  const may = (
    sourceId: number,
    transform: string,
    summary: ManifestFile['partitions'][number],
    where: string,
  ): boolean =>
    manifestMayMatch(parseWhere(where, SCHEMA), { partitions: [summary] } as never, spec(sourceId, transform))
  const int = (value: number): Uint8Array => encodeBound('int', value)

  test('is skipped by the range of its partitions', () => {
    const buckets = { containsNull: false, lowerBound: int(3), upperBound: int(5) }
    const bucket = Number(applyTransform('bucket[16]', 'string', 'a'))
    expect(may(1, 'bucket[16]', { ...buckets, lowerBound: int(bucket), upperBound: int(bucket) }, "id = 'a'")).toBe(
      true,
    )
    expect(
      may(1, 'bucket[16]', { ...buckets, lowerBound: int(bucket + 1), upperBound: int(bucket + 1) }, "id = 'a'"),
    ).toBe(false)
    expect(may(2, 'year', { containsNull: false, lowerBound: int(50), upperBound: int(52) }, "ts < '2020-01-01'")).toBe(
      false,
    )
    expect(may(2, 'year', { containsNull: false, lowerBound: int(50), upperBound: int(52) }, "ts < '2020-01-02'")).toBe(
      true,
    )
    expect(may(2, 'year', { containsNull: false, lowerBound: int(50), upperBound: int(52) }, 'ts is null')).toBe(false)
    expect(may(2, 'year', { containsNull: true }, "ts = '2020-01-01'")).toBe(false)
  })

  test('is not skipped for values that its summary does not speak of', () => {
    const one = encodeBound('double', 1)
    expect(may(5, 'identity', { containsNull: false, lowerBound: one, upperBound: one }, 'score is nan')).toBe(true)
    expect(
      may(5, 'identity', { containsNull: false, containsNan: false, lowerBound: one, upperBound: one }, 'score is nan'),
    ).toBe(false)
    expect(may(5, 'identity', { containsNull: false, containsNan: true }, 'score > 3')).toBe(true)
    expect(manifestMayMatch(parseWhere('n = 1', SCHEMA), { partitions: [] } as never, spec(3, 'identity'))).toBe(true)
    expect(may(1, 'zorder', { containsNull: false, lowerBound: int(1), upperBound: int(1) }, "id = 'a'")).toBe(true)
  })
})

test('a row group is skipped by its own statistics; a NaN in them spoils both bounds', () => {
  const may = (
    where: string,
    id: number,
    statistics: Parameters<typeof rowGroupMayMatch>[1] extends ReadonlyMap<number, infer S> ? S : never,
  ) => rowGroupMayMatch(parseWhere(where, SCHEMA), new Map([[id, statistics]]))
  expect(may('n > 9', 3, { lower: 1, upper: 9, nulls: 0, values: 10 })).toBe(false)
  expect(may('n is null', 3, { nulls: 0, values: 10 })).toBe(false)
  expect(may('n = 1', 3, { nulls: 10, values: 10 })).toBe(false)
  expect(may('n = 1', 4, { lower: 5n, upper: 9n, values: 10 })).toBe(true)
  expect(may("id = 'b'", 1, { lower: 'c', upper: Buffer.from('d'), values: 10 })).toBe(false)
  // Old and promoted: the file holds an int, the column is a long.
  expect(may('big > 9', 4, { lower: 1, upper: 9, nulls: 0, values: 10 })).toBe(false)
  expect(may('score < 0', 5, { lower: 1, upper: 9, nulls: 0, values: 10 })).toBe(false)
  expect(may('score < 0', 5, { lower: 1, upper: Number.NaN, nulls: 0, values: 10 })).toBe(true)
  expect(may('score > 10', 5, { lower: 1, upper: 9, nulls: 0, values: 10 })).toBe(true)
})

test('half of a surrogate pair, which a program may pass as a literal, skips nothing', () => {
  const column = { fieldId: 1, name: 'id', type: 'string' } as const
  const filter = { kind: 'compare', operator: '<', column, value: '\ud800' } as const
  expect(evaluate(filter, () => '\uffff')).toBe(true)
  const file = fileOf(1, 'string', { lower: '\uffff', upper: '\uffff', nulls: 0 })
  expect(fileMayMatch(filter, file, UNPARTITIONED, SCHEMA)).toBe(true)
})
