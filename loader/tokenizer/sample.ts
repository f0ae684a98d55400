/** A vocabulary made from a dataset. */
import { type Data, DataType, type RecordBatch, type Schema } from 'apache-arrow'
import { bytesAt, isValidAt } from '../../table/index.ts'
import { invalid } from '../options.ts'
import type { Tokenizer } from './tokenizer.ts'
import { type TrainTokenizerOptions, trainTokenizer } from './train.ts'

export interface TokenizerOfOptions extends TrainTokenizerOptions {
  /** Text columns to learn from. */
  readonly columns: readonly string[]
  /** Rows to learn from; default: all of an epoch. */
  readonly sampleRows?: number | undefined
  /** Which epoch's order the rows are taken in. Default 0. */
  readonly epoch?: number | undefined
}

/** What is asked of a dataset. */
export interface TextSource {
  readonly schema: Schema
  epoch(epoch: number, options: { readonly signal?: AbortSignal | undefined }): AsyncIterable<RecordBatch>
}

/**
 * Trains on text columns of the pinned snapshot: the first `sampleRows` rows of an epoch, which are a sample that
 * snapshot and seed decide, so the same dataset gives the same vocabulary. Open one without `transform` for it.
 * @throws {FirnError} as `trainTokenizer` and reading the dataset do.
 */
export function tokenizerOf(dataset: TextSource, options: TokenizerOfOptions): Promise<Tokenizer> {
  const { columns, sampleRows = Number.POSITIVE_INFINITY, epoch = 0, ...training } = options
  if (sampleRows !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(sampleRows) && sampleRows >= 1)) {
    throw invalid('sampleRows', 'an integer from 1', sampleRows)
  }
  const indexes = columns.map((column) => {
    const index = dataset.schema.fields.findIndex((field) => field.name === column)
    const type = dataset.schema.fields[index]?.type
    if (!DataType.isUtf8(type) && !DataType.isBinary(type))
      throw invalid('columns', 'text columns of the dataset', column)
    return index
  })
  if (indexes.length === 0) throw invalid('columns', 'at least one text column', columns)
  const batches = dataset.epoch(epoch, { signal: training.signal })
  return trainTokenizer(textsOf(batches, indexes, sampleRows), training)
}

/** Row by row; nulls are left out. */
async function* textsOf(
  batches: AsyncIterable<RecordBatch>,
  indexes: readonly number[],
  rows: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = rows
  for await (const batch of batches) {
    const columns = indexes.map((index) => batch.data.children[index] as Data)
    for (let row = 0; row < batch.numRows && left > 0; row++, left--) {
      for (const data of columns) if (isValidAt(data, row)) yield bytesAt(data, row)
    }
    if (left <= 0) return
  }
}
