/**
 * A `KinesisApi` behind a loopback HTTP door in Kinesis' own protocol (AWS JSON 1.1), so that real processes can use the
 * one in memory: emulators grow slow with the length of a stream. Signatures are not checked; it binds to 127.0.0.1.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { IteratorPosition, KinesisApi, PutOutcome } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'

export interface KinesisDoor {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  close(): Promise<void>
}

export async function openKinesisDoor(api: KinesisApi): Promise<KinesisDoor> {
  const server = createServer((request, response) => {
    answer(api, request).then(
      (body) => reply(response, 200, body),
      (error: unknown) => reply(response, ...failureOf(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
  response.end(JSON.stringify(body))
}

interface Input {
  readonly StreamName: string
  readonly ShardId: string
  readonly ShardIterator: string
  readonly ShardIteratorType: IteratorPosition['type']
  readonly StartingSequenceNumber?: string
  /** Epoch seconds. */
  readonly Timestamp?: number
  readonly NextToken?: string
  readonly MaxResults?: number
  readonly Limit?: number
  readonly Records: readonly { readonly PartitionKey: string; readonly Data: string }[]
}

async function answer(api: KinesisApi, request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const input = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}') as Input
  const target = String(request.headers['x-amz-target'])
  const handle = HANDLERS[target.replace(/^Kinesis_20131202\./, '')]
  if (handle === undefined) throw new Error(`${target} is not served here`)
  return await handle(api, input)
}

const HANDLERS: Readonly<Record<string, (api: KinesisApi, input: Input) => Promise<object>>> = {
  DescribeStreamSummary: async (api, { StreamName }) => {
    const { createdMillis, status, retentionMillis } = await api.describeStream(StreamName)
    return {
      StreamDescriptionSummary: {
        StreamName,
        StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${StreamName}`,
        StreamStatus: status,
        StreamCreationTimestamp: createdMillis / 1000,
        RetentionPeriodHours: retentionMillis / 3_600_000,
        OpenShardCount: 1,
        EnhancedMonitoring: [],
      },
    }
  },
  ListShards: async (api, { NextToken, MaxResults, ...input }) => {
    // a token stands for its stream, which is not named beside it
    const [StreamName = '', token] = NextToken?.split(' ') ?? [input.StreamName]
    const { shards, nextToken } = await api.listShards(StreamName, {
      ...(token === undefined ? {} : { nextToken: token }),
      ...(MaxResults === undefined ? {} : { maxResults: MaxResults }),
    })
    return {
      Shards: shards.map(({ shardId, parents: [first, second], closed }) => ({
        ShardId: shardId,
        ParentShardId: first,
        AdjacentParentShardId: second,
        HashKeyRange: { StartingHashKey: '0', EndingHashKey: '1' },
        SequenceNumberRange: { StartingSequenceNumber: '1', ...(closed ? { EndingSequenceNumber: '2' } : {}) },
      })),
      ...(nextToken === undefined ? {} : { NextToken: `${StreamName} ${nextToken}` }),
    }
  },
  GetShardIterator: async (api, input) => ({
    ShardIterator: await api.getShardIterator(input.StreamName, input.ShardId, positionOf(input)),
  }),
  GetRecords: async (api, { ShardIterator, Limit }) => {
    const page = await api.getRecords(ShardIterator, Limit === undefined ? {} : { limit: Limit })
    return {
      Records: page.records.map(({ sequenceNumber, partitionKey, arrivalMillis, data }) => ({
        SequenceNumber: sequenceNumber,
        PartitionKey: partitionKey,
        ApproximateArrivalTimestamp: arrivalMillis / 1000,
        Data: Buffer.from(data).toString('base64'),
      })),
      NextShardIterator: page.nextIterator,
      MillisBehindLatest: page.millisBehindLatest,
      ...(page.childShards.length === 0
        ? {}
        : { ChildShards: page.childShards.map((ShardId) => ({ ShardId, ParentShards: [] })) }),
    }
  },
  PutRecords: async (api, { StreamName, Records }) => {
    const entries = Records.map(({ PartitionKey, Data }) => ({
      partitionKey: PartitionKey,
      data: Buffer.from(Data, 'base64'),
    }))
    const outcomes = await api.putRecords(StreamName, entries)
    return { FailedRecordCount: outcomes.filter(({ ok }) => !ok).length, Records: outcomes.map(entryOf) }
  },
}

const entryOf = (outcome: PutOutcome): object =>
  outcome.ok
    ? { ShardId: outcome.shardId, SequenceNumber: outcome.sequenceNumber }
    : { ErrorCode: outcome.code, ErrorMessage: outcome.message }

function positionOf({ ShardIteratorType, StartingSequenceNumber = '', Timestamp = 0 }: Input): IteratorPosition {
  if (ShardIteratorType === 'AFTER_SEQUENCE_NUMBER') {
    return { type: ShardIteratorType, sequenceNumber: StartingSequenceNumber }
  }
  if (ShardIteratorType === 'AT_TIMESTAMP') {
    return { type: ShardIteratorType, timestampMillis: Math.round(Timestamp * 1000) }
  }
  return { type: ShardIteratorType }
}

const NAMES: Readonly<Record<string, string>> = {
  FIRN_STREAM_NOT_FOUND: 'ResourceNotFoundException',
  FIRN_STREAM_THROTTLED: 'ProvisionedThroughputExceededException',
  FIRN_ITERATOR_EXPIRED: 'ExpiredIteratorException',
  FIRN_STREAM_DENIED: 'AccessDeniedException',
}

function failureOf(error: unknown): [status: number, body: object] {
  const name = FirnError.is(error) ? (NAMES[error.code] ?? 'InvalidArgumentException') : undefined
  const message = error instanceof Error ? error.message : String(error)
  return name === undefined ? [500, { __type: 'InternalFailureException', message }] : [400, { __type: name, message }]
}
