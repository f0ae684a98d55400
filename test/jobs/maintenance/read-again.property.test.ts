/** How far a run read against how far others did. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type JsonManifest, plainManifest } from '../../../jobs/compaction/manifest.ts'
import { isReadOrUnread } from '../../../jobs/maintenance/read-again.ts'

const of = { table: 'a.b', table_uuid: 'u', snapshot_id: '1', operation: 'append', run_id: 'r', added: [], removed: [] }
const at = (position: number): Record<string, Record<string, string>> => ({
  's@1': position === 0 ? {} : { a: String(position) },
})
const run = (from: number, to: number): JsonManifest => ({
  ...plainManifest(of),
  positions: { before: at(from), after: at(to) },
  records: { kinesis_records: 0, read: 0, added: 0, quarantined: 0, duplicates: 0 },
})
const range = fc.tuple(fc.nat(8), fc.nat(8)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)

test('each record is ahead of the table, or was read by a run whose snapshot is there', () => {
  fc.assert(
    fc.property(range, fc.nat(8), fc.array(range, { maxLength: 4 }), ([from, to], table, others) => {
      const records = Array.from({ length: to - from }, (_, index) => from + index)
      const isRead = (record: number): boolean => others.some(([a, b]) => a <= record && record < b)
      const expected = table <= from || records.every(isRead)
      const runs = others.map(([a, b]) => run(a, b))
      expect(isReadOrUnread(run(from, to), at(table), runs)).toBe(expected)
    }),
  )
})

test('a rollback, which moves positions, has read nothing, and the end of a shard is past its last record', () => {
  const rollback = { ...run(0, 9), records: null }
  expect(isReadOrUnread(run(2, 4), at(9), [rollback])).toBe(false)
  const ended = { ...run(2, 4), positions: { before: at(4), after: { 's@1': { a: '4!' } } } }
  expect(isReadOrUnread(ended, { 's@1': { a: '4!' } }, [run(0, 4)])).toBe(false)
  expect(isReadOrUnread(ended, at(4), [])).toBe(true)
  expect(isReadOrUnread({ ...ended, positions: null }, at(0), [run(0, 9)])).toBe(false)
})
