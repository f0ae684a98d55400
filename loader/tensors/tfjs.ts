/**
 * A dataset as `model.fitDataset` and `model.evaluateDataset` of TensorFlow.js take it: an object with `size` and
 * `iterator()`. The tf module comes from the caller; nothing here imports it.
 *
 * What tfjs 4.22 does with it, and what follows (tfjs-layers/src/engine/training_dataset.ts):
 * - calls `iterator()` once more than there are epochs and throws the first away: it must do nothing by itself;
 * - never calls `return()`, not even when training stops early: a new iterator ends the one before it, and closing the
 *   dataset ends the last;
 * - may call `next()` again before the last call is settled, and after the end;
 * - disposes what it is given after the step: every element is made of fresh tensors.
 */
import type { Schema as ArrowSchema, RecordBatch } from 'apache-arrow'
import { checkNames, invalid } from '../options.ts'
import { checkNumeric, type PadOptions, type TensorBatch, type TensorData, tensorBatch } from './tensors.ts'

/** What is used of the tf module that is passed in; `T` is its tensor. */
export interface TensorFlow<T> {
  tensor(values: TensorData['values'], shape: TensorData['shape'], dtype: TensorData['dtype']): T
  // The callback is declared to return `never`, because tidy accepts only what it calls a container of tensors.
  tidy(run: () => never): unknown
}

/** Tensors of one side, as tfjs takes them: one, a list in the order of the model's inputs, or by input name. */
export type Tensors<T> = T | T[] | Record<string, T>

/**
 * Where a side comes from: a column of numbers (shape `[rows, 1]`) or of lists of numbers (`[rows, width]`), several of
 * them as a list or by input name, or a function. A function must be synchronous, and return new tensors; others that it makes are disposed for it.
 */
export type TensorSource<T> =
  | string
  | readonly string[]
  | Readonly<Record<string, string>>
  | ((batch: TensorBatch) => Tensors<T>)

export interface TFDatasetOptions<T> {
  readonly xs: TensorSource<T>
  readonly ys: TensorSource<T>
  /** By column: how lists of any size are padded where `xs` and `ys` name the column. */
  readonly pad?: Readonly<Record<string, PadOptions>> | undefined
  /**
   * Epochs of the dataset that one iterator goes through, 1 or more; `Infinity` is allowed. Default 1. Training with
   * `batchesPerEpoch` uses one iterator for all of its epochs and needs as many.
   */
  readonly epochs?: number | undefined
  /**
   * Epoch of the dataset that the first iterator starts with; each iterator goes on where one ended. Default: what
   * `dataset.epoch()` gives, so that after `loadStateDict` the first iterator has the batches that are left of the
   * epoch, and later ones have whole epochs.
   */
  readonly firstEpoch?: number | undefined
}

export interface TFElement<T> {
  xs: Tensors<T>
  ys: Tensors<T>
}

export interface TFDataset<T> {
  /** Elements of one iterator; null when unknown, as in tf.data, whose type says `number` too. */
  size: number
  iterator(): Promise<{ next(): Promise<IteratorResult<TFElement<T>>> }>
}

/** The part of a dataset that this needs. */
export interface EpochSource {
  /** Undefined when only reading can tell. */
  readonly numBatches: number | undefined
  /** Of every batch. */
  readonly schema: ArrowSchema
  /** @param epoch without it: what is left of the epoch of a loaded state, else the epoch after the one begun last. */
  epoch(epoch?: number): AsyncIterableIterator<RecordBatch, void, undefined>
}

/**
 * @throws {FirnError} `FIRN_INVALID_OPTION`, and `FIRN_COLUMN_NOT_FOUND` and `FIRN_TENSOR_TYPE` for columns by name
 *   (invalid). Iterators throw what `epoch` and the sources throw.
 */
export function toTFDataset<T>(dataset: EpochSource, tf: TensorFlow<T>, options: TFDatasetOptions<T>): TFDataset<T> {
  checkNames('toTFDataset', options, ['xs', 'ys', 'pad', 'epochs', 'firstEpoch'])
  if (typeof tf?.tensor !== 'function' || typeof tf.tidy !== 'function') {
    throw invalid('tf', 'the module of TensorFlow.js: import * as tf from …', typeof tf)
  }
  const { epochs = 1, firstEpoch } = options
  if (epochs !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(epochs) && epochs >= 1)) {
    throw invalid('epochs', 'an integer from 1, or Infinity', String(epochs))
  }
  if (firstEpoch !== undefined && !(Number.isSafeInteger(firstEpoch) && firstEpoch >= 0)) {
    throw invalid('firstEpoch', 'an integer from 0', firstEpoch)
  }
  const toElement = elementMaker(tf, dataset.schema, options)
  let begun = 0
  const beginEpoch = (): AsyncIterator<RecordBatch, void, undefined> =>
    firstEpoch === undefined ? dataset.epoch() : dataset.epoch(firstEpoch + begun++)
  let endPrevious = async (): Promise<void> => {}

  const iterator = (): { next(): Promise<IteratorResult<TFElement<T>>> } => {
    let batches: AsyncIterator<RecordBatch, void, undefined> | undefined
    let left = epochs
    /** Epochs without a batch, one after the other: a loaded state may have nothing left of its epoch. */
    let empty = 0
    let started = false
    let ended = false
    const end = async (): Promise<void> => {
      ended = true
      const ending = batches
      batches = undefined // once is enough, and who takes over need not hear of what went wrong
      await ending?.return?.()
    }
    const endedOrThrow = (error: unknown): IteratorReturnResult<void> => {
      if (ended) return { done: true, value: undefined } // a newer iterator took over meanwhile
      throw error
    }
    const advance = async (): Promise<IteratorResult<TFElement<T>>> => {
      let pulled: Promise<IteratorResult<RecordBatch, void>> | undefined
      if (!started) {
        started = true
        const previous = endPrevious
        endPrevious = end
        batches = beginEpoch()
        // Under way before the old one ends, which would otherwise take the worker threads along.
        pulled = batches.next()
        pulled.catch(() => {}) // reported below
        await previous()
      }
      while (!ended) {
        const { done, value } = await (pulled ?? batches!.next()).catch(endedOrThrow)
        pulled = undefined
        if (done !== true) {
          empty = -1
          return { done: false, value: toElement(value) }
        }
        if (ended || --left <= 0 || ++empty >= 2) ended = true
        else batches = beginEpoch()
      }
      return { done: true, value: undefined }
    }
    // One call after the other, in the order in which they were made.
    let last: Promise<unknown> = Promise.resolve()
    return {
      next() {
        const result = last.then(advance)
        // Its rows and threads go at once; who asked need not wait for that.
        last = result.catch(() => void end().catch(() => {}))
        return result
      },
    }
  }
  const size = dataset.numBatches === undefined ? null : dataset.numBatches * epochs
  return { size: size as number, iterator: async () => iterator() }
}

function elementMaker<T>(
  tf: TensorFlow<T>,
  schema: ArrowSchema,
  { xs, ys, pad = {} }: TFDatasetOptions<T>,
): (record: RecordBatch) => TFElement<T> {
  checkNames('pad', pad, [...named(xs), ...named(ys)])
  for (const [column, options] of Object.entries(pad)) {
    checkNames(`pad.${column}`, options, ['padTo', 'padToMultipleOf', 'truncateTo', 'padValue'])
  }
  const toXs = tensorMaker(tf, schema, { side: 'xs', source: xs, pad })
  const toYs = tensorMaker(tf, schema, { side: 'ys', source: ys, pad })
  return (record) => {
    const batch = tensorBatch(record)
    const make = (): TFElement<T> => ({ xs: toXs(batch), ys: toYs(batch) })
    // tidy disposes what a source made on the way, and everything when it throws.
    return tf.tidy(make as () => never) as TFElement<T>
  }
}

function tensorMaker<T>(
  tf: TensorFlow<T>,
  schema: ArrowSchema,
  {
    side,
    source,
    pad,
  }: { readonly side: string; readonly source: TensorSource<T>; readonly pad: Readonly<Record<string, PadOptions>> },
): (batch: TensorBatch) => Tensors<T> {
  if (typeof source === 'function') return (batch) => refuseLate(side, source(batch))
  const columns = named(source)
  if (columns.length === 0 || !columns.every((column) => typeof column === 'string')) {
    throw invalid(side, 'a column name, several of them, or a function', source)
  }
  for (const column of columns) checkNumeric(schema, column, pad[column])
  const tensorOf = (batch: TensorBatch, column: string): T => {
    const { values, shape, dtype } = batch.numbers(column, pad[column])
    return tf.tensor(values, shape, dtype)
  }
  if (typeof source === 'string') return (batch) => tensorOf(batch, source)
  if (Array.isArray(source)) return (batch) => (source as readonly string[]).map((column) => tensorOf(batch, column))
  const byInput = Object.entries(source as Readonly<Record<string, string>>)
  return (batch) => Object.fromEntries(byInput.map(([input, column]) => [input, tensorOf(batch, column)]))
}

/** Columns, unless the caller gave something else. */
function named<T>(source: TensorSource<T>): readonly string[] {
  if (typeof source === 'function') return []
  return typeof source === 'object' && source !== null ? Object.values(source) : [source]
}

/** A function that returns promises is a mistake; what they become is disposed, because tidy has ended by then. */
function refuseLate<T>(side: string, made: Tensors<T>): Tensors<T> {
  const late = partsOf(made).filter(isThenable)
  if (late.length === 0) return made
  const dispose = (result: unknown): void => {
    for (const part of partsOf(result)) if (isDisposable(part)) part.dispose()
  }
  for (const part of late) part.then(dispose, () => {}) // its own error matters no more
  throw invalid(side, 'a function that returns tensors, not promises of them', 'a promise')
}

const partsOf = (made: unknown): unknown[] =>
  typeof made !== 'object' || made === null || isThenable(made) || isDisposable(made) ? [made] : Object.values(made)

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function'

const isDisposable = (value: unknown): value is { dispose(): void } =>
  typeof (value as { dispose?: unknown } | null | undefined)?.dispose === 'function'
