import { expect, it } from 'vitest'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import { loadTransform, transformedSchema } from '../../../loader/read/transform.ts'
import { arrowSchema } from '../../../table/index.ts'
import { testClock } from '../../table/support.ts'
import { memoryUrl, ROWS, rowsBatch, rowsTable } from '../support.ts'
import { decodeAll, setupOf, unitsOf, valuesOf } from './units.ts'

const IDS = new URL('./ids.transform.ts', import.meta.url).href
const arrow = arrowSchema(ROWS)

/** A module whose default export is the given text. */
const moduleOf = (source: string): string => `data:text/javascript,${encodeURIComponent(`export default ${source}`)}`
/** One whose transform gives `columns` for a batch of rows, and `n` plain numbers for none. */
const giving = (columns: string): string =>
  moduleOf(`() => ({ numRows: rows }) => rows === 0 ? { ids: { values: new Int32Array(0) } } : ${columns}`)

it('learns the columns from a batch without rows', async () => {
  const schema = await transformedSchema({ module: IDS, options: { width: 3 } }, arrow)
  expect(schema.fields.map(({ name, type, nullable }) => `${name}: ${String(type)} ${nullable}`)).toEqual([
    'ids: FixedSizeList[3]<Int32> false',
    'halves: Float32 false',
    'ragged: List<Uint8> false',
    'text: Utf8 true',
  ])
})

it('makes columns with buffers of their own, whatever the transform does with its arrays later', async () => {
  const run = await loadTransform({ module: IDS, options: { width: 2 } }, arrow)
  const first = run(rowsBatch([3, 5]))
  const before = JSON.stringify(valuesOf(first))
  run(rowsBatch([8, 9]))
  expect(JSON.stringify(valuesOf(first))).toBe(before)
  expect(valuesOf(first)).toMatchObject([
    {
      name: 'ids',
      values: [
        [30, 31],
        [50, 51],
      ],
    },
    { name: 'halves', values: [1.5, 2.5] },
    { name: 'ragged', values: [[7, 7, 7], [7]] },
    { name: 'text', values: rowsBatch([3, 5]).getChild('text')!.toJSON() },
  ])
})

it('copies a Buffer as well, whose slice is a view', async () => {
  const module = moduleOf(`() => {
    const kept = Buffer.alloc(64)
    return ({ numRows }) => ({ bytes: { values: kept.subarray(0, numRows).fill(numRows) } })
  }`)
  const run = await loadTransform({ module }, arrow)
  const first = run(rowsBatch([3, 5]))
  run(rowsBatch([8, 9, 10]))
  expect(valuesOf(first)).toMatchObject([{ name: 'bytes', type: 'Uint8', values: [2, 2] }])
  const { buffer, byteLength } = first.data.children[0]!.values as Uint8Array
  expect(buffer.byteLength).toBe(byteLength)
})

it('gives a row the same values whichever rows it comes with', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 100, fileRows: 60, rowGroupRows: 20 })
  const setup = setupOf(table, ROWS, { transform: { module: IDS, options: { width: 2 } } })
  const seen: string[][] = []
  for (const groups of [1, 3]) {
    const decoder = inlineDecoder({ setup, store: table.store, clock: testClock(), onError: 'raise' })
    const units = await decodeAll(decoder, await unitsOf(table, ROWS, { groups }))
    const rows = units.flatMap(({ segments }) =>
      segments.flatMap((segment) => segment.toArray().map((row) => JSON.stringify(row))),
    )
    seen.push(rows.sort())
  }
  expect(seen[0]).toHaveLength(100)
  expect(seen[1]).toEqual(seen[0])
})

it.each([
  ['too few values', '{ ids: { values: new Int32Array(rows - 1) } }', '1 values for 2 rows'],
  ['another type', '{ ids: { values: new Float32Array(rows) } }', 'Float32, before it was Int32'],
  ['another width', '{ ids: { values: new Int32Array(rows * 2), width: 2 } }', 'FixedSizeList'],
  ['no number as width', '{ ids: { values: new Int32Array(rows), width: NaN } }', 'width NaN'],
  ['an array of 64 bits', '{ ids: { values: new BigInt64Array(rows) } }', 'Int32Array, Float32Array or Uint8Array'],
  ['no column', '{ ids: undefined }', 'Int32Array, Float32Array or Uint8Array'],
  ['another column', '{ other: { values: new Int32Array(rows) } }', 'columns other, before they were ids'],
  ['an unknown column', '{ ids: "nothing" }', 'nothing, which was not read'],
  ['too few offsets', '{ ids: { values: new Int32Array(0), offsets: new Int32Array(rows) } }', '2 offsets for 2 rows'],
  ['offsets that fall', '{ ids: { values: new Int32Array(1), offsets: Int32Array.of(0, 2, 1) } }', 'fall from 2 to 1'],
  ['late offsets', '{ ids: { values: new Int32Array(3), offsets: Int32Array.of(1, 2, 3) } }', 'begin with 1'],
  ['short offsets', '{ ids: { values: new Int32Array(3), offsets: Int32Array.of(0, 1, 2) } }', 'last offset is 2'],
  ['a promise', 'Promise.resolve({})', 'synchronous'],
  ['nothing', 'undefined', 'no columns'],
])('refuses %s, naming module and column', async (_what, columns, message) => {
  const module = giving(columns)
  const run = await loadTransform({ module }, arrow)
  const error = await (async () => run(rowsBatch([1, 2])))().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    kind: 'failed',
    code: 'FIRN_TRANSFORM_FAILED',
    message: expect.stringContaining(message) as string,
    detail: { module },
  })
})

it.each([
  ['is not there', 'file:///nowhere/at/all.js', 'cannot be loaded'],
  ['has no function', moduleOf('42'), 'no function as its default export'],
  ['throws when it is set up', moduleOf('() => { throw new Error("no vocabulary") }'), 'no vocabulary'],
  ['gives no function', moduleOf('() => 42'), 'no function to run'],
  ['fails without rows', moduleOf('() => () => { throw new Error("no rows") }'), 'no rows'],
])('refuses a module that %s when the dataset is opened', async (_what, module, message) => {
  await expect(transformedSchema({ module }, arrow)).rejects.toMatchObject({
    code: 'FIRN_TRANSFORM_FAILED',
    message: expect.stringContaining(message) as string,
  })
})
