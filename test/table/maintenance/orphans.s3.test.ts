/** The whole round on S3: ETags, times and conditional deletes as a server gives them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type S3Server, startS3Server } from '../../../jobs/demo/s3-server.ts'
import { openCatalog } from '../../../table/catalog/open.ts'
import { type Clock, newUuid, systemClock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { planExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planOrphans, runOrphans } from '../../../table/maintenance/orphans.ts'
import { eventsTable } from '../support.ts'
import { appendEach, DAY, dataNames, keysOf, lostKeys, printed, referencedKeys, smallFile } from './expire-support.ts'

process.env['AWS_ACCESS_KEY_ID'] = 'test'
process.env['AWS_SECRET_ACCESS_KEY'] = 'test'

let server: S3Server
let passedMillis = 0
/** The server's and the machine's. */
const clock: Clock = {
  ...systemClock,
  nowMillis: () => epochMillis(systemClock.nowMillis() + passedMillis),
  sleep: async () => {},
}
beforeAll(async () => {
  server = await startS3Server({ buckets: ['lake'], clock })
})
afterAll(() => server.close())

test('expiry and orphan removal leave what the table leads to; an object that was written anew is spared', async () => {
  const s3 = { endpoint: server.url, region: 'us-east-1' }
  const store = openStore(`s3://lake/${newUuid(systemClock)}/wh`, { s3 })
  let table = await appendEach((await eventsTable(store)).table, ['a', 'b', 'c'])
  const removed = ['a', 'b'].map((name) => `${table.location}/data/${name}.parquet`)
  table = (await table.replaceFiles(removed, [await smallFile(table, 'ab')], {})).table
  await smallFile(table, 'lost')
  await smallFile(table, 'written-anew')
  passedMillis = 20 * DAY
  table = await openCatalog(store, { clock }).loadTable('t.events')
  const expired = await runExpire(table, printed(planExpire(table, {}, clock)), {}, clock)
  expect(expired.result.deleted).toMatchObject({ dataFiles: 2, manifestLists: 3 })
  const plan = printed(await planOrphans(expired.table, {}, clock))
  expect(plan.orphans.map(({ key }) => key)).toEqual(['data/lost.parquet', 'data/written-anew.parquet'])
  await table.store.put('data/written-anew.parquet', Buffer.from('other rows'))
  const swept = await runOrphans(expired.table, plan)
  expect(swept.result).toMatchObject({ deleted: 1, changed: ['data/written-anew.parquet'], referenced: [] })
  expect(await dataNames(swept.table)).toEqual(['ab', 'c', 'written-anew'])
  expect(await lostKeys(swept.table)).toEqual([])
  const owed = await referencedKeys(swept.table)
  expect((await keysOf(table.store)).filter((key) => !owed.has(key))).toEqual(['data/written-anew.parquet'])
})
