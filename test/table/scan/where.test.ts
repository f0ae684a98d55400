import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { evaluate } from '../../../table/scan/expression.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { PrimitiveValue } from '../../../table/spec/types.ts'
import { EVENTS } from '../support.ts'

const matches = (text: string, row: Record<string, PrimitiveValue>): boolean | undefined =>
  evaluate(parseWhere(text, EVENTS), (column) => row[column.name] ?? null)

describe('a filter', () => {
  test.each([
    ["id = 'a'", { id: 'a' }, true],
    ["id <> 'it''s'", { id: "it's" }, false],
    ['"n" >= 2', { n: 2 }, true],
    ['n in (1, 2, 3)', { n: 4 }, false],
    ['n not in (1, 2)', { n: 4 }, true],
    ['n is null', {}, true],
    ['n IS NOT NULL AND n < 5', { n: 4 }, true],
    ["not n = 1 or id = 'x'", { n: 1, id: 'x' }, true],
    // "and" binds tighter than "or".
    ["n = 1 or n = 2 and id = 'x'", { n: 1, id: 'y' }, true],
    ["(n = 1 or n = 2) and id = 'x'", { n: 1, id: 'y' }, false],
    ["at >= '1970-01-01T00:00:00.000001Z'", { at: 1n }, true],
    ["at < '1970-01-01T01:00:00+01:00'", { at: 0n }, false],
    ["day = '1970-01-02'", { day: 1 }, true],
    ['big = 9007199254740993', { big: 9_007_199_254_740_993n }, true],
    ['big = 9007199254740993', { big: 9_007_199_254_740_992n }, false],
    ['score > -1.5e1', { score: -14 }, true],
  ] as const)('%s on %o is %s', (text, row, expected) => {
    expect(matches(text, row)).toBe(expected)
  })

  test.each(["id = 'a'", 'n <> 1', 'n in (1)', 'not n = 1', 'n not in (1)'])('%s is unknown for a null', (text) => {
    expect(matches(text, {})).toBeUndefined()
  })
})

describe('a bad filter', () => {
  test.each([
    ['n >', 'at character 4'],
    ['n = 1 n = 2', 'expected "and", "or" or the end'],
    ["n = 'one'", 'column n is int'],
    ['n = 1.5', 'column n is int'],
    ['n = 3000000000', 'column n is int'],
    ["day = '2026-02-30'", 'column day is date'],
    ["at = '2026-01-01T00:00:00'", 'column at is timestamptz'],
    ['n in ()', 'no such value'],
    ['(n = 1', 'expected ")"'],
    ["id = 'open", 'cannot read on'],
    ['', 'expected a column'],
    ['n = 1; drop table', 'cannot read on'],
    ['n ! 1', 'cannot read on'],
  ])('%s: %s', (text, message) => {
    const error = (() => {
      try {
        parseWhere(text, EVENTS)
      } catch (caught) {
        return caught
      }
    })()
    expect(FirnError.is(error, 'FIRN_WHERE_INVALID')).toBe(true)
    expect((error as FirnError).message).toContain(message)
  })

  test('names a column that is not there', () => {
    expect(() => parseWhere('nope = 1', EVENTS)).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
  })

  test('is always a typed error, never a crash or a hang', () => {
    const piece = fc.constantFrom(
      'n',
      'id',
      '=',
      '<',
      '(',
      ')',
      'and',
      'or',
      'not',
      "'a'",
      '1',
      'in',
      ',',
      'is',
      'null',
      '"',
      "'",
      '\\',
      ';',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((pieces) => pieces.join(' ')),
          fc.string(),
        ),
        (text) => {
          try {
            parseWhere(text, EVENTS)
          } catch (error) {
            expect(FirnError.is(error)).toBe(true)
          }
        },
      ),
      { numRuns: 2000 },
    )
    expect(() => parseWhere('('.repeat(100_000), EVENTS)).toThrow(FirnError)
    expect(() => parseWhere(Array(20_000).fill('n = 1').join(' or '), EVENTS)).toThrow(/more than 1000 conditions/)
  })
})
