import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKinesis } from '../../../ingest/index.ts'
import { callKinesisLocal, startKinesisLocal } from '../../../jobs/demo/kinesis.ts'
import { systemClock } from '../../../table/clock.ts'
import { type KinesisBackend, kinesisContract } from '../../contract/kinesis.ts'
import { openKinesisDoor } from '../../contract/kinesis-door.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { virtualClock } from '../virtual-clock.ts'

const saved = { ...process.env }
beforeAll(() => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' })
})
afterAll(() => {
  process.env = saved
})

kinesisContract('memory', async (): Promise<KinesisBackend> => {
  const clock = virtualClock()
  const api = new MemoryKinesis({ clock })
  return {
    api,
    clock,
    createStream: async (name, shards) => api.createStream(name, shards),
    splitShard: async (name, shardId) => void api.splitShard(name, shardId),
    mergeShards: async (name, first, second) => void api.mergeShards(name, first, second),
    recreateStream: async (name, shards) => {
      clock.advance(2_000)
      api.control(name).deleteAndRecreate(shards)
    },
    close: async () => {},
  }
})

kinesisContract('memory behind a door of its own', async (): Promise<KinesisBackend> => {
  const memory = new MemoryKinesis({ clock: systemClock })
  const door = await openKinesisDoor(memory)
  const api = openKinesis({ endpoint: door.endpoint })
  return {
    api,
    clock: systemClock,
    createStream: async (name, shards) => memory.createStream(name, shards),
    splitShard: async (name, shardId) => void memory.splitShard(name, shardId),
    mergeShards: async (name, first, second) => void memory.mergeShards(name, first, second),
    recreateStream: async (name, shards) => {
      await systemClock.sleep(1_000) // creation times are known to the second
      memory.control(name).deleteAndRecreate(shards)
    },
    close: async () => {
      api.close()
      await door.close()
    },
  }
})

kinesisContract('kinesis-local on the wire', async (): Promise<KinesisBackend> => {
  const server = await startKinesisLocal({ streams: { ready: 1 } })
  const api = openKinesis({ endpoint: server.endpoint })
  const call = (operation: string, input: Record<string, unknown>) =>
    callKinesisLocal(server.endpoint, operation, input)
  const settled = async (stream: string): Promise<void> => {
    while ((await api.describeStream(stream)).status !== 'ACTIVE') await systemClock.sleep(20)
  }
  const createStream = async (StreamName: string, ShardCount: number): Promise<void> => {
    await call('CreateStream', { StreamName, ShardCount })
    await settled(StreamName)
  }
  return {
    api,
    clock: systemClock,
    createStream,
    recreateStream: async (StreamName, shards) => {
      await call('DeleteStream', { StreamName })
      const isGone = () =>
        api.describeStream(StreamName).then(
          () => false,
          () => true,
        )
      while (!(await isGone())) await systemClock.sleep(20)
      await systemClock.sleep(1_000)
      await createStream(StreamName, shards)
    },
    splitShard: async (StreamName, ShardToSplit) => {
      const { Shards } = (await call('ListShards', { StreamName })) as {
        Shards: { ShardId: string; HashKeyRange: { StartingHashKey: string; EndingHashKey: string } }[]
      }
      const range = Shards.find(({ ShardId }) => ShardId === ShardToSplit)?.HashKeyRange
      const middle = (BigInt(range?.StartingHashKey ?? 0) + BigInt(range?.EndingHashKey ?? 0)) / 2n
      await call('SplitShard', { StreamName, ShardToSplit, NewStartingHashKey: String(middle) })
      await settled(StreamName)
    },
    mergeShards: async (StreamName, ShardToMerge, AdjacentShardToMerge) => {
      await call('MergeShards', { StreamName, ShardToMerge, AdjacentShardToMerge })
      await settled(StreamName)
    },
    close: async () => {
      api.close()
      await server.close()
    },
  }
})

test('the local Kinesis is not reachable from other machines', async () => {
  const external = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  const server = await startKinesisLocal({ streams: {} })
  try {
    const port = Number(new URL(server.endpoint).port)
    const outcome = async (host: string): Promise<string> => {
      const socket = connect({ port, host })
      const name = await once(socket, 'connect').then(
        () => 'connected',
        (error: NodeJS.ErrnoException) => error.code ?? 'error',
      )
      socket.destroy()
      return name
    }
    expect(await outcome('127.0.0.1')).toBe('connected')
    if (external !== undefined) expect(await outcome(external.address)).toBe('ECONNREFUSED')
  } finally {
    await server.close()
  }
})
