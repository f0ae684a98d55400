import { expect, it, vi } from 'vitest'
import { openDataset } from '../../../loader/index.ts'
import { memoryUrl, numbersOf, rowsTable } from '../support.ts'

const copied = vi.hoisted(() => ({ rows: 0 }))
vi.mock('../../../loader/batches/gather.ts', async (original) => {
  const gather = await original<typeof import('../../../loader/batches/gather.ts')>()
  const gatherRows: typeof gather.gatherRows = (schema, resident, selection) => {
    copied.rows += selection.length
    return gather.gatherRows(schema, resident, selection)
  }
  return { ...gather, gatherRows }
})

it.each([400, 150, 1000])('a batch of many blocks (%i rows of 4 a block) copies a row twice at most', async (size) => {
  const { url } = await rowsTable(memoryUrl(), { rows: 400, fileRows: 400, rowGroupRows: 4 })
  const shuffle = { seed: 1, blockRowGroups: 1 }
  const dataset = await openDataset({ warehouse: url, table: 't.rows', columns: ['n'], shuffle, batch: { size } })
  copied.rows = 0
  const batches = await numbersOf(dataset.epoch(0))
  expect(batches.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, n) => n))
  expect(copied.rows).toBeGreaterThanOrEqual(400)
  expect(copied.rows).toBeLessThanOrEqual(800)
})
