/** How long a training program waits for its batches, told to whoever listens. */
import { afterEach, expect, test } from 'vitest'
import { recordMetrics } from '../../jobs/index.ts'
import { openDataset } from '../../loader/index.ts'
import { systemClock } from '../../table/clock.ts'
import { type LoaderMessage, loaderChannel } from '../../table/diagnostics.ts'
import {
  articleRecords,
  memoryWarehouse,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../jobs/compaction/fixture.ts'

let end = (): void => {}
afterEach(() => end())

async function filled(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { s: { records: articleRecords(0, 50) } })
  await runCompaction(warehouse)
  return warehouse
}

test('each batch is told of once, with its rows and the time between asking and having', async () => {
  const { store } = await filled()
  const heard: LoaderMessage[] = []
  end = loaderChannel.subscribe((message) => void heard.push(message))
  let nowMillis = 0
  const clock = { ...systemClock, monotonicMillis: () => (nowMillis += 5) }
  const dataset = await openDataset({ warehouse: store, table: TABLE, batch: { size: 20 }, prefetchBatches: 0, clock })
  const epoch = dataset.epoch()
  let rows = 0
  for await (const batch of epoch) rows += batch.numRows
  expect(rows).toBe(50)
  expect(heard.map((message) => message.rows)).toEqual([20, 20, 10])
  expect(heard.every(({ table, split, waitMillis }) => table === TABLE && split === 'all' && waitMillis > 0)).toBe(true)
  await dataset[Symbol.asyncDispose]()
})

test('leaving early still ends the epoch', async () => {
  const { store } = await filled()
  end = loaderChannel.subscribe(() => {})
  const dataset = await openDataset({ warehouse: store, table: TABLE, batch: { size: 20 } })
  const epoch = dataset.epoch()
  for await (const _batch of epoch) break
  expect(await epoch.next()).toEqual({ done: true, value: undefined })
  await dataset[Symbol.asyncDispose]()
})

test('recordMetrics counts the rows that a training program takes, until it is closed', async () => {
  const { store } = await filled()
  const recorded = recordMetrics()
  const dataset = await openDataset({ warehouse: store, table: TABLE, batch: { size: 20 } })
  for await (const _batch of dataset.epoch());
  const name = 'firn_loader_rows_total{table="news.articles",split="all"}'
  expect(await recorded.prometheusText()).toContain(`${name} 50`)
  recorded.close()
  for await (const _batch of dataset.epoch(1));
  expect(await recorded.prometheusText()).toContain(`${name} 50`)
  await dataset[Symbol.asyncDispose]()
})
