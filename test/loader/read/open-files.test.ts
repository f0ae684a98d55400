import { expect, it } from 'vitest'
import { noCounters } from '../../../loader/read/counters.ts'
import { fileOpener, storesOf } from '../../../loader/read/open-files.ts'
import { commitFiles, positionDeletes } from '../../table/scan/delete-tables.ts'
import { testClock } from '../../table/support.ts'
import { memoryUrl, ROWS, rowsTable } from '../support.ts'
import { filesOf, never, setupOf } from './units.ts'

/** 5 files, each with 2 row groups of 12 columns. */
async function world(keptChunks?: number) {
  const { table } = await rowsTable(memoryUrl(), { rows: 100, fileRows: 20, rowGroupRows: 10 })
  const counters = noCounters()
  const stores = storesOf(setupOf(table, ROWS), table.store, testClock(), counters)
  return {
    table,
    counters,
    open: fileOpener(table.location, ROWS, stores, never, keptChunks),
    files: await filesOf(table),
  }
}

it('reads a footer once, however many ask for it at the same time', async () => {
  const { open, files, counters } = await world()
  await Promise.all([...files, ...files].map((file) => open.withDeletes(file, false)))
  for (const file of files) await open.footer(file, false)
  expect(counters.requests).toBe(5)
})

it('forgets the footers that were used longest ago', async () => {
  const { open, files, counters } = await world(3 * 3 * 13)
  for (const file of files.slice(0, 3)) await open.footer(file, false)
  await open.footer(files[0]!, false)
  await open.footer(files[3]!, false) // in place of the second one
  expect(counters.requests).toBe(4)
  await open.footer(files[0]!, false)
  await open.footer(files[2]!, false)
  expect(counters.requests).toBe(4)
  await open.footer(files[1]!, false)
  expect(counters.requests).toBe(5)
})

it('reads a footer again after it failed, after it was forgotten, and past what is kept', async () => {
  const { open, files, counters } = await world()
  const [file] = files
  await expect(open.footer({ ...file!, recordCount: 1 }, false)).rejects.toMatchObject({ kind: 'corrupt' })
  await open.footer(file!, false)
  expect(counters.requests).toBe(2)
  open.forget(file!)
  await open.footer(file!, false)
  expect(counters.requests).toBe(3)
  await open.footer(file!, true)
  expect(counters.requests).toBe(4)
})

it('reads delete files once for all data files, and not for footers', async () => {
  const { table } = await world()
  const paths = (await filesOf(table)).map(({ filePath }) => filePath)
  const deleted = await commitFiles(table, [
    await positionDeletes(
      table,
      paths.map((path) => [path, 3]),
    ),
  ])
  const counters = noCounters()
  const stores = storesOf(setupOf(deleted, ROWS), deleted.store, testClock(), counters)
  const open = fileOpener(deleted.location, ROWS, stores, never)
  const files = await filesOf(deleted)
  for (const file of files) expect((await open.footer(file, false)).hasDeletes).toBe(false)
  expect(counters.requests).toBe(5)
  for (const file of files) expect((await open.withDeletes(file, false)).hasDeletes).toBe(true)
  const readOfDeletes = counters.requests - 10
  // its footer and its row groups of three rows
  expect(readOfDeletes).toBeGreaterThan(0)
  expect(readOfDeletes).toBeLessThanOrEqual(3)
})
