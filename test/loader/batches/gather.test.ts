import {
  type Data,
  Field,
  FixedSizeList,
  Int32,
  List,
  type RecordBatch,
  Schema,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchOf, gatherer } from '../../../loader/batches/gather.ts'
import { releaseSegment, segmentsOf } from '../../../loader/batches/segments.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { arrowSchema, type IcebergValue, type Schema as TableSchema, valueAt } from '../../../table/index.ts'
import { rowsOf } from '../../table/support.ts'
import { ROWS, rowsBatch } from '../support.ts'

const SCHEMA = arrowSchema(ROWS)
const upTo = (start: number, count: number): number[] => Array.from({ length: count }, (_, index) => start + index)
const gathered = (
  resident: readonly RecordBatch[],
  picks: readonly (readonly [number, number])[],
  schema: Schema = SCHEMA,
): RecordBatch => {
  const segments = segmentsOf(resident)
  const rows = Uint32Array.from(picks, ([, row]) => row)
  return gatherer(schema)(
    picks.map(([source]) => segments[source]!),
    rows,
    0,
    picks.length,
  )
}

describe('a gathered batch', () => {
  it('gives the picked rows of every type, nulls and repeats included', () => {
    const sources = [rowsBatch(upTo(0, 20)), rowsBatch(upTo(20, 1)), rowsBatch(upTo(21, 33))]
    const rows = sources.map((batch) => rowsOf(ROWS, batch))
    const pick = fc.nat(2).chain((source) => fc.tuple(fc.constant(source), fc.nat(sources[source]!.numRows - 1)))
    fc.assert(
      fc.property(fc.array(pick, { minLength: 1, maxLength: 60 }), (picks) => {
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

describe('columns of lists', () => {
  const lists = (type: List | FixedSizeList, rows: readonly (readonly unknown[] | null)[]): RecordBatch => {
    const schema = new Schema([new Field('list', type, true)])
    return batchOf(schema, [vectorFromArray(rows, type).data[0]!], rows.length)
  }
  const values = (batch: RecordBatch): unknown[] =>
    Array.from({ length: batch.numRows }, (_, row) => {
      const plain = (value: unknown): unknown =>
        value instanceof Vector || ArrayBuffer.isView(value)
          ? Array.from(value as Iterable<unknown>, (item) => plain(item))
          : value
      return plain(batch.getChildAt(0)!.get(row))
    })
  const int = fc.integer({ min: -100, max: 100 })
  const text = fc.option(fc.string({ maxLength: 5 }), { nil: null })
  const cases = [
    ['ints', new List(new Field('item', new Int32(), false)), fc.array(int, { maxLength: 30 })],
    ['ints and nulls', new List(new Field('item', new Int32(), true)), fc.array(fc.option(int), { maxLength: 5 })],
    ['texts', new List(new Field('item', new Utf8(), true)), fc.array(text, { maxLength: 5 })],
    [
      'widths of three',
      new FixedSizeList(3, new Field('item', new Int32(), false)),
      fc.array(int, { minLength: 3, maxLength: 3 }),
    ],
    [
      'lists of lists',
      new List(new Field('item', new List(new Field('item', new Utf8(), true)), true)),
      fc.array(fc.option(fc.array(text, { maxLength: 2 })), { maxLength: 3 }),
    ],
  ] as const
  it.each(cases)('%s come with their rows', (_name, type, list) => {
    const rows = fc.array(fc.option(list as fc.Arbitrary<readonly unknown[]>, { freq: 5 }), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(
        fc.array(rows, { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { minLength: 1 }),
        (sources, picks) => {
          const batches = sources.map((source) => lists(type, source))
          const at = picks.map((pick): [number, number] => {
            const source = pick % sources.length
            return [source, pick % sources[source]!.length]
          })
          const expected = at.map(([source, row]) => sources[source]![row])
          expect(values(gathered(batches, at, batches[0]!.schema))).toEqual(expected)
        },
      ),
    )
  })
})

describe('columns of structs and maps', () => {
  const place = {
    type: 'struct',
    fields: [
      { id: 10, name: 'city', required: false, type: 'string' },
      {
        id: 11,
        name: 'at',
        required: false,
        type: { type: 'list', elementId: 12, element: 'double', elementRequired: false },
      },
    ],
  } as const
  const nested: TableSchema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'place', required: false, type: place },
      {
        id: 2,
        name: 'scores',
        required: false,
        type: { type: 'map', keyId: 20, key: 'string', valueId: 21, value: 'long', valueRequired: false },
      },
      {
        id: 3,
        name: 'places',
        required: false,
        type: { type: 'list', elementId: 30, element: place, elementRequired: false },
      },
    ],
  }
  const text = fc.option(fc.string({ maxLength: 5 }), { nil: null })
  const aPlace = fc.option(
    fc.record({ city: text, at: fc.option(fc.array(fc.option(fc.integer()), { maxLength: 3 })) }),
  )
  const scores = fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.option(fc.bigInt({ min: -99n, max: 99n }))), {
    maxLength: 3,
  })
  const row = fc.record({
    place: aPlace,
    scores: fc.option(scores),
    places: fc.option(fc.array(aPlace, { maxLength: 3 })),
  })
  const nestedBatch = (rows: readonly Readonly<Record<string, unknown>>[]): RecordBatch => {
    const columns = nested.fields.map(({ name, type }) =>
      columnFromValues(
        type,
        rows.map((values) => values[name] as IcebergValue),
        name,
      ),
    )
    return batchOfColumns(nested, columns, rows.length)
  }
  const rowAtIndex = (batch: RecordBatch, index: number): unknown[] =>
    nested.fields.map(({ type }, column) => valueAt(type, batch.data.children[column] as Data, index))

  it('come with their rows, at any depth', () => {
    const sources = fc.array(fc.array(row, { minLength: 1, maxLength: 10 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(sources, fc.array(fc.nat(), { minLength: 1 }), (tables, picks) => {
        const batches = tables.map(nestedBatch)
        const at = picks.map((pick): [number, number] => {
          const source = pick % tables.length
          return [source, pick % tables[source]!.length]
        })
        const batch = gathered(batches, at, batches[0]!.schema)
        const expected = at.map(([source, index]) => rowAtIndex(batches[source]!, index))
        expect(at.map((_pick, index) => rowAtIndex(batch, index))).toEqual(expected)
      }),
    )
  })
})

describe('a segment', () => {
  it('gives its memory back when it is released, and the batch that was gathered from it stays', () => {
    const [segment] = segmentsOf([rowsBatch(upTo(0, 9))])
    const batch = gatherer(SCHEMA)([segment!, segment!], Uint32Array.from([3, 8]), 0, 2)
    expect(segment!.buffers.length).toBeGreaterThan(0)
    releaseSegment(segment!)
    expect(segment!.buffers.every((buffer) => buffer.detached)).toBe(true)
    expect(rowsOf(ROWS, batch)).toEqual(rowsOf(ROWS, rowsBatch([3, 8])))
  })

  it('leaves memory alone that it shares with another one', () => {
    const whole = rowsBatch(upTo(0, 40))
    const [first, second] = segmentsOf([whole.slice(0, 20), whole.slice(20, 40)])
    releaseSegment(first!)
    const batch = gatherer(SCHEMA)([second!], Uint32Array.from([4]), 0, 1)
    expect(rowsOf(ROWS, batch)).toEqual(rowsOf(ROWS, rowsBatch([24])))
  })
})
