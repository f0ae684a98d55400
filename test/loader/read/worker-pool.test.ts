import type { Schema as ArrowSchema } from 'apache-arrow'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { UnitRequest } from '../../../loader/read/decoder.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import { transformedSchema } from '../../../loader/read/transform.ts'
import { workerDecoder } from '../../../loader/read/worker-pool.ts'
import type { ReadSetup } from '../../../loader/source/plan.ts'
import { arrowSchema, parseWhere, type Table } from '../../../table/index.ts'
import { commitFiles, positionDeletes } from '../../table/scan/delete-tables.ts'
import { testClock } from '../../table/support.ts'
import { folderWarehouse, ROWS, rowsTable } from '../support.ts'
import { countWorkers } from '../support-workers.ts'
import { decodeAll, never, setupOf, shown, unitsOf } from './units.ts'

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
let table: Table
let units: readonly UnitRequest[]

beforeAll(async () => {
  warehouse = await folderWarehouse()
  table = (await rowsTable(warehouse.url, { rows: 100, fileRows: 60, rowGroupRows: 20 })).table
  units = await unitsOf(table, ROWS)
})
afterAll(() => warehouse.remove())

interface PoolOptions {
  readonly threads?: number
  readonly from?: Table
  readonly more?: Partial<ReadSetup>
  readonly schema?: ArrowSchema
  readonly onError?: 'raise' | 'skip'
  readonly early?: boolean
}

const parts = ({ from = table, more, onError = 'raise' }: PoolOptions) => ({
  setup: setupOf(from, ROWS, more),
  store: from.store,
  clock: testClock(),
  onError,
})
const pool = (options: PoolOptions = {}) =>
  workerDecoder({
    ...parts(options),
    threads: options.threads ?? 1,
    schema: options.schema ?? arrowSchema(ROWS),
    early: options.early ?? false,
  })

it.each([
  ['whole units', {}, 1],
  ['units of several row groups', {}, 3],
  [
    'rows of a filter and a split',
    { where: parseWhere('n < 70', ROWS), split: { column: 'id', buckets: 5, from: 0, to: 3 } },
    1,
  ],
] as const)('decodes %s as this thread does', async (_what, more, groups) => {
  const wanted = await unitsOf(table, ROWS, { groups })
  const expected = (await decodeAll(inlineDecoder(parts({ more })), wanted)).map(shown)
  for (const threads of [1, 2]) {
    const decoder = pool({ threads, more })
    try {
      expect((await decodeAll(decoder, wanted)).map(shown)).toEqual(expected)
      const rows = await Promise.all(wanted.map((unit) => decoder.unitRows(unit, never)))
      expect(rows.reduce((sum, count) => sum + count, 0)).toBe(100)
    } finally {
      await decoder.close()
    }
  }
})

it('applies deletes in the thread', async () => {
  const { file } = units[0]!
  const from = await commitFiles(table, [
    await positionDeletes(
      table,
      [3, 4, 25].map((at) => [file.filePath, at]),
    ),
  ])
  const wanted = await unitsOf(from, ROWS)
  const expected = (await decodeAll(inlineDecoder(parts({ from })), wanted)).map(shown)
  const decoder = pool({ from })
  try {
    const decoded = await decodeAll(decoder, wanted)
    expect(decoded.map(shown)).toEqual(expected)
    expect(decoded.reduce((sum, { rows, draws }) => sum + rows - (draws?.length ?? rows), 0)).toBe(3)
  } finally {
    await decoder.close()
  }
})

it('runs the transform in the thread: lists, fixed lists and columns that are passed on', async () => {
  const module = new URL('./ids.transform.ts', import.meta.url).href
  const more = { transform: { module, options: { width: 3 } } }
  const schema = await transformedSchema(more.transform, arrowSchema(ROWS))
  const expected = (await decodeAll(inlineDecoder(parts({ more })), units)).map(shown)
  const decoder = pool({ more, schema, threads: 2 })
  try {
    expect((await decodeAll(decoder, units)).map(shown)).toEqual(expected)
    expect(JSON.stringify(expected)).toContain('FixedSizeList')
  } finally {
    await decoder.close()
  }
})

it('skips damaged units as this thread does', async () => {
  const damaged = units.map((unit, index) =>
    index === 1 ? { ...unit, file: { ...unit.file, recordCount: 61 } } : unit,
  )
  const options = { onError: 'skip' } as const
  const expected = (await decodeAll(inlineDecoder(parts(options)), [damaged[1]!])).map(shown)
  expect(expected).toMatchObject([{ skipped: { code: 'FIRN_ROW_COUNT_MISMATCH' } }])
  const decoder = pool(options)
  try {
    expect((await decodeAll(decoder, [damaged[1]!])).map(shown)).toEqual(expected)
  } finally {
    await decoder.close()
  }
})

it.each([false, true])('hands over what is finished while the event loop is held (early: %s)', async (early) => {
  const decoder = pool({ early })
  try {
    const finished: number[] = []
    const pending = units.map((unit, index) => decoder.decode(unit, never).then(() => finished.push(index)))
    const nap = new Int32Array(new SharedArrayBuffer(4))
    // The first two are begun here and cannot go on without the event loop.
    const others = [...units.keys()].slice(early ? 2 : 0)
    // Promises settle in here, but no message event can be delivered.
    for (let tries = 0; finished.length < others.length && tries < 1000; tries++) {
      Atomics.wait(nap, 0, 0, 20)
      decoder.collect()
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    }
    expect(finished.toSorted()).toEqual(others)
    await Promise.all(pending)
  } finally {
    await decoder.close()
  }
})

it('decodes here what is asked for before a thread is up, with the same result', async () => {
  const expected = (await decodeAll(inlineDecoder(parts({})), units)).map(shown)
  const decoder = pool({ early: true })
  const controller = new AbortController()
  try {
    const pending = decodeAll(decoder, [...units, ...units])
    const given = decoder.decode(units[0]!, controller.signal)
    controller.abort(new Error('not needed'))
    await expect(given).rejects.toThrow('not needed')
    expect((await pending).map(shown)).toEqual([...expected, ...expected])
  } finally {
    await decoder.close()
  }
})

it('fails what no thread is left to decode, and what waits when it is closed', async () => {
  process.once('worker', (worker) => {
    worker.emit('error', new Error('the reason'))
    void worker.terminate()
  })
  const decoder = pool({ early: true })
  const results = await Promise.allSettled(units.map((unit) => decoder.decode(unit, never)))
  expect(results.slice(0, 2)).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }])
  for (const result of results.slice(2)) expect(result).toMatchObject({ reason: { code: 'FIRN_WORKER_CRASHED' } })
  const pending = Promise.allSettled(units.map((unit) => decoder.decode(unit, never)))
  await decoder.close()
  for (const result of await pending) expect(result).toMatchObject({ reason: { code: 'FIRN_DATASET_CLOSED' } })
})

it('gives up a unit at once on abort, and serves the others', async () => {
  const decoder = pool()
  try {
    const controller = new AbortController()
    const given = decoder.decode(units[0]!, controller.signal)
    const other = decoder.decode(units[1]!, never)
    controller.abort(new Error('not needed'))
    await expect(given).rejects.toThrow('not needed')
    expect((await other).rows).toBe(20)
    await expect(decoder.decode(units[0]!, controller.signal)).rejects.toThrow('not needed')
  } finally {
    await decoder.close()
  }
})

it('carries a typed error across with its kind, code and detail', async () => {
  const decoder = pool({ more: { location: 'file:///elsewhere' } })
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
  const decoder = pool({ threads: 2 })
  const pending = Promise.allSettled([decoder.decode(units[0]!, never), decoder.decode(units[1]!, never)])
  await decoder.close()
  expect(workers).toMatchObject({ started: 2, alive: 0 })
  for (const result of await pending) expect(result).toMatchObject({ reason: { code: 'FIRN_DATASET_CLOSED' } })
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
  await expect(decoder.unitRows(units[0]!, never)).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
  workers.stop()
})

it.each([
  ['ERR_WORKER_OUT_OF_MEMORY', 'numWorkers'],
  ['ERR_MODULE_NOT_FOUND', 'external to the bundle'],
  ['ERR_SOMETHING', 'numWorkers: 0'],
])('says why a thread died, and for %s what to do about it', async (code, help) => {
  const cause = Object.assign(new Error('the reason'), { code })
  process.once('worker', (worker) => {
    worker.emit('error', cause)
    void worker.terminate()
  })
  const decoder = pool({ onError: 'skip' })
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({
    kind: 'failed',
    code: 'FIRN_WORKER_CRASHED',
    message: expect.stringContaining('the reason') as string,
    help: expect.stringContaining(help) as string,
    cause,
  })
  expect((await decoder.decode(units[0]!, never)).rows).toBe(20) // another thread takes its place
  await decoder.close()
})

it('wraps the error of a thread that cannot even be started', async () => {
  const decoder = pool({ more: { storeOptions: { s3: (() => {}) as never } } })
  await expect(decoder.decode(units[0]!, never)).rejects.toMatchObject({
    code: 'FIRN_WORKER_CRASHED',
    cause: { name: 'DataCloneError' },
  })
  await decoder.close()
})
