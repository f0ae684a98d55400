/** What a landing run knows: where every chain stood when it was listed, and what became of each shard since. */
import { newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import type { SourceCounts, SourceShard, StreamStart } from '../source.ts'
import type { ChunkMeta } from '../staging/chunk.ts'
import { START_POSITION } from '../staging/positions.ts'
import {
  type ChunkRef,
  checkStreamName,
  listChunks,
  readChunkMeta,
  type StreamIncarnation,
} from '../staging/staging.ts'
import { ensureStart } from '../staging/stream-start.ts'
import { readCaughtUp, readRetention } from '../staging/stream-state.ts'
import { type ChainContext, defaultChunkLimits, type Instant, instantOf, ShardChain } from './chain.ts'
import { type Consequence, forEachBounded } from './for-each-bounded.ts'
import type { LandOptions } from './land.ts'
import { RunLimits } from './limits.ts'
import { isEverywhere, ShardFailures } from './shard-failures.ts'

/** What is known of a shard during the run. */
export interface ShardState {
  readonly chain: ShardChain
  /** Last chunk when the run listed the chain. */
  readonly lastChunk: ChunkMeta | undefined
  millisBehindLatest: number | null
  pendingBytes?: number
}

export interface Run {
  readonly options: LandOptions
  readonly context: ChainContext
  readonly limits: RunLimits
  readonly shardConcurrency: number
  /** The caller's signal and its stop: for reading, not for writing. */
  readonly reading: AbortSignal | undefined
  readonly start: StreamStart
  readonly startedMillis: EpochMillis
  readonly listedAt: Instant
  /** Last chunk of every chain, as listed at the run's start. */
  readonly heads: ReadonlyMap<string, ChunkRef>
  readonly caughtUp: ReadonlyMap<string, EpochMillis>
  /** Of the stream: now, and when it was last read to its tip; 0 and `undefined`: not known. */
  readonly retention: { readonly nowMillis: number; readonly thenMillis: number | undefined }
  readonly states: Map<string, ShardState>
  /** Shards that reached their tip in this run. */
  readonly reached: Map<string, EpochMillis>
  /** Shards whose turn came, whatever came of it. */
  readonly tried: Set<string>
  readonly failures: ShardFailures
  readonly countsBefore: SourceCounts
}

const DEFAULT_SHARD_CONCURRENCY = 8
const DEFAULT_OPEN_BYTES = 64 * 1024 * 1024
/** Small reads at once, at the run's start. */
const HEAD_CONCURRENCY = 16

export async function openRun(options: LandOptions): Promise<Run> {
  const { store, source, clock, signal, stop, failOnDataLoss = false, acceptGap = false } = options
  const countsBefore = source.counts?.() ?? { throttled: 0, expiredIterators: 0 }
  const limits = new RunLimits(options.budget ?? {}, { clock, stop })
  const shardConcurrency = options.shardConcurrency ?? DEFAULT_SHARD_CONCURRENCY
  const reading = stop === undefined ? signal : AbortSignal.any(signal === undefined ? [stop] : [signal, stop])
  reading?.throwIfAborted()
  const startedMillis = clock.nowMillis()
  const stream = checkStreamName(source.stream)
  const { created, retentionMillis = 0 } = await source.open({ signal: reading })
  const incarnation: StreamIncarnation = { stream, created }
  const start = await ensureStart(store, incarnation, source, { nowMillis: startedMillis, signal: reading })
  const caughtUp = source.listsEveryShard
    ? await readCaughtUp(store, incarnation, { signal })
    : new Map<string, EpochMillis>()
  const thenMillis = source.listsEveryShard ? await readRetention(store, incarnation, { signal }) : undefined
  const listedAt = instantOf(clock)
  const heads = new Map<string, ChunkRef>()
  for (const ref of await listChunks(store, incarnation, { signal })) heads.set(ref.shardId, ref)
  const context: ChainContext = {
    store,
    incarnation,
    clock,
    lander: newRunId(clock),
    limits: chunkLimits(options, shardConcurrency),
    admit: limits.admit,
    refuseGaps: failOnDataLoss && !acceptGap,
  }
  return {
    options,
    context,
    limits,
    shardConcurrency,
    reading,
    start,
    startedMillis,
    listedAt,
    heads,
    caughtUp,
    retention: { nowMillis: retentionMillis, thenMillis },
    states: new Map<string, ShardState>(),
    reached: new Map<string, EpochMillis>(),
    tried: new Set<string>(),
    failures: new ShardFailures(),
    countsBefore,
  }
}

/** Each shard read at a time has the same share of what may be gathered, so none waits for, or starves, another. */
function chunkLimits(options: LandOptions, shardConcurrency: number): ChainContext['limits'] {
  const { maxOpenBytes = DEFAULT_OPEN_BYTES, chunkLimits: wanted = defaultChunkLimits } = options
  if (!(maxOpenBytes >= 1)) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `maxOpenBytes must be at least 1, got ${maxOpenBytes}`)
  }
  const share = Math.max(Math.floor(maxOpenBytes / shardConcurrency), 1)
  return { maxRecords: wanted.maxRecords, maxBytes: Math.min(wanted.maxBytes, share) }
}

/** Read the last chunk of every listed chain, several at a time. One that cannot be read is its shard's own failure. */
export async function loadHeads(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const known = shards.filter(({ shardId }) => run.heads.has(shardId))
  const { signal } = run.options
  const onFailure = (_shard: SourceShard, error: unknown): Consequence => (isEverywhere(error) ? 'stop' : 'go-on')
  await forEachBounded(known, { concurrency: HEAD_CONCURRENCY, signal, onFailure }, async (shard) => {
    await stateOf(run, shard)
  })
}

export async function stateOf(run: Run, shard: SourceShard): Promise<ShardState> {
  const known = run.states.get(shard.shardId)
  if (known !== undefined) return known
  const { options, heads, context, listedAt } = run
  const head = heads.get(shard.shardId)
  const lastChunk = head && (await readChunkMeta(options.store, head, { signal: options.signal }))
  // Asked at each chunk: a parent may get its chain in this very run.
  const parents = (): string[] => shard.parents.filter((parent) => hasChain(run, parent))
  const chain = new ShardChain(context, { shardId: shard.shardId, parents, lastChunk }, listedAt, options.onProgress)
  const state: ShardState = { chain, lastChunk, millisBehindLatest: null }
  run.states.set(shard.shardId, state)
  return state
}

function hasChain(run: Run, shardId: string): boolean {
  if (run.heads.has(shardId)) return true
  const chain = run.states.get(shardId)?.chain
  return chain !== undefined && (chain.ended || chain.position !== START_POSITION)
}

/** Work on shards, several at a time; a failure is its shard's own, unless it is true of all. */
export async function forEachShard<T extends { readonly shardId: string }>(
  { options: { signal }, shardConcurrency, failures }: Run,
  shards: readonly T[],
  work: (shard: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const onFailure = ({ shardId }: T, error: unknown): Consequence => failures.add(shardId, error)
  await forEachBounded(shards, { concurrency: shardConcurrency, signal, onFailure }, async (shard, shardSignal) => {
    await work(shard, shardSignal)
    failures.succeeded()
  })
}

/** Shards that can be read and were not yet; those furthest behind first, so that runs with a budget serve them all. */
export async function readyShards(run: Run, shards: readonly SourceShard[]): Promise<SourceShard[]> {
  const listed = new Map(shards.map((shard) => [shard.shardId, shard]))
  const ready: SourceShard[] = []
  for (const shard of shards) {
    if (!run.tried.has(shard.shardId) && (await isReady(run, listed, shard))) ready.push(shard)
  }
  const readUntil = ({ shardId }: SourceShard): number =>
    Math.max(run.caughtUp.get(shardId) ?? 0, run.states.get(shardId)?.lastChunk?.maxArrivalMillis ?? 0)
  return ready.sort((a, b) => readUntil(a) - readUntil(b))
}

/** Records of a child come after all of its parents': it starts when every parent that is still listed has ended. */
async function isReady(run: Run, listed: ReadonlyMap<string, SourceShard>, shard: SourceShard): Promise<boolean> {
  for (const parentId of shard.parents) {
    const parent = listed.get(parentId)
    if (parent !== undefined && !(await hasEnded(run, parent))) return false
  }
  return true
}

async function hasEnded(run: Run, shard: SourceShard): Promise<boolean> {
  try {
    return (await stateOf(run, shard)).chain.ended
  } catch (error) {
    if (run.options.signal?.aborted || isEverywhere(error)) throw error
    return false // its last chunk cannot be read, as its own turn will say
  }
}

/**
 * Until when the shard is known to have lost nothing. One that was never begun had no record while a parent was open;
 * and as long as a parent is listed, nothing of it can have passed the retention.
 * @returns `undefined`: nothing is known, or nothing can be lost.
 */
export function knownUntil(
  run: Run,
  shard: SourceShard,
  listed: ReadonlySet<string> | undefined,
): EpochMillis | undefined {
  const own = run.caughtUp.get(shard.shardId)
  if (!isUnread(run, shard)) return own
  if (listed !== undefined && shard.parents.some((parent) => listed.has(parent))) return undefined
  const times = shard.parents.map((parent) =>
    Math.max(run.caughtUp.get(parent) ?? 0, run.states.get(parent)?.chain.newestArrivalMillis ?? 0),
  )
  const newest = Math.max(own ?? 0, ...times)
  return newest === 0 ? undefined : epochMillis(newest)
}

/** No record of it is in its chain. */
export const isUnread = (run: Run, { shardId }: SourceShard): boolean =>
  !run.heads.has(shardId) && (run.states.get(shardId)?.chain.position ?? START_POSITION) === START_POSITION
