/** A Kinesis stream as a `RecordSource`: which shards there are, and from where each is read. */
import type { Clock } from '../../table/clock.ts'
import { ingestChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { patientRetries, quickRetries, type RetryPolicy, withRetries } from '../retry.ts'
import type { RecordSource, RequestedStart } from '../source.ts'
import type { KinesisApi, KinesisShard, StreamDescription } from './api.ts'
import { type KinesisOptions, openKinesis } from './client.ts'
import { sameStreamGuard } from './same-stream.ts'
import { readShard } from './shard.ts'
import { acceptedStart } from './start.ts'

export interface KinesisSourceOptions {
  readonly stream: string
  /** A client to use and leave open, or how to reach Kinesis. */
  readonly client: KinesisApi | KinesisOptions
  /** Where the stream has to begin: one that began elsewhere is refused. Absent: go on from where it began. */
  readonly start?: RequestedStart | undefined
  /** Where the stream's first run begins when `start` is absent; later runs go on. Default TRIM_HORIZON. */
  readonly defaultStart?: RequestedStart | undefined
  readonly clock: Clock
  /** Records a call, 1..10000; default: what Kinesis allows. */
  readonly pageRecords?: number
}

const MAX_LIST_ROUNDS = 3

export const isApi = (client: KinesisApi | KinesisOptions): client is KinesisApi => 'getRecords' in client

export function kinesisSource(options: KinesisSourceOptions): RecordSource {
  const { stream, start, defaultStart, clock, pageRecords } = options
  const api = isApi(options.client) ? options.client : openKinesis(options.client)
  const counts = { throttled: 0, expiredIterators: 0 }
  const onThrottled = (): void => {
    counts.throttled++
    if (ingestChannel.hasSubscribers) ingestChannel.publish({ kind: 'throttled', stream })
  }
  let retentionMillis = 0
  let created = 0
  const sameStream = sameStreamGuard(
    () => created,
    async (signal) =>
      createdSeconds(await describeReadable(api, stream, clock, { signal, onThrottled, policy: patientRetries })),
  )
  const onExpired = (): void => {
    counts.expiredIterators++
    if (ingestChannel.hasSubscribers) ingestChannel.publish({ kind: 'iterator-expired', stream })
  }
  let shards: ReadonlyMap<string, KinesisShard> = new Map()
  const relist = async (signal: AbortSignal | undefined): Promise<ReadonlyMap<string, KinesisShard>> => {
    shards = new Map(
      (await listAllShards(api, stream, clock, { signal, onThrottled, onExpired })).map((shard) => [
        shard.shardId,
        shard,
      ]),
    )
    return shards
  }
  return {
    stream,
    start,
    defaultStart,
    listsEveryShard: true,
    open: async ({ signal } = {}) => {
      const description = await describeReadable(api, stream, clock, { signal, onThrottled })
      retentionMillis = description.retentionMillis
      created = createdSeconds(description)
      return { created, retentionMillis }
    },
    resolveStart: async (wanted, { nowMillis, signal }) => {
      if (wanted.type === 'TRIM_HORIZON') return wanted
      const shard = anyReadable([...(await relist(signal)).values()])
      return await acceptedStart({ api, stream, shard, clock }, wanted, { nowMillis, signal })
    },
    listShards: async ({ signal } = {}) => [...(await relist(signal)).values()],
    read: (shard, from, { signal } = {}) =>
      readShard({
        api,
        stream,
        clock,
        shardId: shard.shardId,
        from,
        retentionMillis,
        pageRecords,
        signal,
        onThrottled,
        onExpired,
        sameStream,
        isClosed: async (again) => {
          const known = again ? await relist(signal) : shards
          return known.get(shard.shardId)?.closed ?? false
        },
      }),
    counts: () => ({ ...counts }),
  }
}

const createdSeconds = ({ createdMillis }: StreamDescription): number => Math.floor(createdMillis / 1000)

interface CountedOptions extends AbortableOptions {
  readonly onThrottled?: (() => void) | undefined
  readonly onExpired?: (() => void) | undefined
}

/** @throws {FirnError} `FIRN_STREAM_UNAVAILABLE`, `FIRN_STREAM_NOT_FOUND` for a stream that cannot be read now. */
export async function describeReadable(
  api: KinesisApi,
  stream: string,
  clock: Clock,
  options: CountedOptions & { readonly policy?: RetryPolicy },
): Promise<StreamDescription> {
  const { signal, policy = quickRetries } = options
  const description = await withRetries(clock, policy, options, () => api.describeStream(stream, { signal }))
  if (description.status !== 'ACTIVE' && description.status !== 'UPDATING') throw notReady(stream, description.status)
  return description
}

/** A shard to try something on: an open one has all its records and will not vanish. */
export const anyReadable = (shards: readonly KinesisShard[]): KinesisShard | undefined =>
  shards.find(({ closed }) => !closed) ?? shards[0]

const notReady = (stream: string, status: string): FirnError =>
  status === 'DELETING'
    ? new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', `stream ${stream} is being deleted`, { detail: { stream } })
    : new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', `stream ${stream} is ${status}, not ACTIVE`, {
        detail: { stream, status },
        help: 'Wait until the stream is active, then try again.',
      })

/** Every page of ListShards; starts over when a page token grew too old. */
export async function listAllShards(
  api: KinesisApi,
  stream: string,
  clock: Clock,
  options: CountedOptions,
): Promise<KinesisShard[]> {
  for (let round = 1; ; round++) {
    try {
      return await listOnce(api, stream, clock, options)
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_ITERATOR_EXPIRED') || round >= MAX_LIST_ROUNDS) throw error
      options.onExpired?.()
    }
  }
}

async function listOnce(
  api: KinesisApi,
  stream: string,
  clock: Clock,
  options: CountedOptions,
): Promise<KinesisShard[]> {
  const { signal } = options
  const shards: KinesisShard[] = []
  let nextToken: string | undefined
  do {
    const token = nextToken === undefined ? {} : { nextToken }
    const page = await withRetries(clock, patientRetries, options, () => api.listShards(stream, { ...token, signal }))
    shards.push(...page.shards)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return shards
}
