/** Taking rows and joining batches by their buffers gives what doing it by values gives. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concatBatches, takeRows } from '../../../table/format/arrow-take.ts'
import { canonical, nestedBatch, nestedRows, randomTable } from './random-types.ts'

const table = randomTable(3, 30)

test('columns of every type give back the values they were made of', () => {
  fc.assert(
    fc.property(table, ({ schema, rows }) => {
      expect(nestedRows(schema, nestedBatch(schema, rows)).map(canonical)).toEqual(rows.map(canonical))
    }),
    { numRuns: 150 },
  )
})

test('rows taken from a slice are the rows of that number, in the order asked for, doubled ones included', () => {
  fc.assert(
    fc.property(table, fc.nat(), fc.array(fc.nat(), { maxLength: 60 }), ({ schema, rows }, cut, picks) => {
      const start = cut % rows.length
      const left = rows.slice(start)
      const numbers = Int32Array.from(picks, (pick) => pick % left.length)
      const taken = takeRows(nestedBatch(schema, rows).slice(start), schema, numbers)
      expect(nestedRows(schema, taken).map(canonical)).toEqual(Array.from(numbers, (row) => canonical(left[row]!)))
    }),
    { numRuns: 250 },
  )
})

test('slices joined are their rows behind one another', () => {
  fc.assert(
    fc.property(table, fc.array(fc.nat(), { maxLength: 4 }), ({ schema, rows }, cuts) => {
      const batch = nestedBatch(schema, rows)
      const bounds = cuts.map((cut) => cut % (rows.length + 1)).sort((a, b) => a - b)
      const edges = [0, ...bounds, rows.length]
      // every other part comes twice, so that the parts are no longer neighbours
      const parts = edges.slice(1).flatMap((end, index) => {
        const part = [edges[index]!, end] as const
        return index % 2 === 0 ? [part, part] : [part]
      })
      const joined = concatBatches(
        schema,
        parts.map(([from, to]) => batch.slice(from, to)),
      )
      expect(nestedRows(schema, joined).map(canonical)).toEqual(
        parts.flatMap(([from, to]) => rows.slice(from, to)).map(canonical),
      )
    }),
    { numRuns: 250 },
  )
})

test('no batches are a batch without rows', () => {
  const { schema } = fc.sample(table, { numRuns: 1, seed: 1 })[0]!
  expect(concatBatches(schema, []).numRows).toBe(0)
})
