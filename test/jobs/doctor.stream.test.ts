/** `firn doctor --stream` says that a stream can be landed only when it can. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig } from '../../jobs/config.ts'
import { type Check, diagnose } from '../../jobs/doctor.ts'
import { openCatalog, openStore } from '../../table/index.ts'
import { virtualClock } from '../ingest/virtual-clock.ts'

const saved = process.env
let server: Server
let asked: { action: string; input: Record<string, unknown> }[]
beforeEach(() => {
  asked = []
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_EC2_METADATA_DISABLED: 'true' }
  process.env = { PATH: saved['PATH'], ...credentials }
})
afterEach(() => {
  process.env = saved
  server.closeAllConnections()
  server.close()
})

const ANSWERS: Readonly<Record<string, unknown>> = {
  DescribeStreamSummary: {
    StreamDescriptionSummary: {
      StreamCreationTimestamp: 1_772_366_400,
      StreamStatus: 'ACTIVE',
      RetentionPeriodHours: 24,
    },
  },
  ListShards: {
    Shards: [
      { ShardId: 'shardId-0', SequenceNumberRange: { StartingSequenceNumber: '1', EndingSequenceNumber: '2' } },
      { ShardId: 'shardId-1', SequenceNumberRange: { StartingSequenceNumber: '3' } },
    ],
  },
  GetShardIterator: { ShardIterator: 'iterator' },
  GetRecords: { Records: [], NextShardIterator: 'next', MillisBehindLatest: 0 },
}

/** The stream check on a Kinesis that denies what is `denied`. */
async function checkStream(denied?: string): Promise<Check | undefined> {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const action = String(request.headers['x-amz-target']).split('.')[1] as string
    asked.push({ action, input: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown> })
    const refused = action === denied
    response.writeHead(refused ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(JSON.stringify(refused ? { __type: 'AccessDeniedException', message: 'no' } : ANSWERS[action]))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clock = virtualClock()
  const store = openStore('memory://doctor-stream')
  const checks = await diagnose({
    warehouse: () => store,
    catalog: () => openCatalog(store, { clock }),
    config: loadConfig({ env: { AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_KINESIS: endpoint }, cwd: '/' }),
    clock,
    stream: 'Orders',
  })
  return checks.find(({ check }) => check === 'stream')
}

const ACTIONS = ['DescribeStreamSummary', 'ListShards', 'GetShardIterator', 'GetRecords']

test('a stream that can be read is well: one record of an open shard is asked for', async () => {
  const check = await checkStream()
  expect(check).toMatchObject({ ok: true, detail: expect.stringMatching(/^Orders exists since 2026-.*, 2 shards/) })
  expect(asked.map(({ action }) => action)).toEqual(ACTIONS)
  expect(asked[2]?.input).toMatchObject({ ShardId: 'shardId-1' })
  expect(asked[3]?.input).toMatchObject({ Limit: 1 })
})

test.each(ACTIONS)(
  'a stream on which %s is denied is not: the fix names that action, and all that landing needs',
  async (action) => {
    const check = await checkStream(action)
    expect(check).toMatchObject({
      ok: false,
      configuration: true,
      detail: expect.stringContaining(`${action} was refused`),
    })
    expect(check?.fix).toContain(`Allow kinesis:${action} `)
    for (const needed of ACTIONS) expect(check?.fix).toContain(`kinesis:${needed}`)
  },
)
