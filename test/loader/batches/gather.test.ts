import { Field, Int32, makeData, type RecordBatch, Schema } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchOf, gatherRows } from '../../../loader/batches/gather.ts'
import { batchFromWire, batchToWire } from '../../../loader/read/preview-wire.ts'
import { arrowSchema } from '../../../table/index.ts'
import { rowsOf } from '../../table/support.ts'
import { ROWS, rowsBatch } from '../support.ts'

const SCHEMA = arrowSchema(ROWS)
const upTo = (start: number, count: number): number[] => Array.from({ length: count }, (_, index) => start + index)
const gathered = (resident: readonly RecordBatch[], picks: readonly (readonly [number, number])[]): RecordBatch =>
  gatherRows(SCHEMA, resident, {
    sources: Uint32Array.from(picks, ([source]) => source),
    rows: Uint32Array.from(picks, ([, row]) => row),
    length: picks.length,
  })

describe('gatherRows', () => {
  it('gives the picked rows of every type, nulls and repeats included', () => {
    const sources = [rowsBatch(upTo(0, 20)), rowsBatch(upTo(20, 1)), rowsBatch(upTo(21, 33))]
    const rows = sources.map((batch) => rowsOf(ROWS, batch))
    const pick = fc.nat(2).chain((source) => fc.tuple(fc.constant(source), fc.nat(sources[source]!.numRows - 1)))
    fc.assert(
      fc.property(fc.array(pick, { maxLength: 60 }), (picks) => {
        const expected = picks.map(([source, row]) => rows[source]![row])
        expect(rowsOf(ROWS, gathered(sources, picks))).toEqual(expected)
      }),
    )
  })

  it('reads slices, whose bits begin in the middle of a byte', () => {
    const whole = rowsBatch(upTo(0, 40))
    const slice = whole.slice(5, 29)
    const picks = upTo(0, 24).map((row): [number, number] => [0, row])
    expect(rowsOf(ROWS, gathered([slice], picks))).toEqual(rowsOf(ROWS, rowsBatch(upTo(5, 24))))
  })

  it('gives a batch that Arrow itself reads', () => {
    const batch = gathered(
      [rowsBatch([1, 2, 3])],
      [
        [0, 2],
        [0, 0],
      ],
    )
    expect(batch.getChild('n')!.toJSON()).toEqual([3, 1])
    expect(batch.getChild('text')!.toJSON()).toEqual([null, ''])
    expect(batch.getChild('flag')!.toJSON()).toEqual([null, false])
    expect(batch.getChild('big')!.toJSON()).toEqual([2n ** 53n + 3n, 2n ** 53n + 1n])
  })
})

describe('a batch on its way between threads', () => {
  it('arrives with all values and nulls, its buffers moved', () => {
    const batch = rowsBatch(upTo(0, 50))
    const expected = rowsOf(ROWS, batch)
    const { wire, transfer } = batchToWire(batch)
    const arrived = batchFromWire(SCHEMA, structuredClone(wire, { transfer }))
    expect(rowsOf(ROWS, arrived)).toEqual(expected)
    expect(transfer.every((buffer) => buffer.detached)).toBe(true)
  })

  it('leaves alone a buffer that others look into as well: a copy travels', () => {
    const shared = Int32Array.from(upTo(0, 8))
    const child = makeData({ type: new Int32(), length: 4, nullCount: 0, data: shared.subarray(2, 6) })
    const schema = new Schema([new Field('n', new Int32(), false)])
    const { wire, transfer } = batchToWire(batchOf(schema, [child], 4))
    const arrived = batchFromWire(schema, structuredClone(wire, { transfer }))
    expect(arrived.getChild('n')!.toJSON()).toEqual([2, 3, 4, 5])
    expect([...shared]).toEqual(upTo(0, 8))
  })
})
