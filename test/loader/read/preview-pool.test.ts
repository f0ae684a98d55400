import { afterAll, beforeAll, expect, it } from 'vitest'
import { workerDecoder } from '../../../loader/read/preview-pool.ts'
import { listUnits, type Unit, unitReader } from '../../../loader/source/units.ts'
import { arrowSchema, printSchema, type Table } from '../../../table/index.ts'
import { rowsOf } from '../../table/support.ts'
import { folderWarehouse, ROWS, rowsTable } from '../support.ts'
import { countWorkers } from '../support-workers.ts'

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
let table: Table
let units: readonly Unit[]
const never = new AbortController().signal

beforeAll(async () => {
  warehouse = await folderWarehouse()
  table = (await rowsTable(warehouse.url, { rows: 100, rowGroupRows: 20 })).table
  const files = (await table.scan().planFiles()).map((task) => task.file)
  units = await listUnits(files, unitReader(table.store, table.location, ROWS, never), never)
})
afterAll(() => warehouse.remove())

const pool = (threads: number, location = table.location, storeOptions = {}) =>
  workerDecoder({
    threads,
    setup: { storeUrl: table.store.url, storeOptions, location, schema: printSchema(ROWS) },
    schema: arrowSchema(ROWS),
  })

it('decodes what this thread would decode', async () => {
  const decoder = pool(2)
  const reader = unitReader(table.store, table.location, ROWS, never)
  try {
    const batches = await Promise.all(units.map((unit) => decoder.decode(unit, never)))
    for (const [index, unit] of units.entries()) {
      const expected = await reader.read(unit.file, unit.rowGroup, never)
      expect(rowsOf(ROWS, batches[index]!)).toEqual(rowsOf(ROWS, expected))
    }
  } finally {
    await decoder.close()
  }
})

it('hands over what is finished while the event loop is held, as training holds it', async () => {
  const decoder = pool(1)
  try {
    await decoder.decode(units[0]!, never) // the thread is up
    let rows = 0
    const pending = decoder.decode(units[1]!, never).then((batch) => {
      rows = batch.numRows
    })
    const nap = new Int32Array(new SharedArrayBuffer(4))
    // Promises settle in here, but no message event can be delivered.
    for (let tries = 0; rows === 0 && tries < 1000; tries++) {
      Atomics.wait(nap, 0, 0, 20)
      decoder.collect()
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    }
    expect(rows).toBe(units[1]!.rows)
    await pending
  } finally {
    await decoder.close()
  }
})

it('gives up a unit at once on abort, and serves the others', async () => {
  const decoder = pool(1)
  try {
    const controller = new AbortController()
    const given = decoder.decode(units[0]!, controller.signal)
    const other = decoder.decode(units[1]!, never)
    controller.abort(new Error('not needed'))
    await expect(given).rejects.toThrow('not needed')
    expect((await other).numRows).toBe(units[1]!.rows)
    await expect(decoder.decode(units[0]!, controller.signal)).rejects.toThrow('not needed')
  } finally {
    await decoder.close()
  }
})

it('carries a typed error across with its kind, code and detail', async () => {
  const decoder = pool(1, 'file:///elsewhere')
  try {
    await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({
      name: 'FirnError',
      kind: 'invalid',
      code: 'FIRN_PATH_OUTSIDE_TABLE',
      detail: { path: expect.stringContaining('.parquet') as string },
      help: expect.any(String) as string,
      stack: expect.stringContaining('outsideTable') as string,
    })
  } finally {
    await decoder.close()
  }
})

it('fails what is pending when it is closed, and refuses more', async () => {
  const workers = countWorkers()
  const decoder = pool(2)
  const pending = Promise.allSettled([decoder.decode(units[0]!, never), decoder.decode(units[1]!, never)])
  await decoder.close()
  expect(workers).toMatchObject({ started: 2, alive: 0 })
  for (const result of await pending) expect(result).toMatchObject({ reason: { code: 'FIRN_DATASET_CLOSED' } })
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
  workers.stop()
})

it.each([
  ['ERR_WORKER_OUT_OF_MEMORY', 'blockRowGroups'],
  ['ERR_MODULE_NOT_FOUND', 'external to the bundle'],
  ['ERR_SOMETHING', 'numWorkers: 0'],
])('says why a thread died, and for %s what to do about it', async (code, help) => {
  const cause = Object.assign(new Error('the reason'), { code })
  process.once('worker', (worker) => {
    worker.emit('error', cause)
    void worker.terminate()
  })
  const decoder = pool(1)
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({
    kind: 'failed',
    code: 'FIRN_WORKER_CRASHED',
    message: expect.stringContaining('the reason') as string,
    help: expect.stringContaining(help) as string,
    cause,
  })
  await decoder.close()
})

it('wraps the error of a thread that cannot even be started', async () => {
  const decoder = pool(1, undefined, { s3: () => {} })
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({
    code: 'FIRN_WORKER_CRASHED',
    cause: { name: 'DataCloneError' },
  })
  await decoder.close()
})
