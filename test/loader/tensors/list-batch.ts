/** Batches as a tokenizer in the worker threads makes them: lists of ids beside plain numbers. */
import { type Data, Field, FixedSizeList, Int32, List, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'

const ITEM = new Field('item', new Int32(), true)
const integers = (values: readonly number[]): Data => makeData({ type: new Int32(), data: Int32Array.from(values) })

/** `fixed`: two ids a row; `ragged`: as many as there are. */
export function listBatch(fixed: readonly (readonly [number, number])[], ragged: readonly number[][]): RecordBatch {
  const offsets = [0]
  for (const row of ragged) offsets.push(offsets.at(-1)! + row.length)
  const columns: Data[] = [
    makeData({
      type: new FixedSizeList(2, ITEM),
      length: fixed.length,
      nullCount: 0,
      child: integers(fixed.flat()) as Data<Int32>,
    }),
    makeData({
      type: new List(ITEM),
      length: ragged.length,
      nullCount: 0,
      valueOffsets: Int32Array.from(offsets),
      child: integers(ragged.flat()) as Data<Int32>,
    }),
  ]
  const fields = ['fixed', 'ragged'].map((name, index) => new Field(name, columns[index]!.type, true))
  const children = makeData({ type: new Struct(fields), length: fixed.length, nullCount: 0, children: columns })
  return new RecordBatch(new Schema(fields), children)
}
