/** Rows survive a rewrite whatever they are: random types, orders and partitions, compared value by value. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sortBatches } from '../../../table/maintenance/rewrite/external-sort.ts'
import { openSpillFolder } from '../../../table/maintenance/rewrite/spill.ts'
import { planRewrite } from '../../../table/maintenance/rewrite.ts'
import { sortKeyMaker } from '../../../table/sort/sort-key.ts'
import { compareValues } from '../../../table/spec/compare.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { SortField } from '../../../table/spec/sort.ts'
import { applyTransform, transformResultType } from '../../../table/spec/transform.ts'
import type { IcebergType, PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'
import { FLAT_TYPES } from '../flat-types.ts'
import {
  type AnyRow,
  appendFiles,
  batchOfRows,
  contents,
  filesOf,
  makeTable,
  rewrite,
  rowsInOrder,
  rowsOfBatch,
  withSpillFolder,
} from './rewrite-support.ts'

const short = fc.string({ unit: 'binary', maxLength: 5 })
const optional = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4 })

const NESTED: readonly (readonly [IcebergType, fc.Arbitrary<unknown>])[] = [
  [
    {
      type: 'struct',
      fields: [
        { id: 101, name: 'a', required: false, type: 'int' },
        { id: 102, name: 'b', required: false, type: 'string' },
      ],
    },
    fc.record({ a: optional(fc.integer()), b: optional(short) }),
  ],
  [
    { type: 'list', elementId: 111, elementRequired: false, element: 'double' },
    fc.array(optional(fc.double()), { maxLength: 4 }),
  ],
  [
    { type: 'map', keyId: 121, key: 'string', valueId: 122, valueRequired: false, value: 'long' },
    fc.uniqueArray(fc.tuple(short, optional(fc.bigInt({ min: -9n, max: 9n }))), {
      maxLength: 3,
      selector: ([key]) => key,
    }),
  ],
  [
    {
      type: 'list',
      elementId: 131,
      elementRequired: false,
      element: { type: 'struct', fields: [{ id: 132, name: 'x', required: false, type: 'boolean' }] },
    },
    fc.array(optional(fc.record({ x: optional(fc.boolean()) })), { maxLength: 3 }),
  ],
]

const COLUMNS = [...FLAT_TYPES, ...NESTED]

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: COLUMNS.map(([type], index) => ({ id: index + 1, name: `c${index + 1}`, required: false, type })),
}

const rowArbitrary: fc.Arbitrary<AnyRow> = fc.record(
  Object.fromEntries(COLUMNS.map(([, values], index) => [`c${index + 1}`, optional(values as fc.Arbitrary<unknown>)])),
)
const filesArbitrary = fc.array(fc.array(rowArbitrary, { minLength: 1, maxLength: 12 }), { minLength: 2, maxLength: 5 })

const sortFields: fc.Arbitrary<SortField[]> = fc
  .uniqueArray(fc.integer({ min: 1, max: FLAT_TYPES.length }), { minLength: 1, maxLength: 3 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((sourceId) =>
        fc.record({
          sourceId: fc.constant(sourceId),
          transform: fc.constantFrom(...transformsOf(FLAT_TYPES[sourceId - 1]![0])),
          direction: fc.constantFrom('asc' as const, 'desc' as const),
          nullOrder: fc.constantFrom('nulls-first' as const, 'nulls-last' as const),
        }),
      ),
    ),
  )

function transformsOf(type: PrimitiveType): string[] {
  if (type === 'string' || type === 'int') return ['identity', 'truncate[3]', 'bucket[4]']
  if (type === 'timestamptz' || type === 'date') return ['identity', 'month', 'day']
  return ['identity']
}

/** Slow and plain: by values, as the specification words it. -0.0 and 0.0 may stand either way. */
function compareRows(fields: readonly SortField[], a: AnyRow, b: AnyRow): number {
  for (const { sourceId, transform, direction, nullOrder } of fields) {
    const source = FLAT_TYPES[sourceId - 1]![0]
    const type = transformResultType(transform, source)
    const [left, right] = [a, b].map((row) => applyTransform(transform, source, row[`c${sourceId}`] as PrimitiveValue))
    if (left === null && right === null) continue
    if (left === null || right === null) return (left === null) === (nullOrder === 'nulls-first') ? -1 : 1
    const order = compareValues(type, left!, right!)
    if (order !== 0) return direction === 'asc' ? order : -order
    if (Object.is(left, -0) !== Object.is(right, -0))
      return (Object.is(left, -0) ? -1 : 1) * (direction === 'asc' ? 1 : -1)
  }
  return 0
}

test('a sort rewrite keeps every row, orders them, leaves depth 1 and nothing to do', async () => {
  await fc.assert(
    fc.asyncProperty(filesArbitrary, sortFields, async (files, order) => {
      const table = await appendFiles(await makeTable({ schema: SCHEMA, order, rowGroupRows: 4 }), files)
      const before = await contents(table)
      const options = { targetFileSizeBytes: 30_000 }
      const { table: after, result } = await rewrite(table, options)
      expect(await contents(after)).toEqual(before)
      expect(result.totals.rows).toBe(before.length)
      expect(result.overlapDepth.after).toBeLessThanOrEqual(1)
      expect((await planRewrite(after, options)).groups).toEqual([])
      if ((await filesOf(after)).length > 1) return
      const rows = await rowsInOrder(after)
      for (const [index, row] of rows.slice(1).entries()) {
        expect(compareRows(order, rows[index]!, row)).toBeLessThanOrEqual(0)
      }
    }),
    { numRuns: 30 },
  )
})

test('binpack and zorder keep every row', async () => {
  await fc.assert(
    fc.asyncProperty(filesArbitrary, fc.boolean(), async (files, curve) => {
      const table = await appendFiles(await makeTable({ schema: SCHEMA, rowGroupRows: 4 }), files)
      const before = await contents(table)
      const strategy = curve
        ? { strategy: 'zorder' as const, zorderColumns: FLAT_TYPES.map((_, index) => `c${index + 1}`) }
        : { strategy: 'binpack' as const }
      const { table: after } = await rewrite(table, { ...strategy, rewriteAll: true, targetFileSizeBytes: 30_000 })
      expect(await contents(after)).toEqual(before)
    }),
    { numRuns: 20 },
  )
})

test('rows that are partitioned anew go to their partitions', async () => {
  await fc.assert(
    fc.asyncProperty(filesArbitrary, async (files) => {
      const table = await appendFiles(await makeTable({ schema: SCHEMA, rowGroupRows: 4 }), files)
      const before = await contents(table)
      const changed = await table.updateSpec([
        { add: { source: 'c6', transform: 'year' } },
        { add: { source: 'c10', transform: 'bucket[3]' } },
      ])
      const { table: after } = await rewrite(changed)
      expect(await contents(after)).toEqual(before)
      const found = await filesOf(after)
      expect(new Set(found.map(({ specId }) => specId))).toEqual(new Set([after.metadata.defaultSpecId]))
      expect((await planRewrite(after)).groups.filter(({ partition }) => partition === null)).toEqual([])
    }),
    { numRuns: 15 },
  )
})

test('sorting with little memory spills runs, merges them in passes, and gives what sorting in memory gives', async () => {
  await fc.assert(
    fc.asyncProperty(filesArbitrary, sortFields, fc.integer({ min: 1, max: 400 }), async (files, order, runBytes) => {
      const batches = files.map((rows) => batchOfRows(SCHEMA, rows))
      const sorted = await withSpillFolder(async (folder) => {
        const spill = openSpillFolder(`${folder}/runs`)
        const budget = { runBytes, residentBytes: 0, chunkBytes: 200, fanIn: 2 }
        const keys = sortKeyMaker(SCHEMA, { orderId: 1, fields: order })
        const rows: AnyRow[] = []
        async function* input() {
          yield* batches
        }
        for await (const batch of sortBatches(input(), { keys, spill, budget, batchRows: 3 })) {
          expect(batch.numRows).toBeLessThanOrEqual(3)
          rows.push(...rowsOfBatch(SCHEMA, batch))
        }
        await spill.remove()
        return rows
      })
      // a stable sort of the plain kind: equal rows keep their order too
      const expected = batches.flatMap((batch) => rowsOfBatch(SCHEMA, batch)).sort((a, b) => compareRows(order, a, b))
      expect(sorted).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})
