/** start.json: made once, by a start that the source takes; a run that asks for another one is told. */
import { beforeEach, describe, expect, test } from 'vitest'
import { kinesisSource, land, type RequestedStart } from '../../../ingest/index.ts'
import { ensureStart } from '../../../ingest/staging/stream-start.ts'
import { epochMillis } from '../../../table/ids.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { stagedRecords } from '../staged-records.ts'
import { virtualClock, virtualStart } from '../virtual-clock.ts'

const orders = { stream: 'orders', created: 7 }
const KEY = '_staging/orders@7/start.json'
const now = { nowMillis: virtualStart }
const at = (millis: number): RequestedStart => ({ type: 'AT_TIMESTAMP', timestampMillis: epochMillis(millis) })
const trimHorizon = { type: 'TRIM_HORIZON' } as const
const latest = { type: 'LATEST' } as const

let store: ObjectStore
let stores = 0
beforeEach(() => {
  store = openMemoryStore(`start-${++stores}`)
})

const keys = async (): Promise<string[]> => {
  const found: string[] = []
  for await (const { key } of store.list('')) found.push(key)
  return found
}

test('the first of racing runs decides the start for those that do not ask for one', async () => {
  const wanted = [at(1_700_000_000_000), trimHorizon, latest]
  const starts = await Promise.all(wanted.map((defaultStart) => ensureStart(store, orders, { defaultStart }, now)))
  expect(new Set(starts.map((start) => JSON.stringify(start))).size).toBe(1)
  expect(await ensureStart(store, orders, {}, now)).toEqual(starts[0])
})

test('of racing runs that ask for different starts, those that lost are refused', async () => {
  const racing = [at(1_700_000_000_000), trimHorizon].map((start) => ensureStart(store, orders, { start }, now))
  const settled = await Promise.allSettled(racing)
  expect(settled.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  const lost = settled.find((each) => each.status === 'rejected')
  expect(lost?.reason).toMatchObject({ code: 'FIRN_START_DIFFERS' })
})

describe('a run that asks for a start', () => {
  const cases: [string, RequestedStart, string, RequestedStart, boolean][] = [
    ['TRIM_HORIZON', trimHorizon, 'TRIM_HORIZON', trimHorizon, true],
    ['a time', at(1_000), 'the same time', at(1_000), true],
    ['LATEST', latest, 'LATEST', latest, true],
    ['LATEST', latest, 'the time that it meant', at(virtualStart), true],
    ['TRIM_HORIZON', trimHorizon, 'LATEST', latest, false],
    ['TRIM_HORIZON', trimHorizon, 'a time', at(1_000), false],
    ['a time', at(1_000), 'another time', at(2_000), false],
    ['a time', at(virtualStart), 'LATEST', latest, false],
    ['LATEST', latest, 'TRIM_HORIZON', trimHorizon, false],
  ]
  test.each(cases)('where the stream began at %s, %o: %s is judged', async (_first, first, _then, then, goesOn) => {
    const start = await ensureStart(store, orders, { start: first }, now)
    const later = { nowMillis: epochMillis(virtualStart + 60_000) }
    const asking = ensureStart(store, orders, { start: then }, later)
    if (goesOn) expect(await asking).toEqual(start)
    else {
      const message = expect.stringMatching(/orders began at .*start\.json says; this run asks for /)
      await expect(asking).rejects.toMatchObject({ code: 'FIRN_START_DIFFERS', kind: 'invalid', message })
    }
    // Not asked for, only a default: it counts for new streams.
    expect(await ensureStart(store, orders, { defaultStart: then }, later)).toEqual(start)
  })
})

test.each([
  ['in a year', virtualStart + 365 * 86_400_000],
  ['in ten seconds', virtualStart + 10_000],
  ['no time at all', Number.NaN],
])('a start %s is refused and not written, asked for or by default', async (_when, millis) => {
  for (const request of [{ start: at(millis) }, { defaultStart: at(millis) }]) {
    const refusal = { code: 'FIRN_START_INVALID', kind: 'invalid', help: expect.stringContaining('LATEST') }
    await expect(ensureStart(store, orders, request, now)).rejects.toMatchObject(refusal)
  }
  expect(await keys()).toEqual([])
})

test('a default start to come is of no account for a stream that has begun', async () => {
  await ensureStart(store, orders, {}, now)
  expect(await ensureStart(store, orders, { defaultStart: at(virtualStart * 2) }, now)).toEqual(trimHorizon)
})

test.each(['not json', '[]', '{"type":"LATEST"}', '{"type":"AT_TIMESTAMP","timestamp":"soon"}'])(
  'a start.json of %s stops the run',
  async (content) => {
    await store.put(KEY, Buffer.from(content))
    const corrupt = { code: 'FIRN_STAGING_CORRUPT', kind: 'corrupt', message: expect.stringContaining('start.json') }
    await expect(ensureStart(store, orders, {}, now)).rejects.toMatchObject(corrupt)
  },
)

describe('on Kinesis', () => {
  function world(behindMillis: number) {
    const clock = virtualClock()
    const kinesis = new MemoryKinesis({ clock, behindMillis })
    kinesis.createStream('clicks', 1)
    const put = (text: string): void => void kinesis.putInto('clicks', 'shardId-000000000000', text)
    const run = (start: RequestedStart) =>
      land({ store, clock, source: kinesisSource({ stream: 'clicks', client: kinesis, start, clock }) })
    return { clock, kinesis, put, run }
  }
  const texts = async (): Promise<string[]> => (await stagedRecords(store, 'clicks')).map(({ text }) => text)

  test.each([0, 1, 400, 20_000, 299_000])(
    'LATEST is taken from a machine that is %i ms ahead',
    async (behindMillis) => {
      const { clock, put, run } = world(behindMillis)
      put('long before')
      clock.advance(86_400_000)
      expect(await run(latest)).toMatchObject({ records: 0 })
      put('after')
      clock.advance(behindMillis + 1)
      expect(await run(latest)).toMatchObject({ records: 1 })
      expect(await texts()).toEqual(['after'])
    },
  )

  test('LATEST is exact where the clocks agree, and costs one call', async () => {
    const { clock, kinesis, put, run } = world(0)
    put('just before')
    clock.advance(1)
    await run(latest)
    expect(await texts()).toEqual([])
    expect(kinesis.calls('getShardIterator')).toBe(2) // one asks, one reads
  })

  test.each([
    ['a time that Kinesis refuses', at(virtualStart + 2_000), 0],
    ['LATEST on a machine that is hours ahead', latest, 10 * 3_600_000],
  ] as const)('%s is not stored, and the next run may ask for another start', async (_what, start, behindMillis) => {
    const { run } = world(behindMillis)
    await expect(run(start)).rejects.toMatchObject({ code: 'FIRN_START_INVALID', kind: 'invalid' })
    expect(await keys()).toEqual([])
    expect(await run(trimHorizon)).toMatchObject({ records: 0 })
  })
})
