/**
 * One shard's chain while a run appends to it: gathers records, cuts them into chunks, creates each under the position
 * that it continues, and yields to whoever was faster.
 */
import { type Clock, fullJitterMillis } from '../../table/clock.ts'
import { ingestChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { objectChanged } from '../objects/errors.ts'
import type { SourcePage } from '../source.ts'
import { type ChunkMeta, decodeChunk, encodeChunk, type FilePosition } from '../staging/chunk.ts'
import { emptyRows, RowBuilder } from '../staging/chunk-rows.ts'
import { comparePositions, START_POSITION } from '../staging/positions.ts'
import { chunkKey, findChunkPast, hasChunks, readChunkMeta, type StreamIncarnation } from '../staging/staging.ts'

/** A chunk is closed before it exceeds either; a single larger record has a chunk of its own. */
export interface ChunkLimits {
  readonly maxBytes: number
  readonly maxRecords: number
}

export const defaultChunkLimits: ChunkLimits = { maxBytes: 8 * 1024 * 1024, maxRecords: 20_000 }

export interface ChainContext {
  readonly store: ObjectStore
  readonly incarnation: StreamIncarnation
  readonly clock: Clock
  /** Random id of the run. */
  readonly lander: string
  readonly limits: ChunkLimits
  /** Whether the run may gather one more record of that many bytes. */
  readonly admit: (bytes: number) => boolean
  /** Report a loss as a failure instead of writing the chunk that records it. */
  readonly refuseGaps: boolean
}

export interface ChainProgress {
  readonly shardId: string
  readonly records: number
  readonly bytes: number
  readonly chunks: number
}

const CREATE_TRIES = 6
const RETRY_BASE_MILLIS = 200
const RETRY_CAP_MILLIS = 10_000
/** Prune leaves chunks alone for three days; a lander that slept looks again long before that (see `#lookAgain`). */
const RELIST_MILLIS = 3_600_000

/** By both clocks: the monotonic one stands still while a machine is suspended, the other may be set back. */
export interface Instant {
  readonly monotonicMillis: number
  readonly millis: number
}

export const instantOf = (clock: Clock): Instant => ({
  monotonicMillis: clock.monotonicMillis(),
  millis: clock.nowMillis(),
})

export class ShardChain {
  readonly shardId: string
  readonly #context: ChainContext
  readonly #parents: () => readonly string[]
  readonly #onProgress: ((progress: ChainProgress) => void) | undefined
  /** Made when a record comes: a run knows thousands of chains, and gathers for few at a time. */
  #rows: RowBuilder | undefined
  #position: string
  #ended: boolean
  #gap = false
  #file: FilePosition | undefined
  #etag: string | undefined
  #listedAt: Instant
  #newestArrivalMillis: number
  #records = 0
  #bytes = 0
  #chunks = 0
  readonly #gaps: string[] = []

  constructor(
    context: ChainContext,
    shard: { shardId: string; parents: () => readonly string[]; lastChunk: ChunkMeta | undefined },
    listedAt: Instant,
    onProgress?: (progress: ChainProgress) => void,
  ) {
    this.#context = context
    this.shardId = shard.shardId
    this.#parents = shard.parents
    this.#position = shard.lastChunk?.last ?? START_POSITION
    this.#ended = shard.lastChunk?.ended ?? false
    this.#listedAt = listedAt
    this.#newestArrivalMillis = shard.lastChunk?.maxArrivalMillis ?? 0
    this.#onProgress = onProgress
  }

  /** Newest landed position, by us or by another lander; `'0'` before the first record. */
  get position(): string {
    return this.#position
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Of the records in the chain, as far as the run saw their chunks; 0 when it saw none. */
  get newestArrivalMillis(): number {
    return this.#newestArrivalMillis
  }

  /** A gap was seen that no chunk carries yet. */
  get gapPending(): boolean {
    return this.#gap
  }

  /** Positions after which our chunks reported a gap. */
  get gaps(): readonly string[] {
    return this.#gaps
  }

  /** What this run added. `bytes` counts record data. */
  get progress(): ChainProgress {
    return { shardId: this.shardId, records: this.#records, bytes: this.#bytes, chunks: this.#chunks }
  }

  /**
   * Gather a page's records, skipping those already in the chain; full chunks are written.
   * @returns false when the run's budget left records of the page out.
   */
  async add(page: SourcePage, options: AbortableOptions = {}): Promise<boolean> {
    const { maxBytes, maxRecords } = this.#context.limits
    this.#etag = page.etag
    if (page.gap) {
      await this.flush(options) // records before the loss belong to a chunk of their own
      this.#gap = true
    }
    for (const [index, record] of page.records.entries()) {
      if (this.#ended) return true
      this.#rows ??= new RowBuilder()
      const rows = this.#rows
      if (comparePositions(record.sequenceNumber, rows.last ?? this.#position) <= 0) continue
      const size = record.data.byteLength
      if (rows.count > 0 && (rows.count >= maxRecords || rows.dataBytes + size > maxBytes)) {
        await this.flush(options)
        if (this.#ended || comparePositions(record.sequenceNumber, this.#position) <= 0) continue
      }
      // Before it takes of the budget: a shard that stays where it is, run after run, would leave the others nothing.
      if (this.#gap && this.#context.refuseGaps) throw dataLoss({ ...this.#base(), ended: false })
      if (!this.#context.admit(size)) {
        const before = page.records[index - 1]
        if (before !== undefined && before.sequenceNumber === rows.last) this.#file = page.fileAt?.(index - 1)
        return false
      }
      rows.append(record)
      const next = page.records[index + 1]
      const cutAfter =
        next === undefined || rows.count >= maxRecords || rows.dataBytes + next.data.byteLength > maxBytes
      if (cutAfter) this.#file = page.fileAt?.(index)
    }
    return true
  }

  /** Write what is gathered. Returns when every record seen is in the chain, ours or another lander's. */
  async flush(options: AbortableOptions = {}): Promise<void> {
    const gathered = this.#rows
    while (gathered !== undefined && gathered.count > 0 && !this.#ended) {
      const rows = gathered.view()
      const last = gathered.last as string
      let [minArrivalMillis, maxArrivalMillis] = [Number.MAX_SAFE_INTEGER, 0]
      for (const arrival of rows.arrivals) {
        minArrivalMillis = Math.min(minArrivalMillis, Number(arrival))
        maxArrivalMillis = Math.max(maxArrivalMillis, Number(arrival))
      }
      const file = this.#file === undefined ? {} : { file: this.#file }
      const meta = { last, count: rows.count, minArrivalMillis, maxArrivalMillis, ended: false, ...file }
      if (await this.#create({ ...this.#base(), ...meta }, rows, options)) {
        this.#records += rows.count
        this.#bytes += gathered.dataBytes
        this.#position = last
        this.#newestArrivalMillis = Math.max(this.#newestArrivalMillis, maxArrivalMillis)
        gathered.clear()
        this.#onProgress?.(this.progress)
      }
    }
  }

  /** Give back the memory of what was gathered; records that were not flushed are read again by a later run. */
  release(): void {
    this.#rows = undefined
  }

  /** Close the chain with an end marker, after everything gathered. */
  async end(options: AbortableOptions & { gap?: boolean } = {}): Promise<void> {
    await this.flush(options)
    if (options.gap === true) this.#gap = true
    while (!this.#ended) {
      const meta = { ...this.#base(), last: this.#position, count: 0, ended: true }
      if (await this.#create(meta, emptyRows, options)) this.#ended = true
    }
  }

  #base(): Pick<ChunkMeta, 'stream' | 'created' | 'shardId' | 'parents' | 'after' | 'gap' | 'lander' | 'etag'> {
    const { incarnation, lander } = this.#context
    const { stream, created } = incarnation
    const { shardId } = this
    const etag = this.#etag === undefined ? {} : { etag: this.#etag }
    return {
      stream,
      created,
      shardId,
      parents: this.#parents(),
      after: this.#position,
      gap: this.#gap,
      lander,
      ...etag,
    }
  }

  /** True: the chunk is ours. False: another lander's chunk continues our position, and we moved on to its end. */
  async #create(meta: ChunkMeta, rows: Parameters<typeof encodeChunk>[1], options: AbortableOptions): Promise<boolean> {
    const { store, incarnation, clock } = this.#context
    const body = await encodeChunk(meta, rows)
    options.signal?.throwIfAborted()
    if (await this.#lookAgain(options)) return false
    if (meta.gap && this.#context.refuseGaps) throw dataLoss(meta)
    const key = chunkKey(incarnation, this.shardId, meta.after)
    const winner = await createOrReadWinner(store, clock, key, body, options)
    if (winner !== undefined) {
      this.#follow(winner)
      return false
    }
    this.#chunks++
    this.#tell(meta.gap, meta.count)
    if (meta.gap) {
      this.#gaps.push(meta.after)
      this.#gap = false
    }
    return true
  }

  #tell(gap: boolean, records: number): void {
    if (!ingestChannel.hasSubscribers) return
    const place = { stream: this.#context.incarnation.stream, shardId: this.shardId }
    if (records > 0) ingestChannel.publish({ kind: 'chunk', ...place, records, bytes: this.#rows?.dataBytes ?? 0 })
    if (gap) ingestChannel.publish({ kind: 'gap', ...place })
  }

  /**
   * A create-only key protects only while its object exists. A run that was suspended for days could write below what
   * has been pruned meanwhile. Prune leaves the last chunk, so a new listing shows it; where it shows none, the chain has
   * been read to its end and pruned as a whole, and nothing may be added to it.
   */
  async #lookAgain(options: AbortableOptions): Promise<boolean> {
    const { store, incarnation, clock } = this.#context
    const now = instantOf(clock)
    const { monotonicMillis, millis } = this.#listedAt
    if (Math.max(now.monotonicMillis - monotonicMillis, now.millis - millis) < RELIST_MILLIS) return false
    this.#listedAt = now
    const newer = await findChunkPast(store, incarnation, this.shardId, this.#position, options)
    if (newer === undefined) {
      const isGone = this.#position !== START_POSITION && !(await hasChunks(store, incarnation, this.shardId, options))
      if (isGone) this.#ended = true
      return isGone
    }
    this.#follow(await readChunkMeta(store, newer, options))
    return true
  }

  #follow(winner: ChunkMeta): void {
    if (this.#etag !== undefined && winner.etag !== this.#etag)
      throw objectChanged(this.shardId, this.#etag, winner.etag)
    this.#position = winner.last
    this.#newestArrivalMillis = Math.max(this.#newestArrivalMillis, winner.maxArrivalMillis ?? 0)
    this.#rows?.dropThrough(winner.last)
    if (winner.gap) this.#gap = false
    if (!winner.ended) return
    this.#ended = true
    if ((this.#rows?.count ?? 0) === 0 || winner.gap) return
    throw new FirnError(
      'corrupt',
      'FIRN_CHAIN_CONFLICT',
      `shard ${this.shardId} of ${winner.stream} was marked as ended after ${winner.last}, but has newer records`,
      {
        detail: { shardId: this.shardId, last: winner.last },
        help: `Look at ${chunkKey(winner, winner.shardId, winner.after)}; delete it if no table has consumed it, and land again.`,
      },
    )
  }
}

const dataLoss = ({
  stream,
  shardId,
  after,
  ended,
}: Pick<ChunkMeta, 'stream' | 'shardId' | 'after' | 'ended'>): FirnError =>
  new FirnError(
    'failed',
    'FIRN_DATA_LOSS',
    `records of shard ${shardId} of stream ${stream} after ${after} ${
      ended ? 'were lost: the shard is gone, and was not read to its end' : 'may have been lost before they were read'
    }`,
    {
      detail: { stream, shardId, after },
      help: `Nothing was written past the loss. See what can be recovered; then firn land --stream ${stream} --accept-gap records the gap and goes on.`,
    },
  )

/**
 * Create `key`, however often the store leaves the outcome open.
 * @returns `undefined` when the object is ours, else what is there.
 */
async function createOrReadWinner(
  store: ObjectStore,
  clock: Clock,
  key: string,
  body: Uint8Array,
  options: AbortableOptions,
): Promise<ChunkMeta | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      await store.put(key, body, { ...options, ifNoneMatch: '*' })
      return undefined
    } catch (error) {
      const open = FirnError.is(error, 'FIRN_PRECONDITION_FAILED') || FirnError.is(error, 'FIRN_STORE_UNAVAILABLE')
      if (!open) throw error
      const existing = await readBack(store, key, options)
      if (existing !== undefined) {
        // Our own first attempt may be what refused the second.
        if (Buffer.compare(existing, body) === 0) return undefined
        return (await decodeChunk(existing, `${store.url}/${key}`)).meta
      }
      if (attempt + 1 >= CREATE_TRIES) throw error
    }
    await clock.sleep(fullJitterMillis(clock, attempt, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS), options.signal)
  }
}

/** The object's bytes; `undefined` when it is absent, or cannot be read now: the create is then tried again. */
async function readBack(store: ObjectStore, key: string, options: AbortableOptions): Promise<Uint8Array | undefined> {
  try {
    return (await getIfExists(store, key, options))?.bytes
  } catch (error) {
    if (FirnError.is(error, 'FIRN_STORE_UNAVAILABLE')) return undefined
    throw error
  }
}
