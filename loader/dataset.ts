/** An open dataset: one pinned snapshot, and the worker threads that decode it. */
import { Schema as ArrowSchema } from 'apache-arrow'
import type { Clock } from '../table/clock.ts'
import { loaderChannel } from '../table/diagnostics.ts'
import { type ObjectStore, type Snapshot, type SnapshotId, snapshotId, type Table } from '../table/index.ts'
import { countRows } from './batches/count.ts'
import { globalBatches, rankBatches } from './batches/counts.ts'
import { type EpochIterator, type EpochRun, epochIterator, type Progress } from './batches/epoch-iterator.ts'
import { gatherer } from './batches/gather.ts'
import { lengthsOf } from './batches/lengths.ts'
import { type MemoryPlan, planMemoryOf } from './batches/memory.ts'
import { type Provenance, provenanceOf } from './batches/provenance.ts'
import { BEGINNING, checkState, tokenOf } from './batches/resume.ts'
import { type OpenedRun, startRun } from './batches/run.ts'
import { type Counters, createCounters, type DatasetStats } from './batches/statistics.ts'
import { decoderMaker, type SharedDecoder, sharedDecoder } from './batches/threads.ts'
import { invalid, type ResolvedOptions } from './options.ts'
import { decoderClosed } from './read/decoder.ts'
import { type Pin, pinSnapshot } from './resume/pin.ts'
import { decodeState, type LoaderState } from './resume/token.ts'
import { emptyDataset, provedEmpty } from './source/empty.ts'
import { type Explanation, explainPlan } from './source/explain.ts'
import type { LoaderPlan } from './source/plan.ts'
import { type TensorFlow, type TFDataset, type TFDatasetOptions, toTFDataset } from './tensors/tfjs.ts'

export interface DatasetParts {
  readonly options: ResolvedOptions
  readonly plan: LoaderPlan
  /** Of every batch, where a transform makes it; default: what is read. */
  readonly schema?: ArrowSchema | undefined
  /** Undefined: a folder. */
  readonly table?: Table | undefined
  readonly snapshot?: Snapshot | undefined
  /** Rooted at the folder of the table, or of the files. */
  readonly store: ObjectStore
  readonly signal: AbortSignal | undefined
  /** Times how long the consumer waits. */
  readonly clock: Clock
}

export interface EpochOptions {
  /** Ends this iteration only. */
  readonly signal?: AbortSignal | undefined
}

/** Where a token goes on. */
export interface ResumePoint {
  readonly epoch: number
  /** Batches of the epoch that were delivered; those of all ranks count as one. */
  readonly batches: number
}

const MAX_EPOCH = 2 ** 32 - 2

/** Opened by `openDataset`; close it with `await dataset[Symbol.asyncDispose]()`. */
export class Dataset implements AsyncDisposable {
  readonly snapshotId: SnapshotId
  /** Of every batch. */
  readonly schema: ArrowSchema
  readonly #parts: DatasetParts
  readonly #memory: MemoryPlan
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  readonly #decoder: SharedDecoder
  readonly #counters: Counters = createCounters()
  readonly #running = new Set<OpenedRun>()
  #peakResidentBytes = 0
  #rows: number | undefined
  #counting: Promise<number> | undefined
  /** Of the iteration that began last. */
  #token: () => string
  #resume: LoaderState | undefined
  #nextEpoch = 0
  #pinning: Promise<Pin | undefined> | undefined
  #pinned: string | undefined
  #disposing: Promise<void> | undefined

  /** Use `openDataset`. @throws {FirnError} `FIRN_MEMORY_LIMIT` (invalid), and for columns that cannot be batched. */
  constructor(parts: DatasetParts) {
    const { options, plan, signal, schema = plan.arrow } = parts
    this.#parts = parts
    this.snapshotId = snapshotId(plan.snapshotId)
    this.schema = schema
    gatherer(schema)
    if (options.batch.kind === 'tokens') lengthsOf(schema, options.batch.lengthColumn)
    this.#memory = planMemoryOf(plan, options)
    this.#rows = plan.rowCount
    this.#signal = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    this.#decoder = sharedDecoder(this, decoderMaker({ ...parts, setup: plan.read, schema }), signal)
    this.#token = () => tokenOf(plan, options, 0, BEGINNING)
  }

  /** Rows of an epoch, over all ranks; undefined where metadata does not tell: `count()` does. */
  get length(): number | undefined {
    return this.#rows
  }

  /** Batches of an epoch for this rank; undefined while `length` is, and with token budgets. */
  get numBatches(): number | undefined {
    return rankBatches(this.#rows, this.#parts.options)
  }

  /**
   * Rows of an epoch, over all ranks. Where metadata does not tell, it reads the columns of filter and split, once.
   * @throws as iterating.
   */
  async count(): Promise<number> {
    this.#signal.throwIfAborted()
    if (this.#rows !== undefined) return this.#rows
    this.#counting ??= this.#countRows().finally(() => {
      this.#counting = undefined
    })
    this.#rows = await this.#counting
    return this.#rows
  }

  /**
   * The batches of epoch `epoch`, an integer from 0; default: the epoch of the token that was loaded, later the one
   * after that of the last call. Every row comes once, in an order that depends on the snapshot, the plan, the seed and
   * the epoch only. The first call after `loadStateDict` that asks for the token's epoch goes on where the token says.
   * Several iterations may run at the same time; each may take `memoryLimit`.
   * @throws {FirnError} `FIRN_INVALID_OPTION`. Iterating also throws `FIRN_PARQUET_CORRUPT` (corrupt),
   *   `FIRN_STORE_UNAVAILABLE` (unavailable), `FIRN_WORKER_CRASHED` (failed), `FIRN_DATASET_EMPTY`,
   *   `FIRN_MEMORY_LIMIT`, `FIRN_LENGTH_INVALID`, `FIRN_DATASET_CLOSED` (invalid) and the reason of a signal.
   */
  epoch(epoch?: number, options: EpochOptions = {}): EpochIterator {
    const number = epoch ?? this.#nextEpoch
    if (!Number.isSafeInteger(number) || number < 0 || number > MAX_EPOCH) {
      throw invalid('epoch', `an integer from 0 to ${MAX_EPOCH}`, epoch)
    }
    this.#nextEpoch = number + 1
    const resumed = this.#resume?.epoch === number ? this.#resume : undefined
    if (resumed !== undefined) this.#resume = undefined
    const start: Progress =
      resumed === undefined
        ? BEGINNING
        : { batches: resumed.batches, next: { block: resumed.block, offset: resumed.offset }, ended: false }
    return this.#iterate(number, start, options.signal)
  }

  /**
   * A token of 64 characters that goes on behind the last batch which the iteration that began last delivered; before
   * any began, where the loaded token or the dataset begins.
   */
  stateDict(): string {
    return this.#token()
  }

  /**
   * The next `epoch()` goes on with the batch behind those that were delivered when the token was made, in this
   * process or another one, with any `shard` and number of workers.
   * @throws {FirnError} `FIRN_TOKEN_INVALID`; `FIRN_TOKEN_MISMATCH` when the snapshot, the plan or the seed is another
   *   one (invalid).
   */
  async loadStateDict(token: string): Promise<ResumePoint> {
    const { plan, options } = this.#parts
    const state = decodeState(token)
    checkState(state, plan, options)
    this.#resume = state
    this.#nextEpoch = state.epoch
    this.#token = () => token
    return { epoch: state.epoch, batches: state.batches }
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

  /** What reading an epoch takes, and how well it mixes, from metadata alone. */
  explain(): Explanation {
    return { ...explainPlan(this.#parts.plan, this.#parts.options), rows: this.#rows ?? null }
  }

  /** What was done since the dataset was opened, over all iterations. */
  stats(): DatasetStats {
    let residentBytes = 0
    let peakResidentBytes = this.#peakResidentBytes
    for (const { budget } of this.#running) {
      residentBytes += budget.residentBytes
      peakResidentBytes = Math.max(peakResidentBytes, budget.peakBytes)
    }
    const { budgetBytes } = this.#memory
    return { ...this.#counters.values(), residentBytes, peakResidentBytes, budgetBytes, pinned: this.#pinned }
  }

  provenance(): Provenance {
    const { options, plan, table, snapshot } = this.#parts
    const { epochs, batches, rows, rowsSkipped } = this.#counters.values()
    const columns = this.schema.fields.map(({ name }) => name)
    const consumed = { epochs, batches, rows, rowsSkipped }
    return provenanceOf({ options, plan, table, snapshot, columns, rows: this.#rows, consumed })
  }

  /** Stops the worker threads; iterations that still run fail with `FIRN_DATASET_CLOSED`. Twice is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(decoderClosed())
    this.#disposing ??= this.#dispose()
    await this.#disposing // whoever calls it again waits for the same end
  }

  async #dispose(): Promise<void> {
    await this.#decoder.close()
    // What is not released expires by itself.
    await this.#pinning?.then((pin) => pin?.release()).catch(() => {})
  }

  #iterate(epoch: number, start: Progress, signal: AbortSignal | undefined): EpochIterator {
    const { options, plan, clock } = this.#parts
    const linked = signal === undefined ? this.#signal : AbortSignal.any([this.#signal, signal])
    const split = splitName(options)
    const iterator = epochIterator({
      depth: options.prefetchBatches,
      start,
      lastBatch: globalBatches(this.#rows, options),
      signal: linked,
      open: (onChange) => {
        this.#token = iterator.stateDict
        return this.#open({ epoch, start, signal: linked, onChange })
      },
      onDelivered: (made, waitMillis) => {
        this.#counters.delivered(made, waitMillis)
        if (!loaderChannel.hasSubscribers) return
        loaderChannel.publish({ table: plan.origin.name, split, rows: made.batch?.numRows ?? 0, waitMillis })
      },
      onEnd: (batches, rowsLeft) => {
        if (batches === 0) throw emptyDataset(plan, options, rowsLeft)
        this.#counters.ended()
      },
      monotonicMillis: () => clock.monotonicMillis(),
      token: (progress) => tokenOf(plan, options, epoch, progress),
    })
    return iterator
  }

  #open(how: { epoch: number; start: Progress; signal: AbortSignal; onChange: () => void }): EpochRun {
    const { options, plan } = this.#parts
    const empty = provedEmpty(plan, options)
    if (empty !== undefined) throw empty
    const decoder = this.#decoder.acquire()
    const run = startRun({
      plan,
      options,
      schema: this.schema,
      memory: this.#memory,
      epoch: how.epoch,
      start: how.start.next,
      decoder,
      signal: how.signal,
      onChange: how.onChange,
      onDecoded: (unit) => this.#counters.decoded(unit),
    })
    this.#running.add(run)
    const pinning = this.#pin()
    return {
      maker: run.maker,
      collect: run.collect,
      ready: options.pin === 'required' ? pinning : undefined,
      close: async (isLeft) => {
        run.stop()
        this.#running.delete(run)
        this.#counters.read(decoder.takeCounters())
        this.#peakResidentBytes = Math.max(this.#peakResidentBytes, run.budget.peakBytes)
        await this.#decoder.release(isLeft)
      },
    }
  }

  /** Once: the first epoch pins the snapshot while it reads. */
  #pin(): Promise<Pin | undefined> {
    const { options, table, snapshot, clock } = this.#parts
    if (options.pin === false || table === undefined || snapshot === undefined) return Promise.resolve(undefined)
    const mode = options.pin
    this.#pinning ??= pinSnapshot(table, snapshot, { mode, clock, signal: this.#signal }).then(
      (pin) => {
        this.#pinned = pin?.tag
        return pin
      },
      (error: unknown) => {
        this.#pinning = undefined // the next epoch tries again
        throw error
      },
    )
    this.#pinning.catch(() => {}) // told where the tag is required
    return this.#pinning
  }

  async #countRows(): Promise<number> {
    const { plan } = this.#parts
    const { transform: _transform, ...read } = plan.read
    const decoder = decoderMaker({ ...this.#parts, setup: { ...read, columns: [] }, schema: new ArrowSchema([]) })()
    try {
      return await countRows(plan, decoder, this.#signal)
    } finally {
      await decoder.close()
    }
  }
}

/** As metrics name it. */
const splitName = ({ split }: ResolvedOptions): string =>
  split === undefined ? 'all' : `${split.column}[${split.from},${split.to})/${split.buckets}`
