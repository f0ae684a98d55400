/** A landing run that slept while others landed, consumed and pruned: it must not write where chunks have been. */
import { expect, test } from 'vitest'
import { type LandResult, land, listChunks, type RecordSource, type SourcePage } from '../../../ingest/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { type VirtualClock, virtualClock } from '../virtual-clock.ts'

const HOUR = 3_600_000
const INCARNATION = { stream: 'slept', created: 7 }
const limits = { maxBytes: 1_000_000, maxRecords: 3 }

/** Pages of three records each; `between` runs before the page of that number is read. */
function sourceOf(
  pages: number,
  ended: boolean,
  between: (page: number) => Promise<void> = async () => {},
): RecordSource {
  return {
    stream: INCARNATION.stream,
    start: { type: 'TRIM_HORIZON' },
    listsEveryShard: true,
    open: async () => ({ created: INCARNATION.created }),
    listShards: async () => [{ shardId: 'a', parents: [] }],
    read: async function* () {
      for (let page = 0; page < pages; page++) {
        await between(page)
        const last = page === pages - 1
        const records = Array.from({ length: 3 }, (_, n) => ({
          sequenceNumber: String(page * 3 + n + 1),
          partitionKey: 'p',
          arrivalMillis: 1,
          data: Buffer.from('x'),
        }))
        yield { records, millisBehindLatest: 0, gap: false, ended: ended && last, caughtUp: last } satisfies SourcePage
      }
    },
  }
}

const chunks = async (store: ObjectStore): Promise<string[]> =>
  (await listChunks(store, INCARNATION)).map(({ after }) => after)

/** A run that has landed its first page, then sleeps while `meanwhile` happens. */
async function sleeper(
  name: string,
  slept: number,
  meanwhile: (store: ObjectStore, clock: VirtualClock) => Promise<void>,
  clock: VirtualClock = virtualClock(),
): Promise<{ left: string[]; result: LandResult }> {
  const store = openMemoryStore(name, { clock })
  try {
    const source = sourceOf(3, false, async (page) => {
      if (page !== 2) return
      // the first chunk is written by now, the second page is gathered
      await meanwhile(store, clock)
      clock.advance(slept)
    })
    const result = await land({ store, source, clock, chunkLimits: limits })
    return { left: await chunks(store), result }
  } finally {
    dropMemoryStore(name)
  }
}

test('it goes on behind what others have landed, though the chunks that it would have followed are pruned', async () => {
  const { left, result } = await sleeper('slept-part', 4 * 24 * HOUR, async (store, clock) => {
    await land({ store, source: sourceOf(5, false), clock, chunkLimits: limits })
    for (const { key } of (await listChunks(store, INCARNATION)).slice(0, -1)) await store.delete(key)
  })
  expect(left).toEqual(['12'])
  expect(result).toMatchObject({ shards: [{ lastSequenceNumber: '15', ended: false }] })
})

test('so it does on a machine that was suspended: its monotonic clock stood still', async () => {
  const clock = { ...virtualClock(), monotonicMillis: () => 0 }
  const work = async (store: ObjectStore): Promise<void> => {
    await land({ store, source: sourceOf(5, false), clock, chunkLimits: limits })
    for (const { key } of (await listChunks(store, INCARNATION)).slice(0, -1)) await store.delete(key)
  }
  const { left } = await sleeper('suspended', 4 * 24 * HOUR, work, clock)
  expect(left).toEqual(['12'])
})

test('it ends where the shard was read to its end and its chain has gone as a whole', async () => {
  const { left, result } = await sleeper('slept-whole', 4 * 24 * HOUR, async (store, clock) => {
    await land({ store, source: sourceOf(5, true), clock, chunkLimits: limits })
    for (const { key } of await listChunks(store, INCARNATION)) await store.delete(key)
  })
  expect(left).toEqual([])
  expect(result).toMatchObject({ shards: [{ ended: true }] })
})

test('a run that did not sleep looks only at the key that it writes', async () => {
  const { left } = await sleeper('awake', 0, async () => {})
  expect(left).toEqual(['0', '3', '6'])
})
