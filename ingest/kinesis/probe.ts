/** Everything that landing asks of Kinesis, once and for one record: what `firn doctor` needs to promise that it works. */
import type { Clock } from '../../table/clock.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { quickRetries, withRetries } from '../retry.ts'
import type { KinesisApi } from './api.ts'
import { type KinesisOptions, openKinesis } from './client.ts'
import { anyReadable, describeReadable, isApi, listAllShards } from './source.ts'

export interface ProbeStreamOptions extends AbortableOptions {
  readonly stream: string
  /** A client to use and leave open, or how to reach Kinesis. */
  readonly client: KinesisApi | KinesisOptions
  readonly clock: Clock
}

export interface StreamProbe {
  readonly createdMillis: number
  readonly shardCount: number
  /** The shard that was read; none when the stream has none. */
  readonly shardId: string | undefined
}

/**
 * DescribeStreamSummary, ListShards, then GetShardIterator and GetRecords of one record on one shard. From the oldest
 * record: an encrypted stream needs its key only where there is something to decrypt.
 * @throws {FirnError} as `KinesisApi` says; `FIRN_STREAM_DENIED` names the action that was refused.
 */
export async function probeStream(options: ProbeStreamOptions): Promise<StreamProbe> {
  const { stream, client, clock, signal } = options
  const api = isApi(client) ? client : openKinesis(client)
  try {
    const { createdMillis } = await describeReadable(api, stream, clock, { signal })
    const shards = await listAllShards(api, stream, clock, { signal })
    const shardId = anyReadable(shards)?.shardId
    if (shardId !== undefined) {
      const retrying = <T>(attempt: () => Promise<T>): Promise<T> =>
        withRetries(clock, quickRetries, { signal }, attempt)
      const iterator = await retrying(() => api.getShardIterator(stream, shardId, { type: 'TRIM_HORIZON' }, { signal }))
      await retrying(() => api.getRecords(iterator, { limit: 1, signal }))
    }
    return { createdMillis, shardCount: shards.length, shardId }
  } finally {
    if (api !== client) api.close()
  }
}
