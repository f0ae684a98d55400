/** What `firn rewrite` makes of its flags. */
import { describe, expect, test } from 'vitest'
import { documentOf } from '../../../jobs/maintenance/document.ts'
import { limitGroups, parseSortColumns, rewritePlanText, rewriteText } from '../../../jobs/maintenance/rewrite.ts'
import type { RewritePlan, RewriteResult } from '../../../table/index.ts'

describe('--sort-by', () => {
  test('has directions, places of nulls and transforms', () => {
    expect(
      parseSortColumns('publish_date desc nulls-last, author,day(arrived_at) ASC NULLS FIRST, bucket[16](id)'),
    ).toEqual([
      { column: 'publish_date', direction: 'desc', nullOrder: 'nulls-last' },
      { column: 'author', direction: 'asc' },
      { column: 'arrived_at', transform: 'day', direction: 'asc', nullOrder: 'nulls-first' },
      { column: 'id', transform: 'bucket[16]', direction: 'asc' },
    ])
    expect(parseSortColumns('place.city')).toEqual([{ column: 'place.city', direction: 'asc' }])
  })

  test('is refused by the term that is wrong', () => {
    for (const text of ['', 'a,,b', 'a sideways', 'day(a', 'a b c', 'day(a, b)']) {
      expect(() => parseSortColumns(text), text).toThrow(expect.objectContaining({ code: 'FIRN_SORT_ORDER_INVALID' }))
    }
  })
})

const group = (partition: string, files: number): RewritePlan['groups'][number] => ({
  partition,
  reasons: ['small'],
  inputs: Array.from({ length: files }, (_, n) => ({
    path: `${partition}/${n}`,
    sizeBytes: 10,
    rows: 3,
    deleteFiles: 0,
    reasons: ['small'],
  })),
  bytes: 10 * files,
  rows: 3 * files,
  outputFiles: 1,
})
const PLAN = {
  groups: [group('day=1', 2), group('day=2', 4), group('', 1)],
  totals: { groups: 3, files: 7, bytes: 70, rows: 21 },
  settings: { strategy: 'sort' },
} as unknown as RewritePlan

test('--max-groups takes the first groups, and the totals follow', () => {
  expect(limitGroups(PLAN, 2)).toMatchObject({
    groups: [{ partition: 'day=1' }, { partition: 'day=2' }],
    totals: { groups: 2, files: 6, bytes: 60, rows: 18 },
  })
  expect(limitGroups(PLAN, 3)).toBe(PLAN)
  expect(limitGroups(PLAN, undefined)).toBe(PLAN)
})

test('the text of a plan and of a result name what a person needs', () => {
  expect(rewritePlanText('a.b', PLAN)).toMatch(/day=2 +small +4 +40 B +12 +1 file\n.*\(all\)/)
  const result = {
    groups: [{ outcome: 'conflict', partition: 'day=1', problem: 'a file is gone' }],
    totals: { committed: 0, conflicts: 1, filesBefore: 0, filesAfter: 0, rows: 0, bytesBefore: 0, bytesAfter: 0 },
    overlapDepth: { before: 3, after: 1 },
  } as unknown as RewriteResult
  expect(rewriteText('a.b', result)).toMatch(/3 before, 1 now\nnot rewritten: day=1: a file is gone\n$/)
})

test('documents are in snake case, with times as ISO 8601', () => {
  const plan = { plannedAtMillis: 0, rules: { olderThan: 1000, retainLast: null }, snapshots: [{ timestampMillis: 5 }] }
  expect(documentOf(plan)).toEqual({
    planned_at: '1970-01-01T00:00:00.000Z',
    rules: { older_than: '1970-01-01T00:00:01.000Z', retain_last: null },
    snapshots: [{ timestamp: '1970-01-01T00:00:00.005Z' }],
  })
  expect(documentOf({ olderThan: null, graceMillis: 7, sizeBytes: 1 })).toEqual({
    older_than: null,
    grace_millis: 7,
    size_bytes: 1,
  })
})
