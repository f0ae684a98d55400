/** Memory that is used again: whatever a unit is read for, what does not come out of the reader has gone back. */
import { beforeAll, expect, it } from 'vitest'
import { type ArenaParts, createArena, giveBack, giveBackAll, readMemory } from '../../../loader/read/arena.ts'
import type { UnitRequest } from '../../../loader/read/decoder.ts'
import { unitReader } from '../../../loader/read/unit-reader.ts'
import type { ReadSetup } from '../../../loader/source/plan.ts'
import { openCatalog, openStore, parseWhere, systemClock, type Table } from '../../../table/index.ts'
import { testClock, writeRows } from '../../table/support.ts'
import { memoryUrl, ROWS, rowAt } from '../support.ts'
import { never, numbersOf, setupOf, unitsOf } from './units.ts'

const COUNT = 1024
let table: Table

beforeAll(async () => {
  const catalog = openCatalog(openStore(memoryUrl()), { clock: systemClock })
  const created = await catalog.createTable('t.long', {
    schema: ROWS,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  })
  // 256 rows of these are enough for pages of the arena
  const rows = Array.from({ length: COUNT }, (_, n) => ({ ...rowAt(n), id: `${n}-`.padEnd(400, 'x') }))
  table = (await created.append(await writeRows(created, rows, [], { prefix: 'f', rowGroupRows: 512 }))).table
})

const usedPages = ({ marks }: ArenaParts): number => marks.reduce((sum, mark) => sum + mark, 0)

async function decodeInto(arena: ArenaParts, units: readonly UnitRequest[], more: Partial<ReadSetup>) {
  const setup = setupOf(table, ROWS, more)
  const { store } = table
  const reader = unitReader({ setup, store, clock: testClock(), signal: never, memory: readMemory(arena) })
  return Promise.all(units.map((unit) => reader.decode(unit, never)))
}

it.each([
  ['whole row groups', 1, {}, COUNT],
  ['units of several row groups', 2, {}, COUNT],
  ['a filter on text', 1, { where: parseWhere("id >= '5'", ROWS) }, undefined],
  ['a split by text', 1, { split: { column: 'id', buckets: 2, from: 0, to: 1 } }, undefined],
  ['a split by text, of several row groups', 2, { split: { column: 'id', buckets: 2, from: 0, to: 1 } }, undefined],
  ['a filter that no row passes', 1, { where: parseWhere("id = '5'", ROWS) }, 0],
] as const)('of %s', async (_what, groups, more, rows) => {
  const arena = createArena(1 << 24)!
  const units = await decodeInto(arena, await unitsOf(table, ROWS, { groups }), more)
  if (rows !== undefined) expect(units.flatMap(numbersOf)).toHaveLength(rows)
  for (const { segments } of units) giveBackAll(segments, (values) => giveBack(arena, values))
  expect(usedPages(arena)).toBe(0)
})

it('is used for text that comes out', async () => {
  const arena = createArena(1 << 24)!
  await decodeInto(arena, await unitsOf(table, ROWS), {})
  expect(usedPages(arena)).toBeGreaterThan(0)
})
