/** How far a table is behind what has landed, from the listing of staging alone. */
import { describe, expect, test } from 'vitest'
import type { ListedChain, ListedStream } from '../../../jobs/compaction/plan.ts'
import { oldestUnconsumed } from '../../../jobs/compaction/unconsumed.ts'
import { type CompactionMessage, compactionChannel } from '../../../table/diagnostics.ts'
import { articleRecords, memoryWarehouse, runCompaction, stage, TABLE } from './fixture.ts'

/** Chunks of a chain: the first goes from 0 to 10, the second to 20 and so on; written at 100, 200, … */
const chain = (shardId: string, chunks: number, ended = false): ListedChain => ({
  shardId,
  chunks: Array.from({ length: chunks }, (_, n) => ({ after: String(n * 10), key: `${shardId}/${n}`, sizeBytes: 1 })),
  tail: { after: String((chunks - 1) * 10), last: String(chunks * 10), ended, parents: [] },
  writtenMillis: Array.from({ length: chunks }, (_, n) => (n + 1) * 100),
})
const staging = (...chains: ListedChain[]): ListedStream[] => [{ stream: 'S', created: 1, chains }]

describe('the oldest chunk that is not consumed', () => {
  test.each([
    ['nothing was consumed', {}, 100],
    ['a position inside of a chunk leaves it unconsumed', { a: '5' }, 100],
    ['a position at the end of a chunk has consumed it', { a: '10' }, 200],
    ['a position inside of the last one', { a: '29' }, 300],
    ['all is consumed', { a: '30' }, undefined],
    ['the end of the shard is consumed', { a: '30!' }, undefined],
  ])('%s', (_name, positions, expected) => {
    expect(oldestUnconsumed(staging(chain('a', 3)), { 'S@1': positions })).toBe(expected)
  })

  test('is the oldest of all chains', () => {
    expect(oldestUnconsumed(staging(chain('a', 3), chain('b', 2)), { 'S@1': { a: '20', b: '10' } })).toBe(200)
    expect(oldestUnconsumed(staging(chain('a', 3), chain('b', 2)), { 'S@1': { a: '20', b: '20' } })).toBe(300)
  })

  test('an end marker alone is nothing to be behind of', () => {
    const marked: ListedChain = { ...chain('a', 2), tail: { after: '10', last: '10', ended: true, parents: [] } }
    expect(oldestUnconsumed(staging(marked), { 'S@1': { a: '10' } })).toBeUndefined()
  })

  test('a chain that is known to be consumed is listed without its tail', () => {
    const { tail: _tail, ...rest } = chain('a', 2)
    expect(oldestUnconsumed(staging(rest), { 'S@1': { a: '20!' } })).toBeUndefined()
  })
})

test('a compaction tells what it found and what it left, also when it had nothing to do', async () => {
  const told: CompactionMessage[] = []
  const end = compactionChannel.subscribe((message) => {
    if (message.kind === 'staging') told.push(message)
  })
  try {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { s: { records: articleRecords(0, 30) } }, { recordsPerChunk: 10 })
    await runCompaction(warehouse)
    await runCompaction(warehouse)
    expect(
      told.map((message) => message.kind === 'staging' && [message.when, message.oldestMillis !== undefined]),
    ).toEqual([
      ['planned', true],
      ['done', false],
      ['planned', false],
      ['done', false],
    ])
    expect(told[0]).toMatchObject({ table: TABLE, streams: ['MyStream'] })
  } finally {
    end()
  }
})
