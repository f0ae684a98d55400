/** What landing tells while it reads a stream that refuses, expires and forgets. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { kinesisSource, land } from '../../ingest/index.ts'
import { type IngestMessage, ingestChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import { type ObjectStore, openStore } from '../../table/index.ts'
import { MemoryKinesis, type MemoryKinesisOptions } from '../contract/memory-kinesis.ts'
import { type VirtualClock, virtualClock } from './virtual-clock.ts'

const heard: IngestMessage[] = []
let end = (): void => {}
beforeEach(() => {
  heard.length = 0
  end = ingestChannel.subscribe((message) => void heard.push(message))
})
afterEach(() => end())
const of = <K extends IngestMessage['kind']>(kind: K): Extract<IngestMessage, { kind: K }>[] =>
  heard.filter((message): message is Extract<IngestMessage, { kind: K }> => message.kind === kind)

let stores = 0
interface World {
  readonly clock: VirtualClock
  readonly kinesis: MemoryKinesis
  readonly store: ObjectStore
  readonly shard: string
}
async function world(options: Partial<MemoryKinesisOptions> = {}): Promise<World> {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock, ...options })
  kinesis.createStream('Orders', 1)
  const shard = (await kinesis.listShards('Orders')).shards[0]!.shardId
  return { clock, kinesis, shard, store: openStore(`memory://ingest-diagnostics-${stores++}`) }
}
const run = ({ kinesis, clock, store }: World): ReturnType<typeof land> =>
  land({ store, clock, source: kinesisSource({ stream: 'Orders', client: kinesis, clock }) })

test('each chunk that this lander stored, with its records and bytes, and how far the reader is from the tip', async () => {
  const at = await world()
  for (let n = 0; n < 5; n++) at.kinesis.putInto('Orders', at.shard, 'twelve bytes')
  const result = await run(at)
  expect(of('chunk')).toEqual([{ kind: 'chunk', stream: 'Orders', shardId: at.shard, records: 5, bytes: 60 }])
  expect([result.records, result.bytes]).toEqual([5, 60])
  expect(of('lag').at(-1)).toEqual({ kind: 'lag', stream: 'Orders', shardId: at.shard, behindMillis: 0 })
  heard.length = 0
  await run(at)
  expect(of('chunk')).toEqual([])
})

test('a shard that ends is behind nothing any more', async () => {
  const at = await world()
  at.kinesis.putInto('Orders', at.shard, 'x')
  at.kinesis.splitShard('Orders', at.shard)
  await run(at)
  expect(of('lag').filter(({ shardId }) => shardId === at.shard)).toContainEqual({
    kind: 'lag',
    stream: 'Orders',
    shardId: at.shard,
    behindMillis: undefined,
  })
})

test('refused calls and expired iterators', async () => {
  const at = await world({
    fault: (operation, call) => {
      if (operation !== 'getRecords') return
      if (call <= 2) throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'slow down')
      if (call === 3) throw new FirnError('unavailable', 'FIRN_ITERATOR_EXPIRED', 'expired')
    },
  })
  at.kinesis.putInto('Orders', at.shard, 'x')
  expect((await run(at)).records).toBe(1)
  expect(of('throttled')).toHaveLength(2)
  expect(of('iterator-expired')).toHaveLength(1)
})

test('a loss is told of once, when a chunk carries it', async () => {
  const at = await world()
  for (let n = 0; n < 3; n++) at.kinesis.putInto('Orders', at.shard, 'x')
  await run(at)
  expect(of('gap')).toEqual([])
  for (let n = 0; n < 3; n++) at.kinesis.putInto('Orders', at.shard, 'y')
  at.kinesis.trim('Orders', at.shard, 5)
  const { gaps } = await run(at)
  expect(gaps).toHaveLength(1)
  expect(of('gap')).toEqual([{ kind: 'gap', stream: 'Orders', shardId: at.shard }])
})
