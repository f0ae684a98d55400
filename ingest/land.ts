/**
 * One landing run: every shard of a source, parents before children, read up to the run's start into chunk chains.
 * Running it again, twice at once, or after a crash anywhere neither loses nor doubles a record (staging.ts says why).
 */
import { type Clock, newRunId } from '../table/clock.ts'
import type { EpochMillis } from '../table/ids.ts'
import type { AbortableOptions, ObjectStore } from '../table/io/object-store.ts'
import { type ChainContext, type ChainProgress, type ChunkLimits, defaultChunkLimits, ShardChain } from './chain.ts'
import type { ChunkMeta } from './chunk.ts'
import { type Consequence, forEachBounded } from './for-each-bounded.ts'
import { START_POSITION } from './positions.ts'
import { isEverywhere, ShardFailures } from './shard-failures.ts'
import type { RecordSource, SourceShard, StreamStart } from './source.ts'
import { type ChunkRef, checkStreamName, listChunks, readChunkMeta, type StreamIncarnation } from './staging.ts'
import { ensureStart } from './stream-start.ts'
import { readCaughtUp, writeCaughtUp } from './stream-state.ts'

export interface LandOptions extends AbortableOptions {
  /** The warehouse's root. */
  readonly store: ObjectStore
  readonly source: RecordSource
  readonly clock: Clock
  /** Shards read at a time, 1..64; default 8. Each holds about one chunk and one page in memory. */
  readonly shardConcurrency?: number
  readonly chunkLimits?: ChunkLimits
  /** Called after every chunk with what the run added to that shard so far. */
  readonly onProgress?: (progress: ChainProgress) => void
}

export interface ShardResult {
  readonly shardId: string
  /** Added by this run. */
  readonly records: number
  /** Newest landed position; `null` before the first record. */
  readonly lastSequenceNumber: string | null
  /** Where reading stopped; `null` for files and for shards that were not read. */
  readonly millisBehindLatest: number | null
  readonly ended: boolean
  /** File sources: trailing bytes left for the next run, because they are no whole line yet. */
  readonly pendingBytes?: number
}

export interface LandResult extends StreamIncarnation {
  readonly records: number
  /** Record data, uncompressed. */
  readonly bytes: number
  readonly chunks: number
  /** Places where records may have been lost, as reported by chunks of this run. */
  readonly gaps: readonly { readonly shardId: string; readonly after: string }[]
  readonly shards: readonly ShardResult[]
}

/** What is known of a shard during the run. */
interface ShardState {
  readonly chain: ShardChain
  /** Last chunk when the run listed the chain. */
  readonly lastChunk: ChunkMeta | undefined
  millisBehindLatest: number | null
  pendingBytes?: number
}

interface Run {
  readonly options: LandOptions
  readonly context: ChainContext
  readonly start: StreamStart
  readonly startedMillis: EpochMillis
  readonly listedAtMonotonic: number
  /** Last chunk of every chain, as listed at the run's start. */
  readonly heads: ReadonlyMap<string, ChunkRef>
  readonly caughtUp: ReadonlyMap<string, EpochMillis>
  readonly states: Map<string, ShardState>
  /** Shards that reached their tip in this run. */
  readonly reached: Map<string, EpochMillis>
  /** Shards whose turn came, whatever came of it. */
  readonly tried: Set<string>
  readonly failures: ShardFailures
}

/**
 * A shard that fails does not keep the others from landing; the run throws once those are done. It ends early when the
 * failure is true of all: credentials, permissions, the store, a stream that does not answer.
 * @throws {FirnError} what the source and the store throw: `FIRN_STREAM_NOT_FOUND`, `FIRN_FILE_NOT_FOUND`,
 *   `FIRN_FILE_CHANGED`, `FIRN_STREAM_UNAVAILABLE`, `FIRN_STORE_UNAVAILABLE`, `FIRN_CHUNK_CORRUPT`, …; when several
 *   shards failed, the most severe, with their names; `FIRN_START_INVALID`, `FIRN_START_DIFFERS` before anything is
 *   written. On abort, at once, `signal.reason`; what is not in a chunk then is read again by the next run.
 */
export async function land(options: LandOptions): Promise<LandResult> {
  const run = await openRun(options)
  const { source, signal } = options
  const shards = await source.listShards({ signal })
  if (source.listsEveryShard) await endVanished(run, shards)
  const listed = await landShards(run, shards)
  const failure = run.failures.combined({ notTried: listed.filter(({ shardId }) => !run.tried.has(shardId)).length })
  if (failure === undefined) {
    await noteCaughtUp(run, listed)
    return summarize(run)
  }
  // Tips that were reached count, though the run fails; without them a later run may suspect a gap, no more.
  if (run.failures.consequence !== 'stop') await noteCaughtUp(run, listed).catch(() => {})
  signal?.throwIfAborted()
  throw failure
}

/** Every shard that can be read now, and those that can when their parents have ended. @returns the last listing. */
async function landShards(run: Run, listed: readonly SourceShard[]): Promise<readonly SourceShard[]> {
  const { source, signal } = run.options
  let shards = listed
  while (run.failures.consequence === 'go-on') {
    const ready: SourceShard[] = []
    for (const shard of shards) {
      if (!run.tried.has(shard.shardId) && (await isReady(run, shards, shard))) ready.push(shard)
    }
    if (ready.length === 0) break
    let anyEnded = false
    await forEachShard(run, ready, async (shard, shardSignal) => {
      run.tried.add(shard.shardId)
      if (await landShard(run, shard, shardSignal)) anyEnded = true
    })
    // A shard that ended in this run may have had children since we listed.
    if (anyEnded) shards = await source.listShards({ signal })
  }
  return shards
}

async function forEachShard<T extends { readonly shardId: string }>(
  { options: { shardConcurrency = 8, signal }, failures }: Run,
  shards: readonly T[],
  work: (shard: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const onFailure = ({ shardId }: T, error: unknown): Consequence => failures.add(shardId, error)
  await forEachBounded(shards, { concurrency: shardConcurrency, signal, onFailure }, async (shard, shardSignal) => {
    await work(shard, shardSignal)
    failures.succeeded()
  })
}

async function openRun(options: LandOptions): Promise<Run> {
  const { store, source, clock, signal } = options
  const startedMillis = clock.nowMillis()
  const stream = checkStreamName(source.stream)
  const { created } = await source.open({ signal })
  const incarnation: StreamIncarnation = { stream, created }
  const start = await ensureStart(store, incarnation, source, { nowMillis: startedMillis, signal })
  const caughtUp = source.listsEveryShard ? await readCaughtUp(store, incarnation, { signal }) : new Map()
  const listedAtMonotonic = clock.monotonicMillis()
  const heads = new Map<string, ChunkRef>()
  for (const ref of await listChunks(store, incarnation, { signal })) heads.set(ref.shardId, ref)
  const limits = options.chunkLimits ?? defaultChunkLimits
  const context: ChainContext = { store, incarnation, clock, lander: newRunId(clock), limits }
  const states = new Map<string, ShardState>()
  const reached = new Map<string, EpochMillis>()
  const [tried, failures] = [new Set<string>(), new ShardFailures()]
  return {
    options,
    context,
    start,
    startedMillis,
    listedAtMonotonic,
    heads,
    caughtUp,
    states,
    reached,
    tried,
    failures,
  }
}

async function stateOf(run: Run, shard: SourceShard): Promise<ShardState> {
  const known = run.states.get(shard.shardId)
  if (known !== undefined) return known
  const { options, heads, context, listedAtMonotonic } = run
  const head = heads.get(shard.shardId)
  const lastChunk = head && (await readChunkMeta(options.store, head, { signal: options.signal }))
  // Asked at each chunk: a parent may get its chain in this very run.
  const parents = (): string[] => shard.parents.filter((parent) => hasChain(run, parent))
  const chain = new ShardChain(
    context,
    { shardId: shard.shardId, parents, lastChunk },
    listedAtMonotonic,
    options.onProgress,
  )
  const state: ShardState = { chain, lastChunk, millisBehindLatest: null }
  run.states.set(shard.shardId, state)
  return state
}

const hasChain = (run: Run, shardId: string): boolean =>
  run.heads.has(shardId) || run.states.get(shardId)?.chain.ended === true

/** Records of a child come after all of its parents': it starts when every parent that is still listed has ended. */
async function isReady(run: Run, shards: readonly SourceShard[], shard: SourceShard): Promise<boolean> {
  for (const parent of shards) {
    if (!shard.parents.includes(parent.shardId)) continue
    if (!(await hasEnded(run, parent))) return false
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

/** @returns true when the shard's end was reached by this run. */
async function landShard(run: Run, shard: SourceShard, signal: AbortSignal): Promise<boolean> {
  const state = await stateOf(run, shard)
  const { chain } = state
  if (chain.ended) return false
  const from = {
    after: chain.position,
    start: run.start,
    lastChunk: state.lastChunk,
    caughtUpMillis: run.caughtUp.get(shard.shardId),
    untilMillis: run.startedMillis,
  }
  let caughtUp = false
  for await (const page of run.options.source.read(shard, from, { signal })) {
    await chain.add(page, { signal })
    state.millisBehindLatest = page.millisBehindLatest
    if (page.pendingBytes !== undefined) state.pendingBytes = page.pendingBytes
    caughtUp = page.caughtUp
    if (page.ended) await chain.end({ signal })
    if (chain.ended) break
  }
  await chain.flush({ signal })
  // A gap that no chunk reports yet must be suspected again by the next run.
  if (caughtUp && !chain.gapPending) run.reached.set(shard.shardId, run.startedMillis)
  return chain.ended
}

/** A chain that has not ended and whose shard is gone lost its tail: say so in its end marker, then go on. */
async function endVanished(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const listed = new Set(shards.map((shard) => shard.shardId))
  const vanished = [...run.heads.values()].filter(({ shardId }) => !listed.has(shardId))
  await forEachShard(run, vanished, async (head, shardSignal) => {
    const { shardId } = head
    const lastChunk = await readChunkMeta(run.options.store, head, { signal: shardSignal })
    if (lastChunk.ended) return
    const { chain } = await stateOf(run, { shardId, parents: lastChunk.parents })
    await chain.end({ gap: true, signal: shardSignal })
  })
}

async function noteCaughtUp(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const { source, store, clock, signal } = run.options
  if (!source.listsEveryShard || run.reached.size === 0) return
  const listed = new Set(shards.map((shard) => shard.shardId))
  const keep = (shardId: string): boolean => listed.has(shardId)
  await writeCaughtUp(store, run.context.incarnation, run.reached, { clock, keep, signal })
}

function summarize(run: Run): LandResult {
  const states = [...run.states.values()].sort((a, b) => (a.chain.shardId < b.chain.shardId ? -1 : 1))
  const sum = (of: (progress: ChainProgress) => number): number =>
    states.reduce((total, { chain }) => total + of(chain.progress), 0)
  return {
    ...run.context.incarnation,
    records: sum(({ records }) => records),
    bytes: sum(({ bytes }) => bytes),
    chunks: sum(({ chunks }) => chunks),
    gaps: states.flatMap(({ chain }) => chain.gaps.map((after) => ({ shardId: chain.shardId, after }))),
    shards: states.map(({ chain, millisBehindLatest, pendingBytes }) => ({
      shardId: chain.shardId,
      records: chain.progress.records,
      lastSequenceNumber: chain.position === START_POSITION ? null : chain.position,
      millisBehindLatest,
      ended: chain.ended,
      ...(pendingBytes === undefined || pendingBytes === 0 ? {} : { pendingBytes }),
    })),
  }
}
