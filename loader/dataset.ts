/** An open dataset: one pinned snapshot, and the worker threads that decode it. */
import type { Schema as ArrowSchema, RecordBatch } from 'apache-arrow'
import type { Clock } from '../table/clock.ts'
import { loaderChannel } from '../table/diagnostics.ts'
import {
  printSchema,
  type Schema,
  type Snapshot,
  type SnapshotId,
  type StoreOptions,
  type Table,
} from '../table/index.ts'
import { batchesOf } from './batches/batches.ts'
import { readAhead } from './batches/read-ahead.ts'
import { timedBatches } from './batches/timed-batches.ts'
import { invalid, type ResolvedOptions } from './options.ts'
import { type EpochOrder, previewOrder, sequentialOrder } from './order/shuffle.ts'
import { type Decoder, decoderClosed, inlineDecoder } from './read/preview-decoder.ts'
import { workerDecoder } from './read/preview-pool.ts'
import { type FileRef, listUnits, type Unit, type UnitReader, unitReader } from './source/units.ts'
import { type TensorFlow, type TFDataset, type TFDatasetOptions, toTFDataset } from './tensors/tfjs.ts'

export interface DatasetParts {
  readonly options: ResolvedOptions
  readonly table: Table
  readonly snapshot: Snapshot
  /** The columns that come out. */
  readonly schema: Schema
  readonly arrow: ArrowSchema
  readonly files: readonly FileRef[]
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  readonly signal: AbortSignal | undefined
  /** Times how long the consumer waits, for whoever listens. */
  readonly clock: Clock
}

/** What a model was trained on; plain JSON, to be kept beside the model. */
export interface Provenance {
  readonly tableUuid: string
  readonly table: string
  readonly snapshotId: string
  readonly snapshotTimestampMillis: number
  readonly schemaId: number
  readonly columns: readonly string[]
  readonly rows: number
  readonly batchSize: number
  readonly dropLast: boolean
  readonly shuffle: { readonly algorithm: string; readonly seed: number; readonly blockRowGroups: number } | null
}

export interface EpochOptions {
  /** Ends this iteration only. */
  readonly signal?: AbortSignal | undefined
}

/** The batches of one epoch. `return()`, which leaving a `for await` calls, stops what still runs. */
export type EpochIterator = AsyncIterableIterator<RecordBatch, void, undefined> & {
  return(): Promise<IteratorResult<RecordBatch, void>>
}

/** Blocks without a shuffle only bound what is read ahead. */
const SEQUENTIAL_BLOCK_UNITS = 4

/** A dataset that nobody closed and nobody can reach any more gives its threads back with its memory. */
const forgotten = new FinalizationRegistry<Decoder>((decoder) => void decoder.close())

/**
 * The threads end with the signal. It often outlives many datasets: its listener knows the decoder only, which knows
 * no dataset, and goes when the decoder is closed.
 */
function closingWith(signal: AbortSignal | undefined, decoder: Decoder): Decoder {
  if (signal === undefined) return decoder
  const close = (): Promise<void> => {
    signal.removeEventListener('abort', close)
    return decoder.close()
  }
  signal.addEventListener('abort', close, { once: true })
  return { ...decoder, close }
}

/** Opened by `openDataset`; close it with `await dataset[Symbol.asyncDispose]()`. */
export class Dataset implements AsyncDisposable {
  /** Rows of an epoch. */
  readonly length: number
  /** Batches of an epoch. */
  readonly numBatches: number
  readonly snapshotId: SnapshotId
  /** Of every batch. */
  readonly schema: ArrowSchema
  readonly #parts: DatasetParts
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  readonly #reader: UnitReader
  #decoder: Decoder | undefined
  #units: Promise<readonly Unit[]> | undefined
  #activeEpochs = 0

  /** Use `openDataset`. */
  constructor(parts: DatasetParts) {
    const { options, table, snapshot, schema, files, signal } = parts
    this.#parts = parts
    this.length = files.reduce((sum, file) => sum + file.recordCount, 0)
    this.numBatches = Math[options.dropLast ? 'floor' : 'ceil'](this.length / options.batchSize)
    this.snapshotId = snapshot.snapshotId
    this.schema = parts.arrow
    this.#signal = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    this.#reader = unitReader(table.store, table.location, schema, this.#signal)
  }

  /**
   * The batches of epoch `epoch`, an integer from 0. Every row comes once, in an order that depends on the snapshot,
   * the seed and the epoch only. Several iterations may run at the same time; each holds up to two blocks in memory.
   * @throws {FirnError} `FIRN_INVALID_OPTION`. Iterating also throws `FIRN_PARQUET_CORRUPT` (corrupt),
   *   `FIRN_STORE_UNAVAILABLE` (unavailable), `FIRN_WORKER_CRASHED` (failed), `FIRN_DATASET_CLOSED` (invalid) and
   *   the reason of a signal.
   */
  epoch(epoch = 0, options: EpochOptions = {}): EpochIterator {
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw invalid('epoch', 'an integer from 0', epoch)
    const leaving = new AbortController()
    const signals = [leaving.signal, this.#signal, ...(options.signal === undefined ? [] : [options.signal])]
    const state = { left: false }
    const batches = this.#batches(epoch, AbortSignal.any(signals), state)
    const ready = readAhead(batches, this.#parts.options.prefetchBatches, () => {
      state.left = true
      leaving.abort()
    })
    const { table, clock } = this.#parts
    return loaderChannel.hasSubscribers ? timedBatches(ready, table.name ?? table.location, clock) : ready
  }

  /**
   * For `model.fitDataset`: batches as tensors of `tf`, the caller's TensorFlow.js. Each iterator is one epoch after
   * the other, and ends the iterator before it.
   * @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE` (invalid). Iterating also
   *   throws as `epoch`, and `FIRN_TENSOR_NULL`, `FIRN_TENSOR_RANGE` (invalid) for values that tensors cannot hold.
   */
  toTFDataset<T>(tf: TensorFlow<T>, options: TFDatasetOptions<T>): TFDataset<T> {
    return toTFDataset(this, tf, options)
  }

  provenance(): Provenance {
    const { options, table, snapshot, schema } = this.#parts
    return {
      tableUuid: table.metadata.tableUuid,
      table: table.name ?? table.location,
      snapshotId: String(snapshot.snapshotId),
      snapshotTimestampMillis: snapshot.timestampMillis,
      schemaId: schema.schemaId,
      columns: schema.fields.map((field) => field.name),
      rows: this.length,
      batchSize: options.batchSize,
      dropLast: options.dropLast,
      shuffle: options.shuffle ?? null,
    }
  }

  /** Stops the worker threads; iterations that still run fail with `FIRN_DATASET_CLOSED`. Twice is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(decoderClosed())
    await this.#stopDecoder()
  }

  async *#batches(
    epoch: number,
    signal: AbortSignal,
    state: { readonly left: boolean },
  ): AsyncGenerator<RecordBatch, void, undefined> {
    const { options, arrow } = this.#parts
    signal.throwIfAborted()
    this.#activeEpochs++
    try {
      const units = await orAborted(this.#listUnits(), signal)
      this.#decoder ??= this.#createDecoder()
      const decoder = this.#decoder
      const { batchSize, dropLast } = options
      yield* batchesOf(this.#order(units, epoch), units, decoder, { schema: arrow, batchSize, dropLast, signal })
    } finally {
      this.#activeEpochs--
      // At the end of an epoch the next one is likely to follow: its threads stay. Who leaves early is likely done.
      if (this.#activeEpochs === 0 && state.left) await this.#stopDecoder()
    }
  }

  #createDecoder(): Decoder {
    const { options, table, schema, arrow, storeOptions, signal } = this.#parts
    if (options.numWorkers === 0) return inlineDecoder(this.#reader)
    const setup = { storeUrl: table.store.url, storeOptions, location: table.location, schema: printSchema(schema) }
    const decoder = closingWith(signal, workerDecoder({ threads: options.numWorkers, setup, schema: arrow }))
    forgotten.register(this, decoder, decoder)
    return decoder
  }

  #order(units: readonly Unit[], epoch: number): EpochOrder {
    const { options, table } = this.#parts
    const rows = units.map((unit) => unit.rows)
    if (options.shuffle === undefined) return sequentialOrder(rows, SEQUENTIAL_BLOCK_UNITS)
    const { seed, blockRowGroups } = options.shuffle
    const key = { tableUuid: table.metadata.tableUuid, snapshotId: this.snapshotId, seed, epoch }
    return previewOrder(rows, key, blockRowGroups)
  }

  /** Shared by the epochs, so none of them ends it. Reads every footer once, for the sizes of the row groups; the manifest has only their number. */
  #listUnits(): Promise<readonly Unit[]> {
    this.#units ??= listUnits(this.#parts.files, this.#reader, this.#signal).catch((error: unknown) => {
      this.#units = undefined
      throw error
    })
    return this.#units
  }

  async #stopDecoder(): Promise<void> {
    const decoder = this.#decoder
    if (decoder === undefined) return
    this.#decoder = undefined
    forgotten.unregister(decoder)
    await decoder.close()
  }
}

/** The result, or the reason of the signal without waiting for it. */
async function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    const first = await Promise.race([result, aborted])
    signal.throwIfAborted()
    return first
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
