/** Several datasets as one: each batch comes from one of them, in fixed proportions. */
import type { Schema as ArrowSchema, RecordBatch } from 'apache-arrow'
import { FirnError } from '../table/errors.ts'
import {
  countBatches,
  datasetEpoch,
  type LoadedMember,
  MAX_MIX_EPOCH,
  type MixProgress,
  type MixSource,
  mixRun,
  type StoppingStrategy,
} from './mix/run.ts'
import { weightsOf } from './mix/schedule.ts'
import { decodeMixState, encodeMixState, type MixState } from './mix/state.ts'
import { checkNames, invalid } from './options.ts'
import { decoderClosed } from './read/decoder.ts'
import { type TensorFlow, type TFDataset, type TFDatasetOptions, toTFDataset } from './tensors/tfjs.ts'

export interface MixPart {
  readonly dataset: MixSource
  /** Above 0. Its relation to the others counts: 0.8 and 0.2 are 4 and 1. */
  readonly proportion: number
}

export interface MixOptions {
  /** Of the order in which the datasets take turns, 0 to 2^53 - 1; default 0. Each dataset has a seed of its own. */
  readonly seed?: number | undefined
  /**
   * `first_exhausted` (default): an epoch ends where a dataset should give a batch and has none left.
   * `all_exhausted`: such a dataset goes on with another pass, in another order, until each was exhausted once.
   */
  readonly stoppingStrategy?: StoppingStrategy | undefined
}

export interface MixStats {
  readonly batches: number
  readonly rows: number
  readonly datasets: readonly {
    readonly batches: number
    readonly rows: number
    /** Times that it went on from the beginning within an epoch. */
    readonly repeats: number
    /** Its own. */
    readonly stats: unknown
  }[]
}

/** The batches of an epoch. `return()`, which leaving a `for await` calls, stops what still runs. */
export interface MixIterator extends AsyncIterableIterator<RecordBatch, void, undefined> {
  return(): Promise<IteratorResult<RecordBatch, void>>
  /** A token for `loadStateDict`: goes on behind the last batch that this iteration delivered. */
  stateDict(): string
}

const MAX_DATASETS = 64
/** Steps that finding the number of batches may take; some 100 ms. */
const MAX_COUNTED = 2e6

/**
 * A mix of datasets whose batches have the same columns. Among the first n batches of an epoch are n times its
 * proportion of each dataset, less than one more or less, for every n. It owns the datasets: they are closed with it.
 * @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_SCHEMA_MISMATCH` (invalid).
 */
export function mix(parts: readonly MixPart[], options: MixOptions = {}): Mix {
  return new Mix(parts, options)
}

interface Resumed {
  readonly state: MixState
  readonly members: readonly LoadedMember[]
}

/** Made by `mix`; close it with `await mixed[Symbol.asyncDispose]()`. */
export class Mix implements AsyncDisposable {
  /** Of every batch. */
  readonly schema: ArrowSchema
  readonly #sources: readonly MixSource[]
  readonly #weights: readonly number[]
  readonly #seed: number
  readonly #stoppingStrategy: StoppingStrategy
  readonly #closing = new AbortController()
  readonly #given: { batches: number; rows: number; repeats: number }[]
  #counted: { readonly key: string; readonly batches: number | undefined } | undefined
  #token: () => string
  #resume: Resumed | undefined
  #nextEpoch = 0

  /** Use `mix`. */
  constructor(parts: readonly MixPart[], options: MixOptions) {
    checkNames('mix', options, ['seed', 'stoppingStrategy'])
    if (!Array.isArray(parts) || parts.length === 0 || parts.length > MAX_DATASETS) {
      throw invalid('mix', `a list of 1 to ${MAX_DATASETS} datasets`, parts?.length)
    }
    parts.forEach((part, index) => {
      checkNames(`mix[${index}]`, part, ['dataset', 'proportion'])
      if (typeof part.dataset?.epoch !== 'function')
        throw invalid(`mix[${index}].dataset`, 'an open dataset', part.dataset)
    })
    const { seed = 0, stoppingStrategy = 'first_exhausted' } = options
    if (!Number.isSafeInteger(seed) || seed < 0) throw invalid('seed', 'an integer from 0 to 2^53 - 1', seed)
    if (stoppingStrategy !== 'first_exhausted' && stoppingStrategy !== 'all_exhausted') {
      throw invalid('stoppingStrategy', "'first_exhausted' or 'all_exhausted'", stoppingStrategy)
    }
    this.#sources = parts.map(({ dataset }) => dataset)
    if (new Set(this.#sources).size < parts.length) throw invalid('mix', 'each dataset once', 'one twice')
    this.#weights = weightsOf(parts.map(({ proportion }) => proportion))
    this.#seed = seed
    this.#stoppingStrategy = stoppingStrategy
    this.schema = commonSchema(this.#sources)
    this.#given = parts.map(() => ({ batches: 0, rows: 0, repeats: 0 }))
    this.#token = () => this.#iterate(0, undefined).stateDict()
  }

  /** Batches of an epoch; undefined while that of a dataset is. */
  get numBatches(): number | undefined {
    const counts = this.#sources.map(({ numBatches }) => numBatches)
    const key = counts.join()
    if (this.#counted?.key !== key) {
      const how = { weights: this.#weights, seed: this.#seed, stoppingStrategy: this.#stoppingStrategy }
      this.#counted = { key, batches: countBatches(counts, how, MAX_COUNTED) }
    }
    return this.#counted.batches
  }

  /**
   * The batches of epoch `epoch`, an integer from 0 to 65,535; default: the epoch of the token that was loaded, later
   * the one after that of the last call. Each dataset gives its own epoch of that number, and further passes of
   * `all_exhausted` in orders that no other epoch of the mix has. Datasets must not be iterated otherwise meanwhile.
   * @throws {FirnError} `FIRN_INVALID_OPTION`. Iterating also throws `FIRN_DATASET_EMPTY`, `FIRN_MIX_TOO_LONG`
   *   (invalid), and what the datasets throw.
   */
  epoch(epoch?: number, options: { readonly signal?: AbortSignal | undefined } = {}): MixIterator {
    const number = epoch ?? this.#nextEpoch
    if (!Number.isSafeInteger(number) || number < 0 || number > MAX_MIX_EPOCH) {
      throw invalid('epoch', `an integer from 0 to ${MAX_MIX_EPOCH}`, epoch)
    }
    this.#nextEpoch = number + 1
    const resumed = this.#resume?.state.epoch === number ? this.#resume : undefined
    if (resumed !== undefined) this.#resume = undefined
    const iterator = this.#iterate(number, resumed, options.signal)
    this.#token = iterator.stateDict
    return iterator
  }

  /** A token that goes on behind the last batch which the iteration that began last delivered: some 170 characters and 140 a dataset. */
  stateDict(): string {
    return this.#token()
  }

  /**
   * The next `epoch()` goes on with the batch behind those that were delivered when the token was made.
   * @throws {FirnError} `FIRN_TOKEN_INVALID`; `FIRN_TOKEN_MISMATCH` when the mix or one of its datasets is another one
   *   (invalid).
   */
  async loadStateDict(token: string): Promise<{ readonly epoch: number }> {
    const state = decodeMixState(token)
    this.#checkState(state)
    const members: LoadedMember[] = []
    for (const [index, source] of this.#sources.entries()) {
      const member = state.datasets[index]!
      const at = await source.loadStateDict(member.token)
      const expected = datasetEpoch(state.epoch, member.passes)
      // A dataset that is through an epoch says so by the beginning of the next one.
      const isEnded = at.epoch === expected + 1 && at.batches === 0
      if (at.epoch !== expected && !isEnded)
        throw mismatch(`dataset ${index} is at its epoch ${at.epoch}, not ${expected}`)
      members.push({ ...member, isEnded })
    }
    this.#resume = { state, members }
    this.#nextEpoch = state.epoch
    this.#token = () => token
    return { epoch: state.epoch }
  }

  /** For `model.fitDataset`, as that of a dataset. */
  toTFDataset<T>(tf: TensorFlow<T>, options: TFDatasetOptions<T>): TFDataset<T> {
    return toTFDataset(this, tf, options)
  }

  /** Since the mix was made. */
  stats(): MixStats {
    const datasets = this.#given.map((given, index) => ({ ...given, stats: this.#sources[index]!.stats?.() }))
    const sum = (key: 'batches' | 'rows'): number => this.#given.reduce((total, given) => total + given[key], 0)
    return { batches: sum('batches'), rows: sum('rows'), datasets }
  }

  /** Plain JSON, to be kept beside the model. */
  provenance(): { readonly mix: object; readonly datasets: readonly unknown[] } {
    const how = { seed: this.#seed, stoppingStrategy: this.#stoppingStrategy, weights: [...this.#weights] }
    return { mix: how, datasets: this.#sources.map((source) => source.provenance?.()) }
  }

  /** Ends the iterations that still run and closes the datasets. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(decoderClosed())
    await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()))
  }

  #iterate(epoch: number, resumed: Resumed | undefined, signal?: AbortSignal): MixIterator {
    const leaving = new AbortController()
    const run = mixRun({
      sources: this.#sources,
      weights: this.#weights,
      seed: this.#seed,
      stoppingStrategy: this.#stoppingStrategy,
      epoch,
      from: resumed && { point: resumed.state.point, members: resumed.members },
      signal: AbortSignal.any([this.#closing.signal, leaving.signal, ...(signal === undefined ? [] : [signal])]),
      onDelivered: (dataset, batch) => {
        const given = this.#given[dataset]!
        given.batches++
        given.rows += batch.numRows
      },
      onRepeat: (dataset) => {
        this.#given[dataset]!.repeats++
      },
    })
    const batches = run.batches()
    const iterator: MixIterator = {
      next: () => batches.next(),
      return: () => {
        leaving.abort(new DOMException('the iteration was left', 'AbortError'))
        return batches.return()
      },
      stateDict: () => this.#stateOf(epoch, run.progress()),
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  #stateOf(epoch: number, { point, members, isOver }: MixProgress): string {
    if (isOver) return this.#iterate(epoch + 1, undefined).stateDict()
    const how = { seed: this.#seed, stoppingStrategy: this.#stoppingStrategy, weights: this.#weights }
    return encodeMixState({ ...how, epoch, point, datasets: members })
  }

  #checkState(state: MixState): void {
    const differences: string[] = []
    const compare = (what: string, its: unknown, ours: unknown): void => {
      if (String(its) !== String(ours)) differences.push(`${what} was ${its}, is ${ours}`)
    }
    compare('the proportions', state.weights.join(':'), this.#weights.join(':'))
    compare('the seed', state.seed, this.#seed)
    compare('the stopping strategy', state.stoppingStrategy, this.#stoppingStrategy)
    if (differences.length > 0) throw mismatch(differences.join('; '))
  }
}

const mismatch = (why: string): FirnError =>
  new FirnError('invalid', 'FIRN_TOKEN_MISMATCH', `the resume token is of another mix: ${why}`, {
    help: 'Make the mix as it was: the same datasets in the same order, proportions, seed and stopping strategy.',
  })

/** @throws {FirnError} `FIRN_SCHEMA_MISMATCH` (invalid): names and types of columns must be equal. */
function commonSchema(sources: readonly MixSource[]): ArrowSchema {
  const [first, ...others] = sources.map(({ schema }) => schema)
  const describe = (schema: ArrowSchema): string => schema.fields.map(({ name, type }) => `${name} ${type}`).join(', ')
  const expected = describe(first!)
  others.forEach((schema, index) => {
    if (describe(schema) === expected) return
    const message = `dataset ${index + 1} of the mix has other columns than dataset 0: expected ${expected}; got ${describe(schema)}`
    throw new FirnError('invalid', 'FIRN_SCHEMA_MISMATCH', message, {
      detail: { dataset: index + 1 },
      help: 'Choose the same `columns`, in tables that agree on their types, or make them alike with `transform`.',
    })
  })
  return first!
}
