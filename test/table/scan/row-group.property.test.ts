/** Rows in a drawn order are the rows that a plain read gives, put into that order. */
import type { Data } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { valueAt } from '../../../table/format/arrow-values.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { openFileTask, type TaskReader } from '../../../table/scan/read.ts'
import type { RowTest } from '../../../table/scan/row-group.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, rowsOf, type TestRow, writeRows } from '../support.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from './delete-tables.ts'

const row: fc.Arbitrary<TestRow> = fc.record({
  id: fc.constantFrom('a', 'b', 'ab', '', 'a longer text that no loop copies byte by byte, é', '\u{10ffff}'),
  n: fc.option(fc.integer({ min: 0, max: 4 }), { nil: null }),
  score: fc.option(fc.constantFrom(0, -0, Number.NaN, 1.5), { nil: null }),
  big: fc.option(fc.bigInt({ min: -3n, max: 3n }), { nil: null }),
}) as fc.Arbitrary<TestRow>

const NAMES = EVENTS.fields.map(({ name }) => name)
/** Deletes by position, deletes by value, a filter and a test, each there or not. */
const reading = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 40 }),
  rowGroupRows: fc.integer({ min: 1, max: 20 }),
  deleted: fc.option(fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), { nil: undefined }),
  deletedNumber: fc.option(fc.nat({ max: 4 }), { nil: undefined }),
  least: fc.option(fc.nat({ max: 4 }), { nil: undefined }),
  longest: fc.option(fc.nat({ max: 4 }), { nil: undefined }),
  columns: fc.subarray(NAMES, { minLength: 1 }),
  batchRows: fc.integer({ min: 1, max: 9 }),
  seed: fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
})

/** Some of the rows of a row group, in an order that follows from `seed`. */
function drawn(rows: number, seed: readonly number[]): Uint32Array {
  const keyed = Array.from({ length: rows }, (_, index) => [(seed[index % 5]! * (index + 7)) % 1_009, index] as const)
  const order = keyed.toSorted(([a], [b]) => a - b).map(([, index]) => index)
  return Uint32Array.from(order.slice(0, Math.max(0, rows - (seed[0]! % 3))))
}

async function open(table: Table): Promise<TaskReader> {
  const [task] = await table.scan().planFiles()
  return openFileTask(table.store, table.location, task!, EVENTS)
}

const shorterThan = (longest: number): RowTest => ({
  columns: ['id'],
  rows: (batch) => {
    expect(batch.schema.fields.map(({ name }) => name)).toEqual(['id'])
    const ids = batch.data.children[0] as Data
    return (index) => String(valueAt('string', ids, index)).length <= longest
  },
})

describe('rows in order', () => {
  test('are the ones that are left, in batches of the size, with their positions', async () => {
    await fc.assert(
      fc.asyncProperty(reading, async ({ rows, rowGroupRows, columns, batchRows, seed, ...tests }) => {
        const { deleted, deletedNumber, least, longest } = tests
        const empty = (await eventsTable(freshStore())).table
        const [file] = await writeRows(
          empty,
          rows.map((each) => ({ ...each, at: 0n })),
          [0],
          { rowGroupRows },
        )
        let table = (await empty.append([file!])).table
        const gone = new Set(deleted?.map((position) => position % rows.length))
        const files: DataFile[] = []
        const places = [...gone].sort((a, b) => a - b).map((at) => [file!.filePath, at] as const)
        if (gone.size > 0) files.push(await positionDeletes(table, places, { partition: [0] }))
        if (deletedNumber !== undefined) {
          files.push(await equalityDeletes(table, column(EVENTS, 'n'), [{ n: deletedNumber }], { partition: [0] }))
        }
        if (files.length > 0) table = await commitFiles(table, files)
        const reader = await open(table)
        const schema = { ...EVENTS, fields: EVENTS.fields.filter(({ name }) => columns.includes(name)) }
        const where = least === undefined ? undefined : parseWhere(`n >= ${least}`, EVENTS)
        const keep = longest === undefined ? undefined : shorterThan(longest)
        const isLeft = (at: number): boolean => {
          const { id, n } = rows[at]!
          if (gone.has(at) || (deletedNumber !== undefined && n === deletedNumber)) return false
          if (least !== undefined && (n === null || (n as number) < least)) return false
          return longest === undefined || (id as string).length <= longest
        }
        let first = 0
        for (const [rowGroup, count] of reader.rowGroupRows.entries()) {
          const order = drawn(count, seed)
          const all = await reader.read(rowGroup, { columns })
          const { batches, positions } = await reader.readInOrder(rowGroup, { order, batchRows, columns, where, keep })
          const expected = [...order.keys()].filter((index) => isLeft(first + order[index]!))
          expect([...(positions ?? order.keys())]).toEqual(expected)
          if (positions !== undefined) expect(positions.length).toBeLessThan(order.length)
          const found = batches.flatMap((batch) => rowsOf(schema, batch))
          const wanted = expected.map((index): TestRow => ({ at: 0n, day: null, ...rows[first + order[index]!]! }))
          expect(found).toEqual(wanted.map((each) => Object.fromEntries(columns.map((name) => [name, each[name]!]))))
          expect(batches.map(({ numRows }) => numRows)).toEqual(
            Array.from({ length: Math.ceil(expected.length / batchRows) }, (_, batch) =>
              Math.min(batchRows, expected.length - batch * batchRows),
            ),
          )
          const live = [...Array(count).keys()].filter((at) => isLeft(first + at)).length
          if (least === undefined && longest === undefined) expect(all.numRows).toBe(live)
          first += count
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('one data file', () => {
  const file = async (): Promise<TaskReader> => {
    const { table } = await eventsTable(freshStore())
    const rows = Array.from({ length: 25 }, (_, n) => ({ id: `row ${n}`, at: 0n, n }))
    return open((await table.append(await writeRows(table, rows, [0], { rowGroupRows: 10 }))).table)
  }

  test('says where its row groups are and how large', async () => {
    const { rowGroups, rowGroupRows } = await file()
    expect(rowGroups.map(({ rows }) => rows)).toEqual([10, 10, 5])
    expect(rowGroupRows).toEqual([10, 10, 5])
    expect(rowGroups[0]!.offset).toBe(4)
    for (const [index, { offset, compressedBytes, uncompressedBytes }] of rowGroups.entries()) {
      expect(compressedBytes).toBeGreaterThan(50)
      expect(uncompressedBytes).toBeGreaterThan(50)
      // Row groups lie one behind the other.
      if (index > 0) {
        const before = rowGroups[index - 1]!
        expect(offset).toBe(before.offset + before.compressedBytes)
      }
    }
  })

  test('refuses rows that a row group does not have, and batches of no rows', async () => {
    const reader = await file()
    const read = (order: readonly number[], batchRows: number): Promise<unknown> =>
      reader.readInOrder(2, { order: Uint32Array.from(order), batchRows })
    await expect(read([0, 5], 4)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION', kind: 'invalid' })
    await expect(read([0], 0)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(read([], 4)).resolves.toEqual({ batches: [], positions: undefined })
  })

  test('gives no batch when no row is left', async () => {
    const reader = await file()
    const order = Uint32Array.of(3, 1)
    const none = await reader.readInOrder(0, { order, batchRows: 4, keep: { columns: ['n'], rows: () => () => false } })
    expect(none).toEqual({ batches: [], positions: new Uint32Array(0) })
  })
})
