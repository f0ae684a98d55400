/**
 * Amazon Kinesis Data Streams behind `KinesisApi`: the only file that imports its SDK. The SDK is loaded at the first
 * call, so that a process which only reads staging does not pay for it; it makes no retries of its own: the source
 * retries, with the caller's clock.
 */
import type { GetShardIteratorCommandInput, KinesisClient, _Record as SdkRecord, Shard } from '@aws-sdk/client-kinesis'
import { ingestChannel } from '../../table/diagnostics.ts'
import type { SourceRecord } from '../staging/chunk-rows.ts'
import type { IteratorPosition, KinesisApi, KinesisShard, PutOutcome } from './api.ts'
import { incompleteAnswer, type KinesisRequest, kinesisError, noRegion } from './errors.ts'

export interface KinesisOptions {
  /** Another server than AWS: an emulator, a VPC endpoint. Default: the SDK's chain (`AWS_ENDPOINT_URL_KINESIS`, …). */
  readonly endpoint?: string
  /** Default: the SDK's chain (`AWS_REGION`, profile). */
  readonly region?: string
}

type Sdk = typeof import('@aws-sdk/client-kinesis')
interface Connection {
  readonly sdk: Sdk
  readonly client: KinesisClient
}

const CONNECT_TIMEOUT_MILLIS = 5_000
const SOCKET_TIMEOUT_MILLIS = 60_000

/** Credentials and whatever is not in `options` come from the SDK's default chain. No request is made yet. */
export function openKinesis(options: KinesisOptions = {}): KinesisApi {
  let connection: Promise<Connection> | undefined
  const call: Call = async (action, what, signal, send) => {
    signal?.throwIfAborted()
    connection ??= connect(options)
    try {
      return await send(await connection, signal === undefined ? {} : { abortSignal: signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw kinesisError(error, { action, what, endpoint: options.endpoint })
    }
  }
  const close = (): void => {
    const destroyed = connection?.then(({ client }) => client.destroy())
    destroyed?.catch(() => {}) // the calls have reported why there was no connection
  }
  return { ...readCalls(call), ...writeCalls(call), close }
}

type Call = <T>(
  action: KinesisRequest['action'],
  what: string,
  signal: AbortSignal | undefined,
  send: (connection: Connection, send: { abortSignal?: AbortSignal }) => Promise<T>,
) => Promise<T>

async function connect(options: KinesisOptions): Promise<Connection> {
  const [sdk, { NodeHttpHandler }] = await Promise.all([
    import('@aws-sdk/client-kinesis'),
    import('@smithy/node-http-handler'),
  ])
  const client = new sdk.KinesisClient({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.region === undefined ? {} : { region: options.region }),
    maxAttempts: 1,
    // HTTP/1.1: the SDK's HTTP/2 handler ends the process with an uncaught error when an emulator drops a session.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECT_TIMEOUT_MILLIS,
      socketTimeout: SOCKET_TIMEOUT_MILLIS,
    }),
  })
  await client.config.region().catch((error: unknown) => {
    throw noRegion(error)
  })
  return { sdk, client }
}

function readCalls(call: Call): Pick<KinesisApi, 'describeStream' | 'listShards' | 'getShardIterator' | 'getRecords'> {
  return {
    describeStream: async (stream, options) => {
      const answer = await call('DescribeStreamSummary', `stream ${stream}`, options?.signal, ({ sdk, client }, send) =>
        client.send(new sdk.DescribeStreamSummaryCommand({ StreamName: stream }), send),
      )
      const { StreamCreationTimestamp, StreamStatus, RetentionPeriodHours, StreamARN } =
        answer.StreamDescriptionSummary ?? {}
      if (StreamARN && ingestChannel.hasSubscribers) ingestChannel.publish({ kind: 'stream', stream, arn: StreamARN })
      if (StreamCreationTimestamp instanceof Date && StreamStatus && RetentionPeriodHours) {
        const retentionMillis = RetentionPeriodHours * 3_600_000
        return { createdMillis: StreamCreationTimestamp.getTime(), status: StreamStatus, retentionMillis }
      }
      throw incompleteAnswer(`stream ${stream}`)
    },
    listShards: async (stream, options = {}) => {
      const { nextToken, maxResults, signal } = options
      // A token stands for the stream; naming both is an error.
      const which = nextToken === undefined ? { StreamName: stream } : { NextToken: nextToken }
      const input = { ...which, ...(maxResults === undefined ? {} : { MaxResults: maxResults }) }
      const answer = await call('ListShards', `stream ${stream}`, signal, ({ sdk, client }, send) =>
        client.send(new sdk.ListShardsCommand(input), send),
      )
      return { shards: (answer.Shards ?? []).map(toShard), nextToken: answer.NextToken ?? undefined }
    },
    getShardIterator: async (stream, shardId, position, options) => {
      const what = `shard ${shardId} of stream ${stream}`
      const input = { StreamName: stream, ShardId: shardId, ...toPosition(position) }
      const answer = await call('GetShardIterator', what, options?.signal, ({ sdk, client }, send) =>
        client.send(new sdk.GetShardIteratorCommand(input), send),
      )
      if (answer.ShardIterator !== undefined) return answer.ShardIterator
      throw incompleteAnswer(what)
    },
    getRecords: async (iterator, options = {}) => {
      const { limit, signal } = options
      const input = { ShardIterator: iterator, ...(limit === undefined ? {} : { Limit: limit }) }
      const answer = await call('GetRecords', 'records of a shard', signal, ({ sdk, client }, send) =>
        client.send(new sdk.GetRecordsCommand(input), send),
      )
      return {
        records: (answer.Records ?? []).map(toRecord),
        nextIterator: answer.NextShardIterator ?? undefined, // some servers send null
        millisBehindLatest: answer.MillisBehindLatest ?? null,
        childShards: (answer.ChildShards ?? []).map((child) => child.ShardId ?? ''),
      }
    },
  }
}

function writeCalls(call: Call): Pick<KinesisApi, 'putRecords'> {
  return {
    putRecords: async (stream, entries, options) => {
      const records = entries.map(({ partitionKey, data }) => ({ PartitionKey: partitionKey, Data: data }))
      const answer = await call('PutRecords', `stream ${stream}`, options?.signal, ({ sdk, client }, send) =>
        client.send(new sdk.PutRecordsCommand({ StreamName: stream, Records: records }), send),
      )
      return (answer.Records ?? []).map(({ ShardId, SequenceNumber, ErrorCode, ErrorMessage }): PutOutcome => {
        if (ShardId && SequenceNumber) {
          return { ok: true, shardId: ShardId, sequenceNumber: SequenceNumber }
        }
        return { ok: false, code: ErrorCode ?? 'Unknown', message: ErrorMessage ?? '' }
      })
    },
  }
}

function toShard(shard: Shard): KinesisShard {
  const parents = [shard.ParentShardId, shard.AdjacentParentShardId].filter(
    (id): id is string => typeof id === 'string',
  )
  const closed = typeof shard.SequenceNumberRange?.EndingSequenceNumber === 'string'
  return { shardId: shard.ShardId ?? '', parents, closed }
}

const toRecord = (record: SdkRecord): SourceRecord => ({
  sequenceNumber: record.SequenceNumber ?? '',
  partitionKey: record.PartitionKey ?? '',
  arrivalMillis: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
  data: record.Data ?? new Uint8Array(0),
})

type IteratorInput = Pick<GetShardIteratorCommandInput, 'ShardIteratorType' | 'Timestamp' | 'StartingSequenceNumber'>

function toPosition(position: IteratorPosition): IteratorInput {
  switch (position.type) {
    case 'AT_TIMESTAMP':
      return { ShardIteratorType: position.type, Timestamp: new Date(position.timestampMillis) }
    case 'AFTER_SEQUENCE_NUMBER':
      return { ShardIteratorType: position.type, StartingSequenceNumber: position.sequenceNumber }
    default:
      return { ShardIteratorType: position.type }
  }
}
