/**
 * Ids as a tokenizer gives them, from the number `n` of a row: `fixed` holds four, `ragged` n mod 5 of them. Counts the
 * rows of worker threads in `options.done`, shared memory, so that a thread which stands still sees how far they are.
 */
import { isMainThread } from 'node:worker_threads'
import type { RecordBatch } from 'apache-arrow'
import type { Transform } from '../../../loader/read/transform.ts'

export default function ids(options: { readonly done?: Int32Array } | undefined): Transform {
  return (batch: RecordBatch) => {
    const numbers = batch.getChild('n')!.toArray() as Int32Array
    const fixed = new Int32Array(numbers.length * 4)
    const offsets = new Int32Array(numbers.length + 1)
    const ragged: number[] = []
    numbers.forEach((n, row) => {
      fixed.set(fixedOf(n), row * 4)
      ragged.push(...raggedOf(n))
      offsets[row + 1] = ragged.length
    })
    if (options?.done !== undefined && !isMainThread) {
      Atomics.add(options.done, 0, numbers.length)
      Atomics.notify(options.done, 0)
    }
    return { n: 'n', fixed: { values: fixed, width: 4 }, ragged: { values: Int32Array.from(ragged), offsets } }
  }
}

export const fixedOf = (n: number): readonly number[] => [n, n + 1, -n, 7]
export const raggedOf = (n: number): readonly number[] => Array.from({ length: n % 5 }, (_, at) => n * 10 + at)
