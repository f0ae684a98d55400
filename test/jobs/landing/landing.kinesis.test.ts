/** Where a stream begins, as asked for on the command line, on the wire. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKinesis } from '../../../ingest/index.ts'
import { type KinesisLocal, kinesisLocalRegion, startKinesisLocal } from '../../../jobs/demo/kinesis.ts'
import { complaint, type Home, makeHome, type Outcome } from '../cli-support.ts'

const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
const saved = { ...process.env }
let kinesis: KinesisLocal
let home: Home
beforeAll(async () => {
  Object.assign(process.env, credentials)
  kinesis = await startKinesisLocal({ streams: { Orders: 1 } })
  home = makeHome({ ...credentials, AWS_REGION: kinesisLocalRegion, AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint })
})
afterAll(async () => {
  process.env = saved
  home.remove()
  await kinesis.close()
})

const land = (...args: string[]): Promise<Outcome> => home.spawn(['land', '--stream', 'Orders', ...args])

test('a start to come stores nothing; LATEST then begins, goes on, and is not exchanged for another start', async () => {
  const client = openKinesis({ endpoint: kinesis.endpoint, region: kinesisLocalRegion })
  await client.putRecords('Orders', [{ partitionKey: 'k', data: Buffer.from('{}') }])
  client.close()

  const future = await land('--start', '2062-01-01')
  expect({ exit: future.code, code: complaint(future).code }).toEqual({ exit: 2, code: 'FIRN_START_INVALID' })
  expect(home.files()).toEqual([])

  for (const args of [['--start', 'LATEST'], ['--start', 'LATEST'], []]) {
    const outcome = await land(...args)
    expect(outcome, args.join(' ')).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
  }

  const other = await land('--start', 'TRIM_HORIZON')
  expect({ exit: other.code, code: complaint(other).code }).toEqual({ exit: 2, code: 'FIRN_START_DIFFERS' })
  expect(complaint(other).error).toMatch(/Orders began at LATEST \(then 20.*start\.json says; this run asks for TRIM_/)
  // A setting is where new streams begin; it does not stop one that has begun.
  const set = await home.spawn(['land', '--stream', 'Orders'], { FIRN_RUN__LAND__START: 'TRIM_HORIZON' })
  expect(set).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
}, 60_000)
