/** What runs left behind: only of runs that are over, and never the last record of a job. */
import { expect, test } from 'vitest'
import { prepareLeftovers } from '../../../jobs/maintenance/leftovers.ts'
import { newRunId } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import { type AgedWarehouse, agedWarehouse, DAY } from './prune/aged-warehouse.ts'

const prepare = (warehouse: AgedWarehouse, clock = warehouse.clock) =>
  prepareLeftovers({ ...warehouse, clock, tableName: 'a.b', spillMinAgeMillis: 3 * DAY, runsMinAgeMillis: 90 * DAY })

const keys = async ({ store }: AgedWarehouse): Promise<string[]> => {
  const found: string[] = []
  for await (const { key } of store.list('')) if (key !== '_runs/clock-probe') found.push(key)
  return found
}

const put = async ({ store }: AgedWarehouse, ...names: readonly string[]): Promise<void> => {
  for (const name of names) await store.put(name, Buffer.from('x'))
}

test('the exchange of a run goes when all of it is old, records when they are, but for the newest of each job', async () => {
  const warehouse = agedWarehouse()
  await put(
    warehouse,
    '_runs/land/1-a.json',
    '_runs/land/2-b.json',
    '_runs/rare/1-c.json',
    '_runs/status',
    '_leases/x.json',
  )
  warehouse.later(87)
  await put(
    warehouse,
    '_spill/dead/0/a',
    '_spill/dead/1/b',
    '_spill/slow/0/a',
    '_runs/compact/1-d.json',
    '_runs/compact/2-e.json',
  )
  warehouse.later(4)
  await put(warehouse, '_spill/slow/1/b', '_runs/land/3-f.json')
  const prepared = await prepare(warehouse)
  expect(prepared).toMatchObject({
    nothingToDo: false,
    plan: { spilled: { runs: 1, objects: 2 }, records: { objects: 2 } },
  })
  await prepared.run(newRunId(warehouse.clock))
  expect(await keys(warehouse)).toEqual([
    '_leases/x.json',
    '_runs/compact/1-d.json',
    '_runs/compact/2-e.json',
    '_runs/land/3-f.json',
    '_runs/rare/1-c.json',
    '_runs/status',
    '_spill/slow/0/a',
    '_spill/slow/1/b',
  ])
  expect((await prepare(warehouse)).nothingToDo).toBe(true)
})

test('a run that goes on between the plan and the yes keeps what it exchanged', async () => {
  const warehouse = agedWarehouse()
  await put(warehouse, '_spill/slow/0/a')
  warehouse.later(4)
  const prepared = await prepare(warehouse)
  await put(warehouse, '_spill/slow/1/b')
  expect(await prepared.run(newRunId(warehouse.clock))).toMatchObject({ result: { spilled: { objects: 0 } } })
  expect(await keys(warehouse)).toEqual(['_spill/slow/0/a', '_spill/slow/1/b'])
})

test('ages are those of the clock of the store', async () => {
  const warehouse = agedWarehouse()
  await put(warehouse, '_spill/slow/0/a')
  warehouse.later(3 - 1 / 1440)
  const ahead = (millis: number) => ({
    ...warehouse.clock,
    nowMillis: () => epochMillis(warehouse.clock.nowMillis() + millis),
  })
  const minutes = await prepare(warehouse, ahead(240_000))
  expect(minutes.nothingToDo).toBe(false)
  expect(await minutes.run(newRunId(warehouse.clock))).toMatchObject({ result: { spilled: { objects: 0 } } })
  const hours = await prepare(warehouse, ahead(3_600_000))
  await expect(hours.run(newRunId(warehouse.clock))).rejects.toMatchObject({ code: 'FIRN_CLOCK_SKEW' })
  expect(await keys(warehouse)).toEqual(['_spill/slow/0/a'])
})
