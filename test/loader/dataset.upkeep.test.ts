/** An epoch while the table is changed, rewritten and cleaned up under it. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { DatasetOptions } from '../../loader/index.ts'
import {
  epochMillis,
  newRunId,
  parseWhere,
  planExpire,
  planRewrite,
  runExpire,
  runRewrite,
  systemClock,
} from '../../table/index.ts'
import { appendRows, folderWarehouse, numbersOf, rowsTable, type TestTable, withDataset } from './support.ts'

let home: Awaited<ReturnType<typeof folderWarehouse>>
let made: TestTable

beforeEach(async () => {
  home = await folderWarehouse()
  made = await rowsTable(home.url, { rows: 900, fileRows: 60, rowGroupRows: 20 })
})
afterEach(() => home.remove())

const options = (more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse: home.url,
  table: 't.rows',
  snapshot: { id: made.table.currentSnapshot()!.snapshotId },
  shuffle: { seed: 3, blockBytes: 20_000 },
  batch: { size: 8 },
  ...more,
})

/** Rows come, rows go, all files are written anew, and what is old is removed with its files. */
async function turnOver(): Promise<void> {
  const table = async (): Promise<TestTable['table']> => made.catalog.loadTable('t.rows')
  await appendRows(await table(), 5_000, 5_100, { fileRows: 50, rowGroupRows: 10 })
  const current = await table()
  await current.deleteWhere(parseWhere('n < 450', current.schemaFor()))
  const spillFolder = join(home.path, 'spill')
  await mkdir(spillFolder, { recursive: true })
  const plan = await planRewrite(await table(), { rewriteAll: true })
  await runRewrite(await table(), plan, { runId: newRunId(systemClock), spillFolder })
  const rules = { olderThan: epochMillis(systemClock.nowMillis() + 1000), retainLast: 1 }
  const expire = planExpire(await table(), rules, systemClock)
  const { result } = await runExpire(await table(), expire, { graceMillis: 0 }, systemClock)
  expect(result.snapshotIds.length).toBeGreaterThan(0)
}

it.each([0, 1])('goes on in its order and loses nothing, with %i workers; so does its token', async (numWorkers) => {
  const undisturbed = await withDataset(options({ pin: false }), (dataset) => numbersOf(dataset.epoch(0)))
  await withDataset(options({ numWorkers, pin: 'required' }), async (dataset) => {
    const batches: number[][] = []
    let token = ''
    for await (const batch of dataset.epoch(0)) {
      batches.push([...(batch.getChild('n')!.toArray() as Int32Array)])
      if (batches.length !== 4) continue
      token = dataset.stateDict()
      await turnOver()
    }
    expect(batches).toEqual(undisturbed)
    const rest = await withDataset(options({ pin: false }), async (again) => {
      await again.loadStateDict(token)
      return numbersOf(again.epoch())
    })
    expect(rest).toEqual(undisturbed.slice(4))
  })
})

it('is what the tag is for: without one, expiry takes the files away', async () => {
  await withDataset(options({ numWorkers: 0, pin: false }), async (dataset) => {
    await turnOver()
    await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  })
})
