/**
 * One landing run: every shard of a source, parents before children, read up to the run's start into chunk chains.
 * Running it again, twice at once, or after a crash anywhere neither loses nor doubles a record (staging/staging.ts says why).
 */
import type { Clock } from '../../table/clock.ts'
import { ingestChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { RecordSource, ResumePoint, SourceCounts, SourcePage, SourceShard } from '../source.ts'
import { START_POSITION } from '../staging/positions.ts'
import type { StreamIncarnation } from '../staging/staging.ts'
import type { ChainProgress, ChunkLimits } from './chain.ts'
import type { LandBudget, LandEnd } from './limits.ts'
import { noteCaughtUp } from './notes.ts'
import { forEachShard, knownUntil, loadHeads, openRun, type Run, readyShards, type ShardState, stateOf } from './run.ts'
import { endVanished, openAgain } from './vanished.ts'

export interface LandOptions extends AbortableOptions {
  /** The warehouse's root. */
  readonly store: ObjectStore
  readonly source: RecordSource
  readonly clock: Clock
  /**
   * Shards read at a time, 1..64; default 8. Each holds a page (Kinesis: 10 MiB) and its share of `maxOpenBytes`, twice
   * that while a chunk is written.
   */
  readonly shardConcurrency?: number
  readonly chunkLimits?: ChunkLimits
  /** Record data gathered for chunks that are not written yet, over all shards; default 64 MiB. */
  readonly maxOpenBytes?: number
  readonly budget?: LandBudget
  /** A shard with a loss fails, before the chunk that would record it; the others go on. Default false. */
  readonly failOnDataLoss?: boolean
  /** This run records losses as gaps and goes on, whatever `failOnDataLoss` says. */
  readonly acceptGap?: boolean
  /**
   * Ends reading at a safe point: what was gathered is written, and the run returns what it did. While the run opens,
   * before it has read anything, the reason is thrown. `signal` ends everything at once.
   */
  readonly stop?: AbortSignal | undefined
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
  readonly endedBy: LandEnd
  /** Calls that Kinesis refused by a limit of its own, each tried again. */
  readonly throttled: number
  /** Iterators that grew too old and were replaced. */
  readonly expiredIterators: number
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
  const shards = await source.listShards({ signal: run.reading })
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
  const { limits } = run
  await loadHeads(run, listed)
  let shards = listed
  while (run.failures.consequence === 'go-on') {
    const ready = await readyShards(run, shards)
    if (ready.length === 0) break
    let anyEnded = false
    const listedIds = new Set(shards.map(({ shardId }) => shardId))
    await forEachShard(run, ready, async (shard, shardSignal) => {
      if (limits.over) {
        limits.cutShort()
        return
      }
      run.tried.add(shard.shardId)
      if (await landShard(run, shard, listedIds, shardSignal)) anyEnded = true
    })
    if (limits.over) {
      if (anyEnded) limits.cutShort() // its children
      break
    }
    // A shard that ended in this run may have had children since we listed.
    if (anyEnded) shards = await listAgain(run, shards)
  }
  return shards
}

async function listAgain(run: Run, known: readonly SourceShard[]): Promise<readonly SourceShard[]> {
  try {
    return await run.options.source.listShards({ signal: run.reading })
  } catch (error) {
    if (!run.limits.isStop(error)) throw error
    run.limits.cutShort()
    return known
  }
}

/** @returns true when the shard's end was reached by this run. */
async function landShard(
  run: Run,
  shard: SourceShard,
  listed: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<boolean> {
  const state = await stateOf(run, shard)
  const { chain } = state
  if (chain.ended) {
    if (state.lastChunk !== undefined) {
      if (state.lastChunk.gap && shard.closed === false) throw openAgain(state.lastChunk)
      run.options.source.checkEnded?.(shard, state.lastChunk)
    }
    return false
  }
  const from: ResumePoint = {
    after: chain.position,
    start: run.start,
    lastChunk: state.lastChunk,
    caughtUpMillis: knownUntil(run, shard, listed),
    retentionMillis: run.retention.thenMillis,
    untilMillis: run.startedMillis,
  }
  try {
    const caughtUp = await readInto(run, shard, state, from, signal)
    await chain.flush({ signal })
    // A gap that no chunk reports yet must be suspected again by the next run.
    if (caughtUp && !chain.ended && !chain.gapPending) run.reached.set(shard.shardId, run.startedMillis)
    return chain.ended
  } finally {
    chain.release()
  }
}

/** @returns whether the tip was reached, or the end. */
async function readInto(
  run: Run,
  shard: SourceShard,
  state: ShardState,
  from: ResumePoint,
  signal: AbortSignal,
): Promise<boolean> {
  const { chain } = state
  const { source, stop } = run.options
  const reading = stop === undefined ? signal : AbortSignal.any([signal, stop])
  let writing = false
  try {
    for await (const page of source.read(shard, from, { signal: reading })) {
      writing = true
      const taken = await chain.add(page, { signal })
      if (taken) {
        state.millisBehindLatest = page.millisBehindLatest
        tellLag(source.stream, shard.shardId, page)
        if (page.pendingBytes !== undefined) state.pendingBytes = page.pendingBytes
        if (page.ended) await chain.end({ signal })
        if (chain.ended || page.caughtUp) return page.caughtUp
      }
      if (run.limits.over) {
        run.limits.cutShort()
        return false
      }
      writing = false
    }
  } catch (error) {
    if (!run.limits.isStop(error)) {
      // What was read is good, and would be read again by every run that is refused as early as this one.
      if (!writing && !signal.aborted && isPassing(error)) await chain.flush({ signal })
      throw error
    }
    run.limits.cutShort()
  }
  return false
}

/** Not of objects that changed or are damaged: nothing more of them should land. */
const isPassing = (error: unknown): boolean => FirnError.is(error) && error.kind === 'unavailable'

/** Files have no tip to be behind of. */
function tellLag(stream: string, shardId: string, { millisBehindLatest, ended }: SourcePage): void {
  if (millisBehindLatest === null || !ingestChannel.hasSubscribers) return
  ingestChannel.publish({ kind: 'lag', stream, shardId, behindMillis: ended ? undefined : millisBehindLatest })
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
    endedBy: run.limits.endedBy,
    ...countsOf(run),
  }
}

function countsOf({ options: { source }, countsBefore }: Run): SourceCounts {
  const { throttled, expiredIterators } = source.counts?.() ?? countsBefore
  return {
    throttled: throttled - countsBefore.throttled,
    expiredIterators: expiredIterators - countsBefore.expiredIterators,
  }
}
