/** A warehouse, two streams and their producers on one clock, which can be put back to where it was. */
import '../synchronous-zlib.ts'
import { createHash } from 'node:crypto'
import type { KinesisApi } from '../../../ingest/index.ts'
import type { Clock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { seedOf, uniform } from '../random.ts'
import { CLICKS, DAY, type Host, VIEWS } from './jobs.ts'
import { JournaledStore } from './journaled-store.ts'
import { Ledger, type Producer, producer } from './ledger.ts'

const START_MILLIS = Date.parse('2026-03-01T12:00:00Z')
/** Closed shards are listed for so long after they closed. */
const LISTED_MILLIS = 7 * DAY

/** A clock whose sleeps pass at once, and what is to be known to put it back. */
export interface StoppedClock extends Clock {
  advance(millis: number): void
  /** @returns puts time and randomness back. */
  mark(): () => void
}

export function stoppedClock(seed: number): StoppedClock {
  let now = START_MILLIS
  let drawn = 0
  return {
    advance: (millis) => {
      now += millis
    },
    mark: () => {
      const then = { now, drawn }
      return () => {
        now = then.now
        drawn = then.drawn
      }
    },
    nowMillis: () => epochMillis(Math.floor(now)),
    monotonicMillis: () => now,
    randomBytes: (size) => createHash('shake256', { outputLength: size }).update(`${seed}:${drawn++}`).digest(),
    sleep: async (millis, signal) => {
      signal?.throwIfAborted()
      now += Math.max(0, millis)
    },
  }
}

export interface PipelineWorld {
  readonly clock: StoppedClock
  readonly store: JournaledStore
  readonly kinesis: KinesisApi
  readonly ledger: Ledger
  readonly producer: Producer
  readonly random: () => number
}

export function pipelineWorld(seed: number): PipelineWorld {
  const clock = stoppedClock(seed)
  const random = uniform(seedOf(seed, 'story'))
  const inner = new MemoryKinesis({
    clock,
    pageRecords: 3 + Math.floor(random() * 10),
    emptyPages: Math.floor(random() * 2),
    retentionMillis: 365 * DAY,
    listPageShards: 1 + Math.floor(random() * 4),
  })
  inner.createStream(CLICKS, 2)
  inner.createStream(VIEWS, 1)
  const ledger = new Ledger()
  const kinesis = forgetful(inner, (stream, shardId) => {
    const closedMillis = ledger.closed.get(`${stream}/${shardId}`)
    return closedMillis !== undefined && clock.nowMillis() - closedMillis > LISTED_MILLIS
  })
  return {
    clock,
    kinesis,
    ledger,
    random,
    store: new JournaledStore(clock),
    producer: producer(ledger, inner, random, () => clock.nowMillis()),
  }
}

/** The same stream without shards that closed long ago: nothing changes in it, so time can be put back. */
function forgetful(client: MemoryKinesis, isForgotten: (stream: string, shardId: string) => boolean): KinesisApi {
  return {
    describeStream: (stream) => client.describeStream(stream),
    listShards: async (stream, options) => {
      const { shards, nextToken } = await client.listShards(stream, options)
      return { shards: shards.filter(({ shardId }) => !isForgotten(stream, shardId)), nextToken }
    },
    getShardIterator: (stream, shardId, position) => client.getShardIterator(stream, shardId, position),
    getRecords: (iterator, options) => client.getRecords(iterator, options),
    putRecords: (stream, entries) => client.putRecords(stream, entries),
    close: () => {},
  }
}

export const hostOf = ({ clock, store, kinesis }: PipelineWorld): Host => ({ clock, store, kinesis })
