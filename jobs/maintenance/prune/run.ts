/**
 * Prune staging: look at every stream, say which chunks nobody needs, delete them.
 *
 * Within a chain the oldest chunk goes first, one after the other: killed anywhere, what is left is a chain without a
 * hole. What is deleted was planned again a moment before, a batch at a time, on fresh listings: chunks first, then the
 * tables that read them. A table that registers after that lists staging later still, and finds what is left.
 */
import {
  type ChunkRef,
  listChunks,
  listIncarnations,
  readCaughtUp,
  readChunkMeta,
  type StreamIncarnation,
} from '../../../ingest/index.ts'
import type { Clock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../../table/ids.ts'
import { type Catalog, prefetch } from '../../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../../table/io/object-store.ts'
import { incarnationName } from '../../compaction/positions.ts'
import { cutoffByStoreClock } from '../store-clock.ts'
import { type LoadedTables, needsOf } from './needs.ts'
import {
  type Held,
  type ListedShard,
  mayLoseChains,
  type PrunableChain,
  type PrunedChain,
  planStreamPrune,
} from './plan.ts'

export const PRUNE_MIN_AGE_MILLIS: number = 3 * 86_400_000
/** Chunks deleted between two looks at the tables. */
const BATCH = 1_000
/** Requests in flight. */
const CONCURRENCY = 16

/** The shards that a Kinesis stream has now, and when it was created, epoch seconds. */
export type ListShards = (
  stream: string,
  options: AbortableOptions,
) => Promise<{ readonly created: number; readonly shards: readonly ListedShard[] }>

export interface PruneOptions extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
  readonly clock: Clock
  /** Default: every stream in staging. A name means every incarnation of the stream. */
  readonly streams?: readonly string[] | undefined
  /** At least 3 days, which is the default. */
  readonly minAgeMillis?: number | undefined
  /** Asked only when a whole chain may go. Without it, or when it fails, every chain keeps its last chunk. */
  readonly listShards?: ListShards | undefined
  /** Called after each batch. */
  readonly onProgress?: ((progress: { readonly chunks: number; readonly bytes: number }) => void) | undefined
}

/** Plain JSON. */
export interface PrunePlan {
  readonly plannedAtMillis: EpochMillis
  readonly olderThanMillis: EpochMillis
  readonly streams: readonly PlannedStream[]
  readonly totals: { readonly chunks: number; readonly bytes: number; readonly chains: number }
}

export interface PlannedStream extends StreamIncarnation {
  readonly chains: readonly PrunedChain[]
  /** Old chunks that stay, and for which table. */
  readonly held: readonly Held[]
  /** Why nothing of the stream is pruned. */
  readonly stopped: { readonly code: string; readonly message: string; readonly help: string | null } | null
  /** Why every chain keeps its last chunk. */
  readonly shardsUnknown: string | null
}

/** Plain JSON. */
export interface PruneResult {
  readonly chunks: number
  readonly bytesFreed: number
  /** Chains of which nothing is left. */
  readonly chains: number
  /** Of the plan, but needed by now, too young by the clock of the store, or gone already. */
  readonly left: number
  /** Nothing that was written at or after this time was deleted. */
  readonly olderThanMillis: EpochMillis
}

/**
 * Changes nothing. A stream whose consumers cannot be read is `stopped`; the others are planned.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid): an age below 3 days; `FIRN_STREAM_NOT_STAGED` (not-found);
 *   `FIRN_STORE_UNAVAILABLE`.
 */
export async function planPrune(options: PruneOptions): Promise<PrunePlan> {
  const { minAgeMillis = PRUNE_MIN_AGE_MILLIS, clock } = options
  checkAge(minAgeMillis)
  const plannedAtMillis = clock.nowMillis()
  const olderThanMillis = epochMillis(plannedAtMillis - minAgeMillis)
  const chosen = await chosenIncarnations(options.store, options.streams, options)
  const streams = await planStreams(options, chosen, olderThanMillis, new Map())
  const chains = streams.flatMap((stream) => stream.chains)
  const chunks = chains.flatMap((chain) => chain.chunks)
  const totals = {
    chunks: chunks.length,
    bytes: chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    chains: chains.filter(({ whole }) => whole).length,
  }
  return { plannedAtMillis, olderThanMillis, streams, totals }
}

function checkAge(minAgeMillis: number): void {
  if (Number.isFinite(minAgeMillis) && minAgeMillis >= PRUNE_MIN_AGE_MILLIS) return
  const message = `staging younger than 3 days is not pruned, got an age of ${minAgeMillis} ms`
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, {
    help: 'Leave it at 3 days, or give more: a lander that slept must find its chain, and a rollback its records.',
  })
}

/**
 * Every incarnation in staging, or those that `streams` name, by stream or as `<stream>@<created>`.
 * @throws {FirnError} `FIRN_STREAM_NOT_STAGED` (not-found).
 */
export async function chosenIncarnations(
  store: ObjectStore,
  streams: readonly string[] | undefined,
  { signal }: AbortableOptions = {},
): Promise<readonly StreamIncarnation[]> {
  const staged = await listIncarnations(store, { signal })
  if (streams === undefined) return staged
  const isMeant = (wanted: string) => (each: StreamIncarnation) =>
    each.stream === wanted || incarnationName(each) === wanted
  const missing = streams.find((wanted) => !staged.some(isMeant(wanted)))
  if (missing === undefined) return staged.filter((each) => streams.some((wanted) => isMeant(wanted)(each)))
  throw new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', `nothing of stream ${missing} is in staging`, {
    detail: { stream: missing },
    help: `staging holds ${[...new Set(staged.map(({ stream }) => stream))].join(', ') || 'nothing'}`,
  })
}

/** What Kinesis said of a stream, for the time of one run: shards that it no longer lists do not come back. */
type Asked = Map<string, ReturnType<ListShards>>

async function planStreams(
  options: PruneOptions,
  incarnations: readonly StreamIncarnation[],
  olderThanMillis: EpochMillis,
  asked: Asked,
): Promise<readonly PlannedStream[]> {
  const loaded: LoadedTables = new Map()
  const planned: PlannedStream[] = []
  for (const incarnation of incarnations) {
    try {
      planned.push(await planStream(options, incarnation, { olderThanMillis, asked, loaded }))
    } catch (error) {
      if (!isStop(error)) throw error
      const { code, message, help = null } = error
      planned.push({ ...incarnation, chains: [], held: [], stopped: { code, message, help }, shardsUnknown: null })
    }
  }
  return planned
}

const isStop = (error: unknown): error is FirnError =>
  FirnError.is(error, 'FIRN_NO_CONSUMER') || FirnError.is(error, 'FIRN_CONSUMER_UNREADABLE')

async function planStream(
  options: PruneOptions,
  incarnation: StreamIncarnation,
  found: { readonly olderThanMillis: EpochMillis; readonly asked: Asked; readonly loaded: LoadedTables },
): Promise<PlannedStream> {
  const { store, signal } = options
  const { olderThanMillis, asked, loaded } = found
  // The chunks first: whoever registers after the consumers are listed lists chunks later than we did.
  const byShard = Map.groupBy(await listChunks(store, incarnation, { signal }), ({ shardId }) => shardId)
  const needs = await needsOf(options, incarnation, loaded)
  const chains: PrunableChain[] = [...byShard].map(([shardId, chunks]) => ({ shardId, chunks }))
  const known = { chains, needs, olderThanMillis }
  const shards = mayLoseChains(known) ? await shardsOf(options, incarnation, asked) : 'not needed'
  if (typeof shards === 'string') {
    const { chains: pruned, held } = planStreamPrune({ ...known, listed: undefined })
    return {
      ...incarnation,
      chains: pruned,
      held,
      stopped: null,
      shardsUnknown: shards === 'not needed' ? null : shards,
    }
  }
  const withTails: PrunableChain[] = []
  const read = async (chain: PrunableChain): Promise<PrunableChain> => {
    const last = byShard.get(chain.shardId)!.at(-1) as ChunkRef
    const meta = await readChunkMeta(store, last, { signal }).catch(undefinedWhenLost)
    return meta === undefined ? chain : { ...chain, tail: { ended: meta.ended, parents: meta.parents } }
  }
  for await (const chain of prefetch(chains, read, { depth: CONCURRENCY, signal })) withTails.push(chain)
  const { chains: pruned, held } = planStreamPrune({ ...known, chains: withTails, listed: shards })
  return { ...incarnation, chains: pruned, held, stopped: null, shardsUnknown: null }
}

/** Deleted by another run, or damaged: the chain then stays. */
function undefinedWhenLost(error: unknown): undefined {
  if (!FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND') && !FirnError.is(error, 'FIRN_CHUNK_CORRUPT')) throw error
}

/** The shards that still exist, or why that is not known. */
async function shardsOf(
  { store, listShards, signal }: PruneOptions,
  incarnation: StreamIncarnation,
  asked: Asked,
): Promise<readonly ListedShard[] | string> {
  const { stream, created } = incarnation
  // A file that is named again must find where it was read to.
  if (created === 0) return 'files may be landed again'
  if (listShards === undefined) return 'Kinesis was not asked'
  const asking = asked.get(stream) ?? listShards(stream, { signal })
  asked.set(stream, asking)
  try {
    const now = await asking
    if (now.created !== created) return 'the stream was deleted, or deleted and made again'
    // Landing ends a shard that is gone and that it remembers without a chain: it has to forget it first.
    const remembered = [...(await readCaughtUp(store, incarnation, { signal })).keys()]
    return [...now.shards, ...remembered.map((shardId) => ({ shardId, parents: [] }))]
  } catch (error) {
    signal?.throwIfAborted()
    return `Kinesis did not say which shards there are: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * Delete what `plan` lists, as far as it would be planned again now. Idempotent; killed anywhere, the next run goes on.
 * @throws {FirnError} `FIRN_CLOCK_SKEW` (invalid); `FIRN_STORE_UNAVAILABLE`; `FIRN_CONSUMER_UNREADABLE`,
 *   `FIRN_NO_CONSUMER` (failed) when a stream of the plan has lost its consumers meanwhile.
 */
export async function runPrune(options: PruneOptions, plan: PrunePlan): Promise<PruneResult> {
  const { store, signal, onProgress } = options
  checkAge(plan.plannedAtMillis - plan.olderThanMillis)
  const planned = new Set(
    plan.streams.flatMap(({ chains }) => chains.flatMap(({ chunks }) => chunks.map(({ key }) => key))),
  )
  const streams = plan.streams.filter(({ chains }) => chains.length > 0)
  const olderThanMillis = planned.size === 0 ? plan.olderThanMillis : await cutoffByStoreClock(store, plan, { signal })
  const asked: Asked = new Map()
  let [chunks, bytesFreed, chains] = [0, 0, 0]
  for (const { stream, created } of streams) {
    for (;;) {
      const [now] = await planStreams(options, [{ stream, created }], olderThanMillis, asked)
      if (now!.stopped !== null) throw stoppedError(now!.stopped)
      const batch = nextBatch(now!.chains, planned)
      if (batch.length === 0) break
      const remove = async (chain: PrunedChain, abort: AbortSignal): Promise<PrunedChain> => {
        for (const { key } of chain.chunks) await store.delete(key, { signal: abort })
        return chain
      }
      for await (const done of prefetch(batch, remove, { depth: CONCURRENCY, signal })) {
        chunks += done.chunks.length
        bytesFreed += done.chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
        if (done.whole) chains++
      }
      onProgress?.({ chunks, bytes: bytesFreed })
    }
  }
  return { chunks, bytesFreed, chains, left: planned.size - chunks, olderThanMillis }
}

/** The oldest planned chunks of each chain; the last one of a chain only when its parents have gone. */
function nextBatch(chains: readonly PrunedChain[], planned: ReadonlySet<string>): readonly PrunedChain[] {
  const batch: PrunedChain[] = []
  let room = BATCH
  for (const chain of chains) {
    if (room === 0) break
    const foreign = chain.chunks.findIndex(({ key }) => !planned.has(key))
    const own = foreign < 0 ? chain.chunks.length : foreign
    const free = chain.whole && chain.afterChains.length > 0 ? chain.chunks.length - 1 : chain.chunks.length
    const chunks = chain.chunks.slice(0, Math.min(own, free, room))
    room -= chunks.length
    if (chunks.length > 0) batch.push({ ...chain, chunks, whole: chain.whole && chunks.length === chain.chunks.length })
  }
  return batch
}

/** What a stream was stopped by, to be thrown. */
export function stoppedError({ code, message, help }: NonNullable<PlannedStream['stopped']>): FirnError {
  return new FirnError('failed', code as FirnError['code'], message, help === null ? {} : { help })
}
