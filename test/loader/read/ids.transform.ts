/** A transform as a user writes one: of the column `n`, as fixed and as ragged lists, with one scratch array for all. */
import type { Data, RecordBatch } from 'apache-arrow'
import type { TransformFactory } from '../../../loader/read/transform.ts'

interface Options {
  readonly width: number
}

const factory: TransformFactory = (options) => {
  const { width } = options as Options
  const scratch = new Int32Array(1 << 16)
  return (batch: RecordBatch) => {
    const n = batch.data.children[batch.schema.fields.findIndex(({ name }) => name === 'n')] as Data
    const numbers = n.values as Int32Array
    const rows = batch.numRows
    for (let at = 0; at < rows * width; at++) scratch[at] = numbers[Math.floor(at / width)]! * 10 + (at % width)
    const offsets = new Int32Array(rows + 1)
    for (let row = 0; row < rows; row++) offsets[row + 1] = offsets[row]! + (numbers[row]! % 4)
    return {
      ids: { values: scratch.subarray(0, rows * width), width },
      halves: { values: Float32Array.from(numbers, (number) => number / 2) },
      ragged: { values: new Uint8Array(offsets[rows]!).fill(7), offsets },
      text: 'text',
    }
  }
}

export default factory
