import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { DatasetStats } from '../../../loader/index.ts'
import { diskCache } from '../../../loader/read/cache.ts'
import { type MutableCounters, noCounters } from '../../../loader/read/counters.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import { workerDecoder } from '../../../loader/read/worker-pool.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { arrowSchema, epochMillis, type ObjectStore } from '../../../table/index.ts'
import { testClock } from '../../table/support.ts'
import { folderWarehouse, memoryUrl, numbersOf, ROWS, rowsTable, withDataset } from '../support.ts'
import { contentOf, RANGE_BYTES } from './cache-content.ts'
import { decodeAll, setupOf, shown, unitsOf } from './units.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'firn-cache-'))
})
afterEach(async () => {
  await chmod(dir, 0o700)
  await rm(dir, { recursive: true, force: true })
})

interface World {
  readonly store: ObjectStore
  readonly fresh: ObjectStore
  readonly counters: MutableCounters
  /** Ranges that the store behind was asked for. */
  readonly asked: number[]
}

function world({ limitBytes = 1e9, clock = testClock(), url = 'memory://of-the-cache-test' } = {}): World {
  const counters = noCounters()
  const asked: number[] = []
  const base = {
    url,
    get: async (_key: string, { range }: { range: { start: number; end: number } }) => {
      asked.push(range.start / RANGE_BYTES)
      return { bytes: contentOf(range.start, range.end), etag: '"etag"' }
    },
  } as unknown as ObjectStore
  const cache = diskCache({ dir, limitBytes, clock, counters })
  const salt = 'size'
  return { store: cache.store(base, { salt }), fresh: cache.store(base, { salt, fresh: true }), counters, asked }
}

const rangeOf = (index: number): { start: number; end: number } => ({
  start: index * RANGE_BYTES,
  end: (index + 1) * RANGE_BYTES,
})

async function read({ store }: Pick<World, 'store'>, index: number, key = 'data/a.parquet'): Promise<void> {
  const range = rangeOf(index)
  const { bytes, etag } = await store.get(key, { range })
  expect(Buffer.from(contentOf(range.start, range.end)).equals(bytes)).toBe(true)
  expect(etag).toBe('"etag"')
}

async function entries(): Promise<string[]> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true })
  return names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name))
}

const usedBytes = async (): Promise<number> =>
  (await Promise.all((await entries()).map((path) => stat(path)))).reduce((sum, { size }) => sum + size, 0)

it('asks the store once for a range, also after it is opened again', async () => {
  const first = world()
  for (const index of [0, 1, 0, 1]) await read(first, index)
  expect(first.asked).toEqual([0, 1])
  expect(first.counters).toMatchObject({ cacheHits: 2, cacheMisses: 2, cacheFailures: 0 })
  const second = world()
  await read(second, 1)
  expect(second.asked).toEqual([])
})

it('tells stores, objects and ranges apart', async () => {
  await read(world(), 0)
  const other = world({ url: 'memory://of-another' })
  await read(other, 0)
  expect(other.asked).toEqual([0])
  const same = world()
  await read(same, 0, 'data/b.parquet')
  await same.store.get('data/a.parquet', { range: { start: 0, end: RANGE_BYTES - 1 } })
  expect(same.asked).toEqual([0, 0])
})

it('takes a damaged entry for none, whichever byte it is, and replaces it', async () => {
  await read(world(), 0)
  const [path] = await entries()
  const whole = await readFile(path!)
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, flip, cut) => {
        const damaged = cut ? whole.subarray(0, at) : Buffer.from(whole)
        if (!cut) damaged[at] = damaged[at]! ^ flip
        await writeFile(path!, damaged)
        const reader = world()
        await read(reader, 0)
        expect(reader.asked).toEqual([0])
        expect(whole.equals(await readFile(path!))).toBe(true)
      },
    ),
    { numRuns: 60 },
  )
})

it('reads past an entry when it is told to, and replaces it', async () => {
  const first = world()
  await read(first, 0)
  await read({ store: first.fresh }, 0)
  expect(first.asked).toEqual([0, 0])
  await read(first, 0)
  expect(first.asked).toEqual([0, 0])
})

it('does not keep an answer that is short', async () => {
  const { counters } = world()
  const base = { url: 'memory://short', get: async () => ({ bytes: new Uint8Array(5), etag: '' }) }
  const cache = diskCache({ dir, limitBytes: 1e9, clock: testClock(), counters })
  await cache.store(base as unknown as ObjectStore, { salt: '' }).get('data/a', { range: { start: 0, end: 9 } })
  expect(await entries()).toEqual([])
})

it('holds its limit, and drops what was used longest ago', async () => {
  const clock: Clock = { ...testClock(), nowMillis: ticking() }
  const small = world({ limitBytes: 20 * RANGE_BYTES, clock })
  for (let index = 0; index < 60; index++) {
    await read(small, index)
    await read(small, 0) // always in use
    expect(await usedBytes()).toBeLessThanOrEqual(20 * RANGE_BYTES)
  }
  expect(small.asked.filter((index) => index === 0)).toEqual([0])
  small.asked.length = 0
  await read(small, 0)
  await read(small, 59)
  expect(small.asked).toEqual([])
  await read(small, 1)
  expect(small.asked).toEqual([1])
  expect(await usedBytes()).toBeGreaterThan(10 * RANGE_BYTES)
})

it.each([57, 58, 59, 60])('holds its limit when a large range follows %d small ones', async (count) => {
  const limitBytes = 64 * RANGE_BYTES
  const mixed = world({ limitBytes })
  for (let index = 0; index < count; index++) await read(mixed, index)
  await mixed.store.get('data/a.parquet', { range: { start: 0, end: 30 * RANGE_BYTES } })
  expect(await usedBytes()).toBeLessThanOrEqual(limitBytes)
  expect(await usedBytes()).toBeGreaterThan(30 * RANGE_BYTES)
})

it('holds its limit, about, when several write that do not know of each other', async () => {
  const limitBytes = 64 * RANGE_BYTES
  const writers = [world({ limitBytes }), world({ limitBytes }), world({ limitBytes })]
  for (let index = 0; index < 200; index++) {
    await read(writers[index % 3]!, index)
    if (index % 10 === 0) expect(await usedBytes()).toBeLessThanOrEqual(limitBytes * 1.15)
  }
})

/** A second each time: files have the time of day, which no virtual clock can set when they are written. */
function ticking(): Clock['nowMillis'] {
  let now: number = systemClock.nowMillis() + 60_000
  return () => {
    now += 1000
    return epochMillis(now)
  }
}

it('keeps nothing that does not fit', async () => {
  const tiny = world({ limitBytes: RANGE_BYTES })
  await read(tiny, 0)
  expect(await entries()).toEqual([])
})

it.each([
  ['is a file', async () => writeFile(join(dir, 'cache'), 'not a folder')],
  ['lies in a file', async () => writeFile(join(dir, 'cache'), 'not a folder').then(() => 'below')],
])('reads on when its folder %s, and counts what it could not keep', async (_what, prepare) => {
  const below = await prepare()
  const own = dir
  dir = join(dir, 'cache', below ?? '')
  const broken = world()
  dir = own
  await read(broken, 0)
  await read(broken, 0)
  expect(broken.asked).toEqual([0, 0])
  expect(broken.counters).toMatchObject({ cacheMisses: 2, cacheFailures: 2 })
})

it('sweeps what writers that died left behind, not what others are writing', async () => {
  await mkdir(join(dir, 'ab'))
  const temporary = (digit: string): string => join(dir, 'ab', `${digit.repeat(62)}.${digit.repeat(16)}.tmp`)
  const old = temporary('1')
  const young = temporary('2')
  await writeFile(old, 'x')
  await writeFile(young, 'x')
  const hoursAgo = systemClock.nowMillis() / 1000 - 7200
  await utimes(old, hoursAgo, hoursAgo)
  await read(world({ clock: systemClock }), 0)
  const names = await entries()
  expect(names).toContain(young)
  expect(names).not.toContain(old)
})

it('leaves files alone that are not its own', async () => {
  await mkdir(join(dir, 'ab'))
  const others = ['notes.txt', 'old.tmp', 'c'.repeat(38)].map((name) => join(dir, 'ab', name))
  const hoursAgo = systemClock.nowMillis() / 1000 - 7200
  for (const path of others) {
    await writeFile(path, 'x'.repeat(RANGE_BYTES))
    await utimes(path, hoursAgo, hoursAgo)
  }
  const small = world({ clock: systemClock, limitBytes: RANGE_BYTES * 3 })
  for (let index = 0; index < 20; index++) await read(small, index)
  const left = await entries()
  expect(left).toEqual(expect.arrayContaining(others))
  expect(left.length).toBeLessThan(others.length + 4)
})

const CHILD = fileURLToPath(new URL('./cache.child.ts', import.meta.url))
const child = (limit: number, from: number, to: number) =>
  spawn(process.execPath, [CHILD, dir, String(limit), String(from), String(to)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })

it('is whole after a process that wrote it was killed at any moment', async () => {
  for (const reads of [1, 3, 5]) {
    const writer = child(1e9, 0, 1e6)
    await once(writer.stdout, 'data')
    const alive = world()
    // by then it has come about that far
    for (let tries = 0; tries < 10_000 && (await entries()).length < reads; tries++) await read(alive, 0)
    writer.kill('SIGKILL')
    await once(writer, 'exit')
  }
  const after = world()
  for (let index = 0; index < 20; index++) await read(after, index)
  expect(after.counters.cacheHits + after.counters.cacheMisses).toBe(20)
  expect(after.counters.cacheFailures).toBe(0)
})

it('is shared by processes that write the same and other ranges at the same time', async () => {
  const limit = 40 * RANGE_BYTES
  const writers = [child(limit, 0, 60), child(limit, 0, 60), child(limit, 30, 90)]
  const codes = await Promise.all(writers.map(async (writer) => (await once(writer, 'exit'))[0] as number))
  expect(codes).toEqual([0, 0, 0])
  // each is blind for what the others wrote since it looked
  expect(await usedBytes()).toBeLessThanOrEqual(limit * 1.2)
  const after = world({ limitBytes: limit })
  for (let index = 0; index < 90; index++) await read(after, index)
})

it('makes the second epoch need no store, and changes nothing about the rows', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 200, fileRows: 120, rowGroupRows: 25 })
  const units = await unitsOf(table, ROWS)
  const parts = { store: table.store, clock: testClock(), onError: 'raise' } as const
  const without = await decodeAll(inlineDecoder({ ...parts, setup: setupOf(table, ROWS) }), units)
  const setup = setupOf(table, ROWS, { cache: { dir, limitBytes: 1e9 } })
  for (const epoch of [0, 1]) {
    // another process would begin like this: with nothing but the folder
    const decoded = await decodeAll(inlineDecoder({ ...parts, setup }), units)
    expect(decoded.map(shown)).toEqual(without.map(shown))
    const requests = decoded.reduce((sum, { counters }) => sum + counters.requests, 0)
    if (epoch === 0) expect(requests).toBeGreaterThan(0)
    else expect(requests).toBe(0)
  }
})

it('is shared by the threads of a dataset and by this one', async () => {
  const warehouse = await folderWarehouse()
  const { table } = await rowsTable(warehouse.url, { rows: 100, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const parts = { store: table.store, clock: testClock(), onError: 'raise' } as const
  const setup = setupOf(table, ROWS, { cache: { dir, limitBytes: 1e9 } })
  const expected = (await decodeAll(inlineDecoder({ ...parts, setup }), units)).map(shown)
  const decoder = workerDecoder({ ...parts, setup, threads: 2, schema: arrowSchema(ROWS), early: false })
  try {
    const decoded = await decodeAll(decoder, units)
    expect(decoded.map(shown)).toEqual(expected)
    expect(decoded.reduce((sum, { counters }) => sum + counters.requests, 0)).toBe(0)
    expect(decoded.reduce((sum, { counters }) => sum + counters.cacheHits, 0)).toBeGreaterThan(0)
  } finally {
    await decoder.close()
    await warehouse.remove()
  }
})

it('does not take the files of a table for those of the one that was in its place before', async () => {
  const warehouse = await folderWarehouse()
  const epoch = async (): Promise<DatasetStats> => {
    await rowsTable(warehouse.url, { rows: 60 })
    const options = { warehouse: warehouse.url, table: 't.rows', batch: { size: 20 }, cache: { dir } }
    return withDataset(options, async (dataset) => {
      expect((await numbersOf(dataset.epoch(0))).flat()).toHaveLength(60)
      return dataset.stats()
    })
  }
  try {
    const first = await epoch()
    await rm(warehouse.path, { recursive: true })
    // files of the same names and sizes
    const second = await epoch()
    expect(first).toMatchObject({ cacheHits: 0 })
    expect(second).toMatchObject({ cacheHits: 0, cacheMisses: first.cacheMisses })
  } finally {
    await warehouse.remove()
  }
})

it('does not take a file that was replaced under its name for the one it was', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 60, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const setup = setupOf(table, ROWS, { cache: { dir, limitBytes: 1e9 } })
  const decoder = () => inlineDecoder({ setup, store: table.store, clock: testClock(), onError: 'raise' })
  const requests: number[] = []
  for (const etag of ['a', 'b', 'a']) {
    const versions = units.map((unit) => ({ ...unit, file: { ...unit.file, etag } }))
    const decoded = await decodeAll(decoder(), versions)
    requests.push(decoded.reduce((sum, { counters }) => sum + counters.requests, 0))
  }
  expect(requests).toEqual([requests[0], requests[0], 0])
  expect(requests[0]).toBeGreaterThan(0)
})

it('does not give damaged bytes again that it kept: a unit is read anew, past the cache', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 60, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const setup = setupOf(table, ROWS, { cache: { dir, limitBytes: 1e9 } })
  const parts = { clock: testClock(), onError: 'raise', setup } as const
  let struck = 0
  const damaging: ObjectStore = {
    ...bound(table.store),
    get: async (key, options) => {
      const answer = await table.store.get(key, options)
      return struck++ === 1 ? { ...answer, bytes: answer.bytes.map((byte) => byte ^ 0xff) } : answer
    },
  }
  const first = inlineDecoder({ ...parts, store: damaging })
  const [unit] = await decodeAll(first, [units[0]!])
  expect(unit!.counters.retries).toBe(1)
  const clean = await decodeAll(inlineDecoder({ ...parts, store: table.store }), [units[0]!])
  expect(clean.map(shown)).toEqual([shown(unit!)])
  expect(clean[0]!.counters).toMatchObject({ retries: 0, requests: 0 })
})

const bound = (store: ObjectStore): ObjectStore => ({
  url: store.url,
  get: (...args) => store.get(...args),
  put: (...args) => store.put(...args),
  head: (...args) => store.head(...args),
  list: (...args) => store.list(...args),
  delete: (...args) => store.delete(...args),
})
