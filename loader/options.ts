/** What `openDataset` takes, and what it makes of it: every choice filled in, every value checked. */
import type { Clock } from '../table/clock.ts'
import type {
  AllowedLocations,
  Catalog,
  Expression,
  ObjectStore,
  SnapshotSelector,
  StoreOptions,
} from '../table/index.ts'
import { checkNames, checkPlain, integer, invalid, isText, oneOf, sizeBytes } from './options/check.ts'
import {
  checkAllowed,
  type DeltaRange,
  filterOf,
  isUrl,
  type Origin,
  originOf,
  type SplitRange,
  snapshotOf,
  splitOf,
} from './options/origin.ts'
import {
  attemptsOf,
  batchOf,
  cacheOf,
  type ResolvedBatch,
  type ResolvedCache,
  type ResolvedShuffle,
  type ResolvedTransform,
  shardOf,
  shuffleOf,
  transformOf,
} from './options/run.ts'

export { checkNames, invalid } from './options/check.ts'
export type { DeltaRange, Origin, SplitRange } from './options/origin.ts'
export {
  DEFAULT_BLOCK_BYTES,
  type ResolvedBatch,
  type ResolvedCache,
  type ResolvedShuffle,
  type ResolvedTransform,
} from './options/run.ts'

export interface DatasetOptions {
  /**
   * URL of the warehouse, or an opened store. Worker threads open the warehouse themselves, so they need the URL.
   * Not needed when `table` is a location or `catalog` is given.
   */
  readonly warehouse?: string | ObjectStore | undefined
  /** How the warehouse or the folder is opened, here and in worker threads. */
  readonly storeOptions?: Omit<StoreOptions, 'clock'> | undefined
  /** An opened catalog in the place of `warehouse`: of `openCatalog` or `openRestCatalog`. */
  readonly catalog?: Catalog | undefined
  /** `namespace.table`, or the URL of a table's folder or of one of its metadata files. */
  readonly table?: string | undefined
  /**
   * Places outside of the table's folder that it may have files in: the folder's URL and a store rooted there, as
   * `loadTable` takes them. Worker threads cannot use opened stores, so this thread reads. Default: none.
   */
  readonly allowedLocations?: AllowedLocations | undefined
  /** URL or path of a folder of plain Parquet files, in the place of `table`. */
  readonly folder?: string | undefined
  /**
   * The snapshot to read for as long as the dataset is open, whatever is committed meanwhile. Default: the one that is
   * current when it is opened. A time means the snapshot that was current then; `{ after, upTo }` the rows that came
   * between two snapshots.
   */
  readonly snapshot?: SnapshotOption | undefined
  /** Columns to read; default: all. Batches have them in the order of the table's schema. */
  readonly columns?: readonly string[] | undefined
  /** Only rows for which it is true: text as `firn scan --where` takes it, or a parsed condition. */
  readonly filter?: string | Expression | undefined
  /** Only the rows whose column falls into some of the buckets of Iceberg's `bucket[buckets](column)`. */
  readonly split?: SplitOptions | undefined
  /** Default: `{ seed: 0 }`. `false`: files by path, rows as they stand in them. */
  readonly shuffle?: ShuffleOptions | false | undefined
  readonly batch: BatchOptions
  /** Leave out the last batch of an epoch when it is not full. Default `false`. */
  readonly dropLast?: boolean | undefined
  /** This process's share of every batch. Default: all of it. */
  readonly shard?: ShardOptions | undefined
  /**
   * Worker threads that read and decode, 0 to 64; 0: this thread does it. Default 1, because training holds this
   * thread for the length of a step and nothing could be decoded meanwhile; 0 where workers cannot see the data: a
   * warehouse in memory, one given as an opened store, or a catalog over one (without `storeOptions`); and with
   * `allowedLocations`.
   */
  readonly numWorkers?: number | undefined
  /** Batches made ahead of the consumer, 0 to 1024. Default 2. */
  readonly prefetchBatches?: number | undefined
  /** Memory for rows, in bytes or like `'512MB'`, which is the default. It never changes the order. */
  readonly memoryLimit?: number | string | undefined
  /** Keeps what was read of the store in a folder of this computer. */
  readonly cache?: CacheOptions | undefined
  /** Module that turns rows into the columns of a batch, run by the worker threads. */
  readonly transform?: URL | string | TransformSpec | undefined
  /** What damaged row groups do: end the iteration (default), or be left out and counted. */
  readonly onError?: 'raise' | 'skip' | undefined
  readonly retry?: RetryOptions | undefined
  /**
   * A tag that keeps the snapshot from expiry while the dataset is in use. Default `'auto'`: tried; `'required'`:
   * without it nothing is read.
   */
  readonly pin?: 'auto' | 'required' | false | undefined
  /** Ends the dataset: every iteration fails with its reason and the worker threads stop. */
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
}

/** Exactly one; `{ after, upTo }` is a delta: the rows after one snapshot, up to and with another (default: current). */
export type SnapshotOption =
  | { readonly id: bigint | string }
  | { readonly tag: string }
  /** Milliseconds since the epoch, or a `Date`. */
  | { readonly asOf: number | Date }
  | { readonly after: SnapshotPoint; readonly upTo?: SnapshotPoint | undefined }

/** A snapshot by its id, as a bigint or its digits, or by a tag. */
export type SnapshotPoint = bigint | string | { readonly tag: string }

export interface SplitOptions {
  /** Of a type that Iceberg's bucket takes: no float, no boolean, nothing nested. Rows without a value are in no bucket. */
  readonly column: string
  readonly buckets: number
  /** Buckets [from, to). */
  readonly include: readonly [from: number, to: number]
}

export interface ShuffleOptions {
  /** Integer, 0 to 2^53 - 1. Same seed, same snapshot, same epoch: same order. */
  readonly seed: number
  readonly algorithm?: 'block-v1' | undefined
  /** Decoded bytes that are mixed with each other, or a text like `'272MiB'`, which is the default. Part of the order. */
  readonly blockBytes?: number | string | undefined
}

export type BatchOptions =
  /** Rows over all ranks, 1 to 1,048,576. */
  | { readonly size: number }
  /** As many rows of like length as fit a budget once they are padded. */
  | {
      /** Of a batch, padding included. */
      readonly maxTokens: number
      /** Lengths that part the rows, ascending. Default: none, all rows are alike. */
      readonly bucketBoundaries?: readonly number[] | undefined
      /** Lengths are rounded up to a multiple of it. Default 1. */
      readonly padToMultipleOf?: number | undefined
      /** Column of lengths, or of lists whose length counts; read and delivered too. Default `word_count`. */
      readonly lengthColumn?: string | undefined
    }

export interface ShardOptions {
  readonly rank: number
  readonly worldSize: number
}

export interface CacheOptions {
  /** Absolute path or `file:` URL. */
  readonly dir: string
  /** In bytes or like `'20GB'`, which is the default. */
  readonly limit?: number | string | undefined
}

export interface TransformSpec {
  /** URL, absolute path or package. */
  readonly module: URL | string
  /** Plain data for it. */
  readonly options?: unknown
}

export interface RetryOptions {
  /** Tries of a read that the store did not answer, 1 to 100. Default 5. */
  readonly attempts: number
}

const DEFAULT_PREFETCH_BATCHES = 2
const DEFAULT_MEMORY_BYTES = 512e6

export interface ResolvedOptions {
  readonly origin: Origin
  /** Of the snapshot that is read; of a delta its `upTo`. */
  readonly selector: SnapshotSelector
  readonly delta: DeltaRange | undefined
  readonly columns: readonly string[] | undefined
  readonly filter: string | Expression | undefined
  readonly split: SplitRange | undefined
  readonly shuffle: ResolvedShuffle | undefined
  readonly batch: ResolvedBatch
  readonly dropLast: boolean
  readonly shard: Required<ShardOptions>
  readonly numWorkers: number
  readonly prefetchBatches: number
  readonly memoryLimitBytes: number
  readonly cache: ResolvedCache | undefined
  readonly transform: ResolvedTransform | undefined
  readonly onError: 'raise' | 'skip'
  readonly retry: RetryOptions
  readonly pin: 'auto' | 'required' | false
}

/** Every option of `openDataset`: a name that is none of these is a mistake. */
const NAMES: readonly (keyof DatasetOptions)[] = [
  'warehouse',
  'storeOptions',
  'catalog',
  'table',
  'allowedLocations',
  'folder',
  'snapshot',
  'columns',
  'filter',
  'split',
  'shuffle',
  'batch',
  'dropLast',
  'shard',
  'numWorkers',
  'prefetchBatches',
  'memoryLimit',
  'cache',
  'transform',
  'onError',
  'retry',
  'pin',
  'signal',
  'clock',
]

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid), naming what is allowed. */
export function resolveOptions(options: DatasetOptions): ResolvedOptions {
  checkNames('openDataset', options, NAMES)
  const { allowedLocations, columns, signal } = options
  checkAllowed(allowedLocations)
  const origin = originOf(options)
  if (columns !== undefined && !(Array.isArray(columns) && columns.length > 0 && columns.every(isText))) {
    throw invalid('columns', 'at least one column name, or no option for all', columns)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', signal)
  const batch = batchOf(options.batch)
  const numWorkers = workersOf(options, origin)
  checkStoreOptions(options.storeOptions, numWorkers)
  const snapshot = snapshotOf(options.snapshot)
  const isDelta = 'after' in snapshot
  return {
    origin,
    selector: isDelta ? snapshot.upTo : snapshot,
    delta: isDelta ? snapshot : undefined,
    columns,
    filter: filterOf(options.filter),
    split: splitOf(options.split),
    shuffle: shuffleOf(options.shuffle),
    batch,
    dropLast: oneOf('dropLast', options.dropLast ?? false, [true, false]),
    shard: shardOf(options.shard, batch),
    numWorkers,
    prefetchBatches: integer('prefetchBatches', options.prefetchBatches ?? DEFAULT_PREFETCH_BATCHES, 0, 1024),
    memoryLimitBytes: sizeBytes('memoryLimit', options.memoryLimit ?? DEFAULT_MEMORY_BYTES),
    cache: cacheOf(options.cache),
    transform: transformOf(options.transform),
    onError: oneOf('onError', options.onError ?? 'raise', ['raise', 'skip']),
    retry: { attempts: attemptsOf(options.retry) },
    pin: oneOf('pin', options.pin ?? 'auto', ['auto', 'required', false]),
  }
}

function checkStoreOptions(storeOptions: unknown, numWorkers: number): void {
  if (storeOptions === undefined) return
  if (typeof storeOptions !== 'object' || storeOptions === null)
    throw invalid('storeOptions', 'an object', storeOptions)
  if (numWorkers > 0)
    checkPlain('storeOptions', storeOptions, 'plain data, which worker threads can be given, or numWorkers: 0')
}

function workersOf(options: DatasetOptions, origin: Origin): number {
  const { warehouse, catalog, storeOptions, allowedLocations, numWorkers } = options
  if (allowedLocations !== undefined) {
    const count = integer('numWorkers', numWorkers ?? 0, 0, 64)
    if (count === 0) return count
    throw invalid('numWorkers', '0 beside `allowedLocations`, which are opened stores', count)
  }
  // Where a catalog's table lies is known once it is loaded.
  if (catalog !== undefined) {
    const knows = catalog.kind === 'rest' || storeOptions !== undefined
    return integer('numWorkers', numWorkers ?? (knows ? 1 : 0), 0, 64)
  }
  const place = origin.kind === 'folder' ? origin.url : isUrl(origin.table) ? origin.table : warehouse
  const reachable = typeof place === 'string' && !inMemory(place)
  const count = integer('numWorkers', numWorkers ?? (reachable ? 1 : 0), 0, 64)
  if (count === 0 || reachable) return count
  throw unreachableWorkers(count)
}

export const inMemory = (url: string): boolean => url.toLowerCase().startsWith('memory:')

export const unreachableWorkers = (count: number): ReturnType<typeof invalid> =>
  invalid('numWorkers', '0 when the warehouse is in memory or given as an opened store', count)
