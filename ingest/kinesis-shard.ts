/**
 * Reading one shard up to the run's start. What shapes the loop (AWS API reference: GetRecords, GetShardIterator): a
 * page may be empty far from the tip, `MillisBehindLatest` tells; an iterator lives 5 minutes; a closed shard ends with
 * no next iterator and its children; after a full page of 10 MiB, calls are refused for 5 s.
 */
import type { Clock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { AbortableOptions } from '../table/io/object-store.ts'
import type { IteratorPosition, KinesisApi, KinesisPage } from './kinesis-api.ts'
import { comparePositions, START_POSITION } from './positions.ts'
import { patientRetries, withRetries } from './retry.ts'
import type { ResumePoint, SourcePage } from './source.ts'

export interface ShardRead extends AbortableOptions {
  readonly api: KinesisApi
  readonly stream: string
  readonly clock: Clock
  readonly shardId: string
  readonly from: ResumePoint
  readonly retentionMillis: number
  readonly pageRecords: number | undefined
  /** Whether the shard was closed when the shards were listed; `again`: list them now. */
  isClosed(again: boolean): Promise<boolean>
}

/** Five calls a second and shard are allowed, shared with all other consumers. */
const MIN_INTERVAL_MILLIS = 200
const FULL_PAGE_BYTES = 9.5 * 1024 * 1024
const FULL_PAGE_PAUSE_MILLIS = 5_000
/** Each empty page moves on inside the shard; this many in a row are a fault of the server. */
const MAX_EMPTY_PAGES = 2_000
/** Emulators exist that never end a closed shard: at the tip, this many empty pages do. */
const EMPTY_PAGES_AT_CLOSED_TIP = 5
/** Times that a new iterator is tried after one expired at once, or ended a shard that is still open. */
const MAX_REOPENS = 5

/** Pages until the shard's end, its tip, or a record that arrived at or after `from.untilMillis`. */
export async function* readShard(read: ShardRead): AsyncGenerator<SourcePage, void, undefined> {
  const { clock, signal } = read
  const cursor = new ShardCursor(read)
  let gap = mayHaveLost(read)
  let nextCallMillis = 0
  let emptyPages = 0
  for (;;) {
    const waitMillis = nextCallMillis - clock.monotonicMillis()
    if (waitMillis > 0) await clock.sleep(waitMillis, signal)
    const calledMillis = clock.monotonicMillis()
    const page = await cursor.next()
    if (page === 'vanished') return
    if (cursor.trimmed) gap = true
    let pageBytes = 0
    let newestMillis = 0
    for (const record of page.records) {
      pageBytes += record.data.byteLength
      newestMillis = Math.max(newestMillis, record.arrivalMillis)
    }
    emptyPages = page.records.length === 0 ? emptyPages + 1 : 0
    nextCallMillis = calledMillis + (pageBytes >= FULL_PAGE_BYTES ? FULL_PAGE_PAUSE_MILLIS : MIN_INTERVAL_MILLIS)
    const verdict = await judge(read, cursor, page, { emptyPages, newestMillis })
    const { records, millisBehindLatest } = page
    const ended = verdict === 'ended'
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
    if (page.childShards.length > 0 || (await read.isClosed(false)) || (await read.isClosed(true))) return 'ended'
    // An open shard has no end: some servers say so after trimming. Ask again from the last record, not for ever.
    return cursor.mayReopen() ? 'go-on' : 'give-up'
  }
  if (newestMillis >= read.from.untilMillis) return 'caught-up'
  // kinesis-local says 0 while records of the newest millisecond are still to come: only an empty page proves the tip.
  if (page.records.length > 0) return 'go-on'
  if (page.millisBehindLatest !== 0) return emptyPages >= MAX_EMPTY_PAGES ? 'give-up' : 'go-on'
  if (!(await read.isClosed(false))) return 'caught-up'
  return emptyPages >= EMPTY_PAGES_AT_CLOSED_TIP ? 'ended' : 'go-on'
}

/**
 * Kinesis forgets after the retention period, and then goes on reading behind the loss without a word. Whoever was
 * not at the tip for that long may have lost records.
 */
function mayHaveLost({ from, clock, retentionMillis }: ShardRead): boolean {
  const known = Math.max(from.caughtUpMillis ?? 0, from.lastChunk?.maxArrivalMillis ?? 0)
  return known > 0 && retentionMillis > 0 && clock.nowMillis() - known > retentionMillis
}

/** The place in the shard: an iterator, and the position to get a new one from. */
class ShardCursor {
  /** The position to go on from was gone, reading began anew at the oldest record left. */
  trimmed = false
  readonly #read: ShardRead
  #seen: string
  #iterator: string | undefined
  #reopens = 0

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
          if (!this.mayReopen()) throw error
        } else if (FirnError.is(error, 'FIRN_STREAM_NOT_FOUND')) {
          if (this.trimmed || this.#seen === START_POSITION) return 'vanished'
          this.trimmed = true
        } else throw error
      }
    }
  }

  mayReopen(): boolean {
    return ++this.#reopens <= MAX_REOPENS
  }

  async #fetch(): Promise<KinesisPage> {
    const { api, stream, shardId, clock, pageRecords, signal } = this.#read
    const limit = pageRecords === undefined ? {} : { limit: pageRecords }
    const retrying = <T>(attempt: () => Promise<T>): Promise<T> =>
      withRetries(clock, patientRetries, { signal }, attempt)
    this.#iterator ??= await retrying(() => api.getShardIterator(stream, shardId, this.#position(), { signal }))
    const iterator = this.#iterator
    return retrying(() => api.getRecords(iterator, { ...limit, signal }))
  }

  #position(): IteratorPosition {
    if (this.trimmed) return { type: 'TRIM_HORIZON' }
    if (this.#seen !== START_POSITION) return { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: this.#seen }
    return this.#read.from.start
  }
}
