/** What `openDataset` takes, and what it makes of it: every choice filled in, every value checked. */
import type { Clock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import { epochMillis, type ObjectStore, type SnapshotSelector, type StoreOptions, snapshotId } from '../table/index.ts'

export interface DatasetOptions {
  /**
   * URL of the warehouse, or an opened store. Worker threads open the warehouse themselves, so they need the URL.
   * Not needed when `table` is a location.
   */
  readonly warehouse?: string | ObjectStore | undefined
  /** How the warehouse is opened, here and in worker threads. */
  readonly storeOptions?: Omit<StoreOptions, 'clock'> | undefined
  /** `namespace.table`, or the URL of a table's folder or of one of its metadata files. */
  readonly table: string
  /**
   * The snapshot to read for as long as the dataset is open, whatever is committed meanwhile. Default: the one that is
   * current when it is opened. A time means the snapshot that was current then.
   */
  readonly snapshot?: SnapshotOption | undefined
  /** Columns to read; default: all. Batches have them in the order of the table's schema. */
  readonly columns?: readonly string[] | undefined
  /** Default: `{ seed: 0 }`. `false`: files by path, rows as they stand in them. */
  readonly shuffle?: ShuffleOptions | false | undefined
  readonly batch: BatchOptions
  /** Leave out the last batch of an epoch when it is not full. Default `false`. */
  readonly dropLast?: boolean | undefined
  /**
   * Worker threads that read and decode, 0 to 64; 0: this thread does it. Default 1, because training holds this
   * thread for the length of a step and nothing could be decoded meanwhile; 0 where workers cannot see the data: a
   * warehouse in memory, or one given as an opened store.
   */
  readonly numWorkers?: number | undefined
  /** Batches made ahead of the consumer, 0 to 1024. Default 2. */
  readonly prefetchBatches?: number | undefined
  /** Ends the dataset: every iteration fails with its reason and the worker threads stop. */
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
}

/** Exactly one. */
export type SnapshotOption =
  | { readonly id: bigint | string }
  | { readonly tag: string }
  /** Milliseconds since the epoch, or a `Date`. */
  | { readonly asOf: number | Date }

export interface ShuffleOptions {
  /** The only one so far. Its orders may still change between versions; a stable one will have another name. */
  readonly algorithm?: 'preview' | undefined
  /** Integer, 0 to 2^53 - 1. Same seed, same snapshot, same epoch: same order. */
  readonly seed: number
  /**
   * Row groups that are mixed with each other, 1 to 4096; part of the order. Default 16. Two such blocks are in memory
   * at a time: with row groups of 2,048 articles of 5 kB, 16 of them are about 170 MB.
   */
  readonly blockRowGroups?: number | undefined
}

export interface BatchOptions {
  /** Rows, 1 to 1,048,576. */
  readonly size: number
}

export const DEFAULT_BLOCK_ROW_GROUPS = 16
const DEFAULT_PREFETCH_BATCHES = 2

export interface ResolvedOptions {
  readonly selector: SnapshotSelector
  readonly columns: readonly string[] | undefined
  readonly shuffle: Required<{ [K in keyof ShuffleOptions]: NonNullable<ShuffleOptions[K]> }> | undefined
  readonly batchSize: number
  readonly dropLast: boolean
  readonly numWorkers: number
  readonly prefetchBatches: number
}

/** Every option of `openDataset`, by group: a name that is none of these is a mistake. */
const NAMES = {
  options: [
    'warehouse',
    'storeOptions',
    'table',
    'snapshot',
    'columns',
    'shuffle',
    'batch',
    'dropLast',
    'numWorkers',
    'prefetchBatches',
    'signal',
    'clock',
  ],
  snapshot: ['id', 'tag', 'asOf'],
  shuffle: ['algorithm', 'seed', 'blockRowGroups'],
  batch: ['size'],
} as const

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid), naming what is allowed. */
export function resolveOptions(options: DatasetOptions): ResolvedOptions {
  checkNames('openDataset', options, NAMES.options)
  const { table, columns, dropLast = false, signal } = options
  if (typeof table !== 'string' || table === '') throw invalid('table', 'namespace.table or a URL', table)
  if (columns !== undefined && !(Array.isArray(columns) && columns.length > 0 && columns.every(isText))) {
    throw invalid('columns', 'at least one column name, or no option for all', columns)
  }
  if (typeof dropLast !== 'boolean') throw invalid('dropLast', 'true or false', dropLast)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', signal)
  checkNames('batch', options.batch, NAMES.batch)
  checkWarehouse(options.warehouse)
  const numWorkers = workersOf(options)
  checkStoreOptions(options.storeOptions, numWorkers)
  return {
    selector: selectorOf(options.snapshot),
    columns,
    shuffle: shuffleOf(options.shuffle),
    batchSize: integer('batch.size', options.batch.size, 1, 1_048_576),
    dropLast,
    numWorkers,
    prefetchBatches: integer('prefetchBatches', options.prefetchBatches ?? DEFAULT_PREFETCH_BATCHES, 0, 1024),
  }
}

function selectorOf(snapshot: SnapshotOption | undefined): SnapshotSelector {
  if (snapshot === undefined) return {}
  checkNames('snapshot', snapshot, NAMES.snapshot)
  if (Object.keys(snapshot).length !== 1) throw invalid('snapshot', '{ id }, { tag } or { asOf }', snapshot)
  if ('tag' in snapshot) {
    if (typeof snapshot.tag !== 'string' || snapshot.tag === '') throw invalid('snapshot.tag', 'a name', snapshot.tag)
    return { ref: snapshot.tag }
  }
  if ('asOf' in snapshot) {
    // Only a Date: Number would make 0 of null and of an empty text, which is a time.
    const asOf: unknown = snapshot.asOf instanceof Date ? snapshot.asOf.getTime() : snapshot.asOf
    if (typeof asOf !== 'number') throw invalid('snapshot.asOf', 'milliseconds since the epoch or a Date', asOf)
    return { asOf: epochMillis(integer('snapshot.asOf', asOf, 0, Number.MAX_SAFE_INTEGER)) }
  }
  const { id } = snapshot
  if (typeof id === 'bigint') return { snapshotId: snapshotId(id) }
  if (typeof id === 'string' && /^-?\d{1,19}$/.test(id)) return { snapshotId: snapshotId(BigInt(id)) }
  // A number has lost its last digits before it gets here.
  throw invalid('snapshot.id', 'a bigint or its decimal digits as a string', id)
}

function shuffleOf(shuffle: ShuffleOptions | false | undefined): ResolvedOptions['shuffle'] {
  if (shuffle === false) return undefined
  const given = shuffle ?? { seed: 0 }
  checkNames('shuffle', given, NAMES.shuffle)
  const { algorithm = 'preview', blockRowGroups = DEFAULT_BLOCK_ROW_GROUPS } = given
  if (algorithm !== 'preview') throw invalid('shuffle.algorithm', "'preview'", algorithm)
  return {
    algorithm,
    seed: integer('shuffle.seed', given.seed, 0, Number.MAX_SAFE_INTEGER),
    blockRowGroups: integer('shuffle.blockRowGroups', blockRowGroups, 1, 4096),
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

function checkWarehouse(warehouse: unknown): void {
  if (warehouse === undefined || isText(warehouse)) return
  const store = warehouse as Partial<ObjectStore> | null
  const opened = typeof store === 'object' && typeof store?.url === 'string' && typeof store.get === 'function'
  if (!opened) throw invalid('warehouse', 'the URL of a warehouse, or an opened store', warehouse)
}

function checkStoreOptions(storeOptions: unknown, numWorkers: number): void {
  if (storeOptions === undefined) return
  if (typeof storeOptions !== 'object' || storeOptions === null)
    throw invalid('storeOptions', 'an object', storeOptions)
  if (numWorkers === 0) return
  try {
    structuredClone(storeOptions)
  } catch {
    throw invalid('storeOptions', 'plain data, which worker threads can be given, or numWorkers: 0', storeOptions)
  }
}

function workersOf({ warehouse, table, numWorkers }: DatasetOptions): number {
  const url = typeof warehouse === 'object' ? undefined : /^[a-z0-9]+:\//i.test(table) ? table : warehouse
  const reachable = url !== undefined && !url.toLowerCase().startsWith('memory:')
  const count = integer('numWorkers', numWorkers ?? (reachable ? 1 : 0), 0, 64)
  if (count === 0 || reachable) return count
  throw invalid('numWorkers', '0 when the warehouse is in memory or given as an opened store', count)
}

export function checkNames(group: string, value: unknown, names: readonly string[]): void {
  if (typeof value !== 'object' || value === null) throw invalid(group, `{ ${names.join(', ')} }`, value)
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw invalid(`${group}: option "${name}"`, `one of ${names.join(', ')}`, name)
  }
}

function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(name, `an integer from ${least} to ${most}`, value)
}

export function invalid(what: string, expected: string, got: unknown): FirnError {
  const shown = textOf(got)
  return new FirnError('invalid', 'FIRN_INVALID_OPTION', `${what}: expected ${expected}, got ${shown.slice(0, 200)}`, {
    detail: { option: what },
    help: `Set it to ${expected}.`,
  })
}

function textOf(value: unknown): string {
  try {
    const text = JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? `${part}n` : (part as unknown)))
    return text ?? String(value)
  } catch {
    return `a value of type ${typeof value}` // it holds itself
  }
}
