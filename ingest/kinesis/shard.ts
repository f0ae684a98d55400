/**
 * Reading one shard up to the run's start. What shapes the loop (AWS API reference: GetRecords, GetShardIterator): a
 * page may be empty far from the tip, `MillisBehindLatest` tells; an iterator lives 5 minutes; a closed shard ends with
 * no next iterator and its children; after a full page of 10 MiB, calls are refused for 5 s.
 */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { patientRetries, withRetries } from '../retry.ts'
import type { ResumePoint, SourcePage } from '../source.ts'
import { comparePositions, START_POSITION } from '../staging/positions.ts'
import type { IteratorPosition, KinesisApi, KinesisPage } from './api.ts'
import type { SameStream } from './same-stream.ts'

export interface ShardRead extends AbortableOptions {
  readonly api: KinesisApi
  readonly stream: string
  readonly clock: Clock
  readonly shardId: string
  readonly from: ResumePoint
  readonly retentionMillis: number
  readonly pageRecords: number | undefined
  readonly onThrottled?: () => void
  readonly onExpired?: () => void
  /** Rejects when the stream of that name is not the one any more that the run opened. */
  readonly sameStream: SameStream
  /** Whether the shard was closed when the shards were listed; `again`: list them now. */
  isClosed(again: boolean): Promise<boolean>
}

/** Five calls a second and shard are allowed, shared with all other consumers. */
const MIN_INTERVAL_MILLIS = 200
const FULL_PAGE_BYTES = 9.5 * 1024 * 1024
const FULL_PAGE_PAUSE_MILLIS = 5_000
/** An empty page moves on inside the shard; this many in a row that come no nearer to the tip are the server's fault. */
const MAX_EMPTY_PAGES = 2_000
/** Emulators exist that never end a closed shard: at the tip, this many empty pages do. */
const EMPTY_PAGES_AT_CLOSED_TIP = 5
/** Times that a new iterator is tried after one expired at once, or ended a shard that is still open. */
const MAX_REOPENS = 5

/** Pages until the shard's end, its tip, or a record that arrived at or after `from.untilMillis`. */
export async function* readShard(read: ShardRead): AsyncGenerator<SourcePage, void, undefined> {
  const cursor = new ShardCursor(read)
  const retention = new RetentionWatch(read)
  let gap = false
  let emptyPages = 0
  let nearestMillis = Number.POSITIVE_INFINITY
  for (;;) {
    gap = retention.mayHaveLost() || gap
    const page = await cursor.next()
    if (page === 'vanished') return
    if (cursor.trimmed) gap = true
    const newestMillis = page.records.reduce((newest, { arrivalMillis }) => Math.max(newest, arrivalMillis), 0)
    retention.readUntil(newestMillis)
    const behindMillis = page.millisBehindLatest ?? Number.POSITIVE_INFINITY
    emptyPages = page.records.length > 0 || behindMillis < nearestMillis ? 0 : emptyPages + 1
    nearestMillis = page.records.length > 0 ? Number.POSITIVE_INFINITY : Math.min(nearestMillis, behindMillis)
    const verdict = await judge(read, cursor, page, { emptyPages, newestMillis })
    const { records, millisBehindLatest } = page
    const ended = verdict === 'ended'
    // Before anything of it counts: a record as much as the shard's end.
    if (records.length > 0 || ended) await cursor.confirm()
    // The run's start, not now: what arrives while we read is the next run's.
    yield { records, millisBehindLatest, gap, ended, caughtUp: ended || verdict === 'caught-up' }
    if (verdict !== 'go-on') return
    if (records.length > 0) {
      gap = false
      cursor.trimmed = false
    }
  }
}

type Verdict = 'go-on' | 'caught-up' | 'ended' | 'give-up'

async function judge(
  read: ShardRead,
  cursor: ShardCursor,
  page: KinesisPage,
  { emptyPages, newestMillis }: { emptyPages: number; newestMillis: number },
): Promise<Verdict> {
  if (page.nextIterator === undefined) {
    if (page.childShards.length > 0) return 'ended'
    // An end without children: some servers say so after trimming, or of an open shard. Ask again from the last record,
    // not for ever; a closed shard that keeps to it has ended.
    if (cursor.mayReopen()) return 'go-on'
    return (await read.isClosed(false)) || (await read.isClosed(true)) ? 'ended' : 'give-up'
  }
  if (newestMillis >= read.from.untilMillis) return 'caught-up'
  // kinesis-local says 0 while records of the newest millisecond are still to come: only an empty page proves the tip.
  if (page.records.length > 0) return 'go-on'
  if (page.millisBehindLatest !== 0) {
    if (emptyPages >= MAX_EMPTY_PAGES) throw stuck(read, page)
    return 'go-on'
  }
  if (!(await read.isClosed(false))) return 'caught-up'
  return emptyPages >= EMPTY_PAGES_AT_CLOSED_TIP ? 'ended' : 'go-on'
}

const stuck = ({ stream, shardId }: ShardRead, { millisBehindLatest }: KinesisPage): FirnError =>
  new FirnError(
    'unavailable',
    'FIRN_STREAM_UNAVAILABLE',
    `shard ${shardId} of stream ${stream}: ${MAX_EMPTY_PAGES} pages without a record came no nearer to the tip`,
    {
      detail: { stream, shardId, ...(millisBehindLatest === null ? {} : { millisBehindLatest }) },
      help: 'Run land again; a server that keeps to it has lost its place in the shard.',
    },
  )

/**
 * Kinesis forgets after the retention period, and then goes on reading behind the loss without a word. Whoever was
 * not at the tip for that long may have lost records: between runs, or inside one that was held up.
 */
class RetentionWatch {
  readonly #read: ShardRead
  /** The shard was read up to there; 0: not known. */
  #knownMillis: number
  /** By now what follows may be gone. Reported once; a server that hands out older records does not go by its retention. */
  #passed = false

  constructor(read: ShardRead) {
    this.#read = read
    this.#knownMillis = Math.max(read.from.caughtUpMillis ?? 0, read.from.lastChunk?.maxArrivalMillis ?? 0)
  }

  /** Asked before each call. True when the time ran out since the last page, or before the first. */
  mayHaveLost(): boolean {
    const passed = this.#isPast()
    const isNews = passed && !this.#passed
    this.#passed = passed
    return isNews
  }

  readUntil(newestMillis: number): void {
    this.#knownMillis = Math.max(this.#knownMillis, newestMillis)
    this.#passed = this.#isPast()
  }

  #isPast(): boolean {
    const { clock, from } = this.#read
    const retentionMillis = Math.min(this.#read.retentionMillis, from.retentionMillis ?? Number.POSITIVE_INFINITY)
    return this.#knownMillis > 0 && retentionMillis > 0 && clock.nowMillis() - this.#knownMillis > retentionMillis
  }
}

/** The place in the shard: an iterator, and the position to get a new one from. */
class ShardCursor {
  /** The position to go on from was gone, reading began anew at the oldest record left. */
  trimmed = false
  readonly #read: ShardRead
  #seen: string
  #iterator: string | undefined
  /** The iterator that we read by, or the one that it grew from, was seen to be of the right stream. */
  #confirmed = false
  #reopens = 0
  #nextCallMillis = 0

  constructor(read: ShardRead) {
    this.#read = read
    this.#seen = read.from.after
  }

  /** The next page, by a new iterator where the old one is no good. `'vanished'`: the shard itself is gone. */
  async next(): Promise<KinesisPage | 'vanished'> {
    for (;;) {
      try {
        const page = await this.#fetch()
        const last = page.records.at(-1)?.sequenceNumber
        if (last !== undefined) {
          if (comparePositions(last, this.#seen) > 0) this.#seen = last
          this.#reopens = 0
        }
        this.#iterator = page.nextIterator
        return page
      } catch (error) {
        this.#iterator = undefined
        if (FirnError.is(error, 'FIRN_ITERATOR_EXPIRED')) {
          this.#read.onExpired?.()
          if (!this.mayReopen()) throw error
        } else if (FirnError.is(error, 'FIRN_STREAM_NOT_FOUND')) {
          await this.#read.sameStream(this.#read.stream, this.#read.signal)
          if (this.trimmed || this.#seen === START_POSITION) return 'vanished'
          this.trimmed = true
        } else throw error
      }
    }
  }

  mayReopen(): boolean {
    return ++this.#reopens <= MAX_REOPENS
  }

  async confirm(): Promise<void> {
    if (this.#confirmed) return
    await this.#read.sameStream(this.#read.stream, this.#read.signal)
    this.#confirmed = true
  }

  async #fetch(): Promise<KinesisPage> {
    const { api, stream, shardId, clock, pageRecords, signal, onThrottled } = this.#read
    const limit = pageRecords === undefined ? {} : { limit: pageRecords }
    const retrying = <T>(attempt: () => Promise<T>): Promise<T> =>
      withRetries(clock, patientRetries, { signal, onThrottled }, attempt)
    if (this.#iterator === undefined) {
      this.#confirmed = false
      this.#iterator = await retrying(() => api.getShardIterator(stream, shardId, this.#position(), { signal }))
    }
    const iterator = this.#iterator
    return await retrying(async () => {
      await this.#keepPace()
      const page = await api.getRecords(iterator, { ...limit, signal })
      const bytes = page.records.reduce((sum, { data }) => sum + data.byteLength, 0)
      if (bytes >= FULL_PAGE_BYTES) this.#nextCallMillis += FULL_PAGE_PAUSE_MILLIS - MIN_INTERVAL_MILLIS
      return page
    })
  }

  /** Every call counts against the shard's limit, the refused ones and those after a new iterator too. */
  async #keepPace(): Promise<void> {
    const { clock, signal } = this.#read
    const waitMillis = this.#nextCallMillis - clock.monotonicMillis()
    if (waitMillis > 0) await clock.sleep(waitMillis, signal)
    this.#nextCallMillis = clock.monotonicMillis() + MIN_INTERVAL_MILLIS
  }

  #position(): IteratorPosition {
    if (this.trimmed) return { type: 'TRIM_HORIZON' }
    if (this.#seen !== START_POSITION) return { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: this.#seen }
    return this.#read.from.start
  }
}
