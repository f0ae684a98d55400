import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { DecodedUnit, Decoder, ReadCounters } from '../../../loader/read/decoder.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import { pauseMillis, retryingStore } from '../../../loader/read/retry.ts'
import { faultyStore, type ObjectStore, type Table } from '../../../table/index.ts'
import { testClock } from '../../table/support.ts'
import { memoryUrl, ROWS, rowsTable } from '../support.ts'
import { decodeAll, never, setupOf, shown, unitsOf } from './units.ts'

const withGet = (store: ObjectStore, get: ObjectStore['get']): ObjectStore => ({
  url: store.url,
  get,
  put: (...args) => store.put(...args),
  head: (...args) => store.head(...args),
  list: (...args) => store.list(...args),
  delete: (...args) => store.delete(...args),
})

const decoderOf = (table: Table, store: ObjectStore, attempts = 5, onError: 'raise' | 'skip' = 'raise'): Decoder =>
  inlineDecoder({ setup: { ...setupOf(table, ROWS), retry: { attempts } }, store, clock: testClock(7), onError })

const sum = (units: readonly DecodedUnit[], name: keyof ReadCounters): number =>
  units.reduce((total, { counters }) => total + counters[name], 0)

it('gives the same rows however many reads fail or come back short', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 120, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const expected = (await decodeAll(decoderOf(table, table.store), units)).map(shown)
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.double({ min: 0, max: 0.4, noNaN: true }), async (seed, rate) => {
      const clock = testClock(seed | 1)
      const rates = { get: { throttled: rate / 2, reset: rate / 2 } }
      const unsteady = faultyStore(table.store, { seed, clock, rates })
      let calls = seed >>> 0
      const store = withGet(unsteady, async (key, options) => {
        const answer = await unsteady.get(key, options)
        calls = (Math.imul(calls, 1_664_525) + 1_013_904_223) >>> 0
        const isCut = calls / 2 ** 32 < rate
        return isCut ? { ...answer, bytes: answer.bytes.slice(0, answer.bytes.length >> 1) } : answer
      })
      const decoded = await decodeAll(decoderOf(table, store, 60), units)
      expect(decoded.map(shown)).toEqual(expected)
      const { throttled, reset } = unsteady.struck
      expect(sum(decoded, 'retries')).toBeGreaterThanOrEqual(throttled + reset)
    }),
    { numRuns: 25 },
  )
})

it('gives up after the attempts, and does not skip what is merely not available', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 20, rowGroupRows: 20 })
  const [unit] = await unitsOf(table, ROWS)
  const rates = { get: { throttled: 1 } }
  for (const attempts of [1, 4]) {
    const store = faultyStore(table.store, { seed: 1, clock: testClock(), rates })
    const decoder = decoderOf(table, store, attempts, 'skip')
    await expect(decoder.decode(unit!, never)).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
    expect(store.struck.throttled).toBe(attempts)
    await expect(decoder.unitRows(unit!, never)).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
  }
})

it('reads bytes that arrive damaged once more, and counts it', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 60, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const expected = (await decodeAll(decoderOf(table, table.store), units)).map(shown)
  const seen = new Set<number>()
  const store = withGet(table.store, async (key, options) => {
    const answer = await table.store.get(key, options)
    const start = options?.range?.start ?? 0
    if (seen.has(start)) return answer
    seen.add(start)
    return { ...answer, bytes: answer.bytes.map((byte) => byte ^ 0x55) }
  })
  const decoder = decoderOf(table, store)
  const decoded: DecodedUnit[] = []
  // the footer first: it takes its own second reading
  const rows = await decoder.unitRows(units[0]!, never)
  expect(rows).toBe(20)
  for (const unit of units) decoded.push(await decoder.decode(unit, never))
  expect(decoded.map(shown)).toEqual(expected)
  expect(sum(decoded, 'retries')).toBeGreaterThanOrEqual(3)
})

it('leaves errors alone that another try does not change', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 20, rowGroupRows: 20 })
  let retries = 0
  const store = retryingStore(table.store, { attempts: 5, clock: testClock(), onRetry: () => retries++ })
  await expect(store.get('data/none.parquet')).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  expect(retries).toBe(0)
})

it('waits longer with every try, for times that differ by what is read', () => {
  for (let attempt = 1; attempt < 12; attempt++) {
    const most = Math.min(10_000, 100 * 2 ** (attempt - 1))
    const pauses = Array.from({ length: 50 }, (_, n) => pauseMillis(`key-${n}`, attempt))
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(most / 2)
      expect(pause).toBeLessThanOrEqual(most)
    }
    expect(new Set(pauses).size).toBe(50)
  }
  expect(pauseMillis('key', 3)).toBe(pauseMillis('key', 3))
})
