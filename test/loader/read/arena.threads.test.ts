/** Units of long texts: threads decode them into memory that is used again. */
import { createHash } from 'node:crypto'
import type { RecordBatch } from 'apache-arrow'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { giveBackAll, isShared } from '../../../loader/read/arena.ts'
import type { DecodedUnit, UnitRequest } from '../../../loader/read/decoder.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import { workerDecoder } from '../../../loader/read/worker-pool.ts'
import { arrowSchema, type Table } from '../../../table/index.ts'
import { testClock, writeRows } from '../../table/support.ts'
import { folderWarehouse, ROWS, rowAt, rowsTable } from '../support.ts'
import { decodeAll, never, setupOf, shown, unitsOf } from './units.ts'

const UNIT_ROWS = 40
const UNITS = 12
/** Each unit's texts take 83 kB, six pages: three of them fit. */
const ARENA_BYTES = 18 * 16 * 1024

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
let table: Table
let units: readonly UnitRequest[]

beforeAll(async () => {
  warehouse = await folderWarehouse()
  const { table: empty } = await rowsTable(warehouse.url, { rows: 0 })
  const rows = Array.from({ length: UNITS * UNIT_ROWS }, (_, n) => ({ ...rowAt(n), text: longText(n) }))
  table = (await empty.append(await writeRows(empty, rows, [], { prefix: 'long', rowGroupRows: UNIT_ROWS }))).table
  units = await unitsOf(table, ROWS)
})
afterAll(() => warehouse.remove())

const longText = (n: number): string =>
  Array.from({ length: 32 }, (_, part) => createHash('sha256').update(`${n} ${part}`).digest('hex')).join(' ')

const parts = () => ({ setup: setupOf(table, ROWS), store: table.store, clock: testClock(), onError: 'raise' as const })
const pool = (threads: number, early: boolean) =>
  workerDecoder({ ...parts(), threads, schema: arrowSchema(ROWS), early, arenaBytes: ARENA_BYTES })

const isInArena = (segment: RecordBatch): boolean => isShared(segment.getChild('text')!.data[0]!.values)
const release = ({ segments, giveBack }: DecodedUnit): void => giveBackAll(segments, giveBack!)

it.each([
  [1, true],
  [2, true],
  [2, false],
])(
  'decodes into the arena over and over, and beside it while it is full (%s threads, early: %s)',
  async (threads, early) => {
    const expected = (await decodeAll(inlineDecoder(parts()), units)).map(shown)
    const decoder = pool(threads, early)
    try {
      const held = await decodeAll(decoder, units)
      expect(held.map(shown)).toEqual(expected)
      expect(held.filter(({ segments }) => segments.every(isInArena))).toHaveLength(3)
      for (const unit of held) release(unit)
      for (const [index, unit] of units.entries()) {
        const decoded = await decoder.decode(unit, never)
        expect(decoded.segments.every(isInArena)).toBe(true)
        expect(shown(decoded)).toEqual(expected[index])
        release(decoded)
      }
    } finally {
      await decoder.close()
    }
  },
)

it('takes back what was decoded for nobody', async () => {
  const decoder = pool(1, false)
  try {
    for (let round = 0; round < 4; round++) {
      const stop = new AbortController()
      const given = units.slice(0, 3).map((unit) => decoder.decode(unit, stop.signal))
      if (round % 2 === 0) release(await given[0]!)
      stop.abort(new Error('not needed'))
      for (const [index, result] of (await Promise.allSettled(given)).entries()) {
        if (result.status === 'fulfilled' && !(index === 0 && round % 2 === 0)) release(result.value)
      }
      // behind everything that was under way
      release(await decoder.decode(units[3]!, never))
    }
    const held = await decodeAll(decoder, units.slice(0, 3))
    expect(held.every(({ segments }) => segments.every(isInArena))).toBe(true)
  } finally {
    await decoder.close()
  }
})
