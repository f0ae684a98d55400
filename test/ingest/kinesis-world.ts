/** A stream in memory, a store in memory and a virtual clock, for landing runs in tests. */
import { afterEach } from 'vitest'
import {
  type ChunkLimits,
  type KinesisApi,
  kinesisSource,
  type LandOptions,
  type LandResult,
  land,
  type RequestedStart,
} from '../../ingest/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { MemoryKinesis, type MemoryKinesisOptions } from '../contract/memory-kinesis.ts'
import { stagedRecords } from './staged-records.ts'
import { type VirtualClock, virtualClock } from './virtual-clock.ts'

export const STREAM: string = 'clicks'
export const SHARD = (index: number): string => `shardId-${String(index).padStart(12, '0')}`
export const HOUR: number = 3_600_000

export interface World {
  readonly clock: VirtualClock
  readonly kinesis: MemoryKinesis
  readonly store: ObjectStore
  land(
    options?: { start?: RequestedStart; limits?: ChunkLimits; client?: KinesisApi } & Partial<LandOptions>,
  ): Promise<LandResult>
  put(shard: number, from: number, count: number): void
  texts(): Promise<string[]>
}

const stores: string[] = []
let worlds = 0
afterEach(() => {
  for (const name of stores.splice(0)) dropMemoryStore(name)
})

export function world(shards: number, options: Omit<MemoryKinesisOptions, 'clock'> = {}): World {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock, ...options })
  kinesis.createStream(STREAM, shards)
  const name = `land-${++worlds}`
  stores.push(name)
  const store = openMemoryStore(name, { clock })
  return {
    clock,
    kinesis,
    store,
    land: ({ start, limits, client = kinesis, ...rest } = {}) => {
      const source = kinesisSource({ stream: STREAM, client, start, clock })
      clock.advance(10) // what was put before is older than the run
      return land({ store, source, clock, ...(limits ? { chunkLimits: limits } : {}), ...rest })
    },
    put: (shard, from, count) => {
      for (let i = from; i < from + count; i++) kinesis.putInto(STREAM, SHARD(shard), `r${i}`)
    },
    texts: async () => (await stagedRecords(store, STREAM)).map(({ text }) => text),
  }
}

/** The same client, with one operation seen or replaced by `around`. */
export function intercept<K extends 'getRecords' | 'getShardIterator'>(
  client: KinesisApi,
  operation: K,
  around: (call: () => ReturnType<KinesisApi[K]>, first: unknown) => ReturnType<KinesisApi[K]>,
): KinesisApi {
  return new Proxy(client, {
    get: (target, name) => {
      const member = Reflect.get(target, name)
      if (name !== operation) return typeof member === 'function' ? member.bind(target) : member
      return (...args: unknown[]) => around(() => Reflect.apply(member, target, args), args[0])
    },
  })
}

export const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `r${from + i}`)
export const sorted = (texts: string[]): string[] => texts.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
