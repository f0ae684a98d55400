import { expect, it } from 'vitest'
import { rowOrder } from '../../../loader/order/rows.ts'
import { SEGMENT_ROWS } from '../../../loader/read/decoder.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import type { ReadSetup } from '../../../loader/source/plan.ts'
import { parseWhere, type Table } from '../../../table/index.ts'
import { commitFiles, positionDeletes } from '../../table/scan/delete-tables.ts'
import { testClock } from '../../table/support.ts'
import { memoryUrl, ROWS, rowsTable } from '../support.ts'
import { decodeAll, never, numbersOf, setupOf, shown, unitsOf } from './units.ts'

const small = async (): Promise<Table> =>
  (await rowsTable(memoryUrl(), { rows: 200, fileRows: 120, rowGroupRows: 25 })).table

const decoderOf = (table: Table, more: Partial<ReadSetup> = {}) =>
  inlineDecoder({ setup: setupOf(table, ROWS, more), store: table.store, clock: testClock(), onError: 'raise' })

it('gives every row of the table once, over units of one row group and of several', async () => {
  const table = await small()
  const decoder = decoderOf(table)
  for (const groups of [1, 3, 100]) {
    const units = await decodeAll(decoder, await unitsOf(table, ROWS, { groups }))
    const numbers = units.flatMap(numbersOf).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, n) => n))
    for (const { draws } of units) expect(draws).toBeUndefined()
  }
})

it('knows the rows of a unit without reading them', async () => {
  const table = await small()
  const decoder = decoderOf(table)
  const rows = await Promise.all((await unitsOf(table, ROWS)).map((unit) => decoder.unitRows(unit, never)))
  expect(rows.reduce((sum, count) => sum + count, 0)).toBe(200)
  expect(Math.max(...rows)).toBe(25)
})

it.each([1, 3])(
  'draws the rows of a unit of %d row groups in the order of its key, laid end to end',
  async (groups) => {
    const table = await small()
    const decoder = decoderOf(table)
    const shuffled = await unitsOf(table, ROWS, { groups })
    const standing = await unitsOf(table, ROWS, { groups, shuffled: false })
    for (const [index, unit] of shuffled.entries()) {
      const lying = numbersOf(await decoder.decode(standing[index]!, never))
      const drawn = numbersOf(await decoder.decode(unit, never))
      expect(lying).toEqual(lying.toSorted((a, b) => a - b))
      expect(drawn).toEqual([...rowOrder(lying.length, unit.key)].map((row) => lying[row]))
    }
  },
)

it('cuts a unit into short segments, each with buffers of its own', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 1000, fileRows: 1000, rowGroupRows: 300 })
  for (const groups of [1, 4]) {
    for (const unit of await decodeAll(decoderOf(table), await unitsOf(table, ROWS, { groups }))) {
      expect(Math.max(...unit.segments.map((segment) => segment.numRows))).toBeLessThanOrEqual(SEGMENT_ROWS)
      const buffers = unit.segments.map(
        (segment) => new Set(segment.data.children.flatMap((data) => [data.values?.buffer, data.valueOffsets?.buffer])),
      )
      for (const [index, own] of buffers.entries()) {
        for (const other of buffers.slice(index + 1)) {
          expect([...other].filter((buffer) => buffer !== undefined && own.has(buffer))).toEqual([])
        }
      }
    }
  }
})

it.each([1, 3])('tells which draws are left of %d row groups by filter, split and deletes', async (groups) => {
  const table = await small()
  const all = await decodeAll(decoderOf(table), await unitsOf(table, ROWS, { groups }))
  const paths = (await unitsOf(table, ROWS)).map(({ file }) => file.filePath)
  const deleted = await commitFiles(table, [
    await positionDeletes(
      table,
      [0, 7, 30, 31].map((position) => [paths[0]!, position]),
    ),
  ])
  const setup = {
    where: parseWhere('n < 150 OR n > 170', ROWS),
    split: { column: 'id', buckets: 4, from: 0, to: 3 },
  }
  const left = await decodeAll(decoderOf(deleted, setup), await unitsOf(deleted, ROWS, { groups }))
  const dropped = left.reduce((sum, { rows, draws }) => sum + rows - (draws?.length ?? rows), 0)
  expect(dropped).toBeGreaterThan(20)
  for (const [index, unit] of left.entries()) {
    const drawn = numbersOf(all[index]!)
    expect(unit.rows).toBe(drawn.length)
    const draws = unit.draws === undefined ? [...drawn.keys()] : [...unit.draws]
    expect(draws).toEqual(draws.toSorted((a, b) => a - b))
    expect(numbersOf(unit)).toEqual(draws.map((draw) => drawn[draw]))
  }
})

it('reads units without any column, to count their rows', async () => {
  const table = await small()
  const setup = { columns: [], where: parseWhere('n < 30', ROWS) }
  const units = await decodeAll(decoderOf(table, setup), await unitsOf(table, ROWS))
  expect(units.reduce((sum, { rows, draws }) => sum + (draws?.length ?? rows), 0)).toBe(30)
})

it('counts requests, bytes and row groups', async () => {
  const table = await small()
  const units = await unitsOf(table, ROWS)
  const decoded = await decodeAll(decoderOf(table), units)
  const sum = (name: 'requests' | 'rowGroups' | 'bytesRead' | 'retries'): number =>
    decoded.reduce((total, { counters }) => total + counters[name], 0)
  expect(sum('rowGroups')).toBe(units.length)
  expect(sum('retries')).toBe(0)
  // two footers, and a request or more for each row group
  expect(sum('requests')).toBeGreaterThanOrEqual(units.length + 2)
  expect(sum('bytesRead')).toBeGreaterThan(0)
})

it('gives up on abort and after it is closed', async () => {
  const table = await small()
  const decoder = decoderOf(table)
  const [unit] = await unitsOf(table, ROWS)
  const controller = new AbortController()
  const given = decoder.decode(unit!, controller.signal)
  controller.abort(new Error('not needed'))
  await expect(given).rejects.toThrow('not needed')
  expect(shown(await decoder.decode(unit!, never))).toMatchObject({ rows: 25 })
  await decoder.close()
  await expect(decoder.decode(unit!, never)).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
  await expect(decoder.unitRows(unit!, never)).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
})

it('leaves no error without somebody to hear it when many footers are damaged and the reader stops at the first', async () => {
  const unheard: unknown[] = []
  const listen = (error: unknown): void => void unheard.push(error)
  process.on('unhandledRejection', listen)
  try {
    // more files than footers are read at once
    const { table } = await rowsTable(memoryUrl(), { rows: 80, fileRows: 1 })
    const units = await unitsOf(table, ROWS)
    for (const { file } of units) {
      const key = file.filePath.slice(table.location.length + 1)
      const { bytes } = await table.store.get(key)
      await table.store.put(key, bytes.slice().fill(0xee, bytes.length - 8))
    }
    const decoder = decoderOf(table)
    const controller = new AbortController()
    const rows = units.map(async (unit) => {
      try {
        return await decoder.unitRows(unit, controller.signal)
      } catch (error) {
        controller.abort(error)
        throw error
      }
    })
    const results = await Promise.allSettled(rows)
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'FIRN_PARQUET_CORRUPT' } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(unheard).toEqual([])
  } finally {
    process.off('unhandledRejection', listen)
  }
})
