/**
 * Kinesis in memory, with the rules that matter to a consumer: hash-range shards, iterators that expire, pages that
 * may be empty and end at 10 MiB, shards that close with children, records that are trimmed, calls that are refused,
 * streams that are deleted and made again. `test/contract/kinesis.ts` holds it to what a server shows on the wire.
 *
 * Deterministic: time is the clock's, and nothing is drawn at random.
 */
import { createHash } from 'node:crypto'
import type {
  IteratorPosition,
  KinesisApi,
  KinesisPage,
  KinesisShard,
  PutEntry,
  PutOutcome,
  SourceRecord,
  StreamDescription,
} from '../../ingest/index.ts'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

export type KinesisOperation = 'describeStream' | 'listShards' | 'getShardIterator' | 'getRecords' | 'putRecords'

export interface MemoryKinesisOptions {
  readonly clock: Clock
  /** Of an iterator, and of a page token of listShards; default 5 minutes. */
  readonly iteratorLifeMillis?: number
  readonly retentionMillis?: number
  /** Shards on one page of listShards. */
  readonly listPageShards?: number
  /** Records on one page of getRecords. */
  readonly pageRecords?: number
  /** Record data on one page of getRecords, but for a single larger record; default 10 MiB. */
  readonly pageBytes?: number
  /**
   * Refuse what Kinesis refuses: more than 5 GetRecords or GetShardIterator calls a second and shard, and GetRecords
   * within 5 s after a page of `pageBytes`.
   */
  readonly limits?: boolean
  /** Records older than the retention, and closed shards of that age, are gone as time passes. */
  readonly trims?: boolean
  /** Like AWS: reading after a record that was trimmed begins at the oldest one left. Default: not found. */
  readonly skipsTrimmed?: boolean
  /** Every so many pages of an open shard come without a next iterator, as if it had ended. */
  readonly nullIteratorEvery?: number
  /** Empty pages before each page with records, as after a long idle time. */
  readonly emptyPages?: number
  /** Like kinesis-local: 0 behind as soon as the newest millisecond was reached, though more of it is to come. */
  readonly coarseBehind?: boolean
  /** Like some emulators: a closed shard never says that it ended. */
  readonly neverEnds?: boolean
  /** How far the server's clock is behind `clock`. */
  readonly behindMillis?: number
  /** Called before each operation; what it throws is the answer. `call` counts from 1 per operation. */
  readonly fault?: (operation: KinesisOperation, call: number) => void
}

interface MemoryShard {
  readonly id: string
  readonly parents: readonly string[]
  /** Hash keys `[low, high]`. */
  readonly low: bigint
  readonly high: bigint
  closed: boolean
  closedMillis: number
  records: SourceRecord[]
  /** Number of records trimmed from the front. */
  trimmed: number
  /** When GetRecords and GetShardIterator were answered last, newest at the end. */
  readonly answered: { readonly getRecords: number[]; readonly getShardIterator: number[] }
  /** GetRecords is refused until then. */
  busyUntilMillis: number
  pages: number
}

interface MemoryStream {
  /** Iterators of an earlier stream of the same name are of no use. */
  readonly incarnation: number
  readonly createdMillis: number
  readonly shards: Map<string, MemoryShard>
  nextShard: number
}

interface Iterator {
  readonly stream: string
  readonly incarnation: number
  readonly shardId: string
  /** Index since the shard's first record, trimmed ones included. */
  readonly index: number
  readonly madeMillis: number
  readonly emptyLeft: number
}

/** What may happen to one stream, for simulations that draw what happens next. */
export interface StreamControl {
  /** Open shards by their hash ranges, so that neighbours can be merged. */
  openShards(): string[]
  /** @returns the children. */
  split(shardId: string): string[]
  /** @returns the child. */
  merge(first: string, second: string): string
  /** Records that arrived before that time are gone, and shards that closed before it and hold nothing any more. */
  trim(beforeMillis: number): void
  /** The stream begins anew under its name, with the same shard ids; a second must pass between creations. */
  deleteAndRecreate(shards?: number): void
}

const CALLS_PER_SECOND = 5
const FULL_PAGE_BYTES = 10 * 1024 * 1024
const FULL_PAGE_SHARE = 0.95
const FULL_PAGE_PENALTY_MILLIS = 5_000

const MAX_HASH = 2n ** 128n - 1n
const FIRST_SEQUENCE = 49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000n

export class MemoryKinesis implements KinesisApi {
  readonly #options: MemoryKinesisOptions
  readonly #streams = new Map<string, MemoryStream>()
  readonly #calls = new Map<KinesisOperation, number>()
  #sequence = FIRST_SEQUENCE
  #incarnations = 0

  constructor(options: MemoryKinesisOptions) {
    this.#options = options
  }

  /** How often an operation was called. */
  calls(operation: KinesisOperation): number {
    return this.#calls.get(operation) ?? 0
  }

  createStream(name: string, shardCount: number): void {
    const createdMillis = this.#options.clock.nowMillis()
    const stream: MemoryStream = { incarnation: ++this.#incarnations, createdMillis, shards: new Map(), nextShard: 0 }
    this.#streams.set(name, stream)
    const width = (MAX_HASH + 1n) / BigInt(shardCount)
    for (let i = 0n; i < BigInt(shardCount); i++) {
      const high = i + 1n === BigInt(shardCount) ? MAX_HASH : width * (i + 1n) - 1n
      this.#addShard(stream, [], width * i, high)
    }
  }

  deleteStream(name: string): void {
    this.#streams.delete(name)
  }

  control(name: string): StreamControl {
    return {
      openShards: () =>
        [...this.#stream(name).shards.values()]
          .filter(({ closed }) => !closed)
          .sort((a, b) => (a.low < b.low ? -1 : 1))
          .map(({ id }) => id),
      split: (shardId) => this.splitShard(name, shardId),
      merge: (first, second) => this.mergeShards(name, first, second),
      trim: (beforeMillis) => this.trimBefore(name, beforeMillis),
      deleteAndRecreate: (shards = 1) => {
        this.deleteStream(name)
        this.createStream(name, shards)
      },
    }
  }

  splitShard(name: string, shardId: string): string[] {
    const stream = this.#stream(name)
    const parent = this.#shard(stream, shardId)
    this.#closeShard(parent)
    const middle = (parent.low + parent.high) / 2n
    return [
      this.#addShard(stream, [shardId], parent.low, middle),
      this.#addShard(stream, [shardId], middle + 1n, parent.high),
    ]
  }

  mergeShards(name: string, first: string, second: string): string {
    const stream = this.#stream(name)
    const [a, b] = [this.#shard(stream, first), this.#shard(stream, second)]
    this.#closeShard(a)
    this.#closeShard(b)
    return this.#addShard(stream, [first, second], a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high)
  }

  /** Forget the oldest `count` records of a shard. */
  trim(name: string, shardId: string, count: number): void {
    const shard = this.#shard(this.#stream(name), shardId)
    shard.trimmed += shard.records.splice(0, count).length
  }

  /** What time does: see `StreamControl.trim`. */
  trimBefore(name: string, beforeMillis: number): void {
    const stream = this.#stream(name)
    for (const shard of stream.shards.values()) {
      const keep = shard.records.findIndex(({ arrivalMillis }) => arrivalMillis >= beforeMillis)
      shard.trimmed += shard.records.splice(0, keep < 0 ? shard.records.length : keep).length
      const isExpired = shard.closed && shard.closedMillis < beforeMillis && shard.records.length === 0
      if (isExpired) stream.shards.delete(shard.id)
    }
  }

  /** A closed shard older than the retention period is no longer listed. */
  dropShard(name: string, shardId: string): void {
    this.#stream(name).shards.delete(shardId)
  }

  /** Put one record into a named shard. @returns its sequence number. */
  putInto(name: string, shardId: string, data: Uint8Array | string, partitionKey = 'key'): string {
    const shard = this.#shard(this.#stream(name), shardId)
    const sequenceNumber = String(++this.#sequence)
    const arrivalMillis = this.#now()
    shard.records.push({ sequenceNumber, partitionKey, arrivalMillis, data: Buffer.from(data) })
    return sequenceNumber
  }

  async describeStream(name: string): Promise<StreamDescription> {
    this.#enter('describeStream')
    const { createdMillis } = this.#stream(name)
    return { createdMillis, status: 'ACTIVE', retentionMillis: this.#retentionMillis() }
  }

  async listShards(
    name: string,
    options: { readonly nextToken?: string; readonly maxResults?: number } = {},
  ): Promise<{ shards: KinesisShard[]; nextToken: string | undefined }> {
    this.#enter('listShards')
    const all = [...this.#stream(name).shards.values()]
    const [, from, madeMillis] = options.nextToken?.split('/') ?? []
    if (madeMillis !== undefined) this.#checkAge(Number(madeMillis), 'page token')
    const start = Number(from ?? 0)
    const size = options.maxResults ?? this.#options.listPageShards ?? 1_000
    const shards = all.slice(start, start + size).map(({ id, parents, closed }) => ({ shardId: id, parents, closed }))
    return { shards, nextToken: start + size < all.length ? `${name}/${start + size}/${this.#now()}` : undefined }
  }

  async getShardIterator(name: string, shardId: string, position: IteratorPosition): Promise<string> {
    this.#enter('getShardIterator')
    const shard = this.#shard(this.#stream(name), shardId)
    this.#checkRate(shard, 'getShardIterator')
    if (position.type === 'AT_TIMESTAMP' && position.timestampMillis > this.#now()) {
      throw new FirnError('invalid', 'FIRN_STREAM_REQUEST_INVALID', 'the timestamp is later than now')
    }
    return this.#iterator(name, shardId, indexOf(shard, position, this.#options))
  }

  async getRecords(token: string, options: { readonly limit?: number } = {}): Promise<KinesisPage> {
    this.#enter('getRecords')
    const { neverEnds = false, nullIteratorEvery = 0 } = this.#options
    const iterator = JSON.parse(token) as Iterator
    this.#checkAge(iterator.madeMillis, 'iterator')
    const stream = this.#stream(iterator.stream)
    if (stream.incarnation !== iterator.incarnation) throw notFound(`the iterator's stream ${iterator.stream}`)
    const shard = this.#shard(stream, iterator.shardId)
    this.#checkRate(shard, 'getRecords')
    const start = Math.max(iterator.index - shard.trimmed, 0)
    const hold = iterator.emptyLeft > 0 && start < shard.records.length
    const records = hold ? [] : this.#page(shard, start, options.limit)
    const next = start + records.length
    const oldestLeft = shard.records[next]
    const atEnd = shard.closed && oldestLeft === undefined && !neverEnds
    const children = [...stream.shards.values()].filter((child) => child.parents.includes(shard.id))
    const emptyLeft = hold ? iterator.emptyLeft - 1 : (this.#options.emptyPages ?? 0)
    const cut = nullIteratorEvery > 0 && ++shard.pages % nullIteratorEvery === 0
    const following = (): string => this.#iterator(iterator.stream, shard.id, shard.trimmed + next, emptyLeft)
    return {
      records,
      nextIterator: atEnd || cut ? undefined : following(),
      millisBehindLatest: this.#behind(shard, records.at(-1), oldestLeft),
      childShards: atEnd ? children.map(({ id }) => id) : [],
    }
  }

  #page(shard: MemoryShard, start: number, limit = 10_000): SourceRecord[] {
    const { pageRecords = 10_000, pageBytes = FULL_PAGE_BYTES } = this.#options
    const most = Math.min(limit, pageRecords)
    const records: SourceRecord[] = []
    let bytes = 0
    for (const record of shard.records.slice(start, start + most)) {
      if (records.length > 0 && bytes + record.data.byteLength > pageBytes) break
      records.push(record)
      bytes += record.data.byteLength
    }
    // The last record rarely fits to the byte.
    if (bytes >= pageBytes * FULL_PAGE_SHARE) shard.busyUntilMillis = this.#now() + FULL_PAGE_PENALTY_MILLIS
    return records
  }

  async putRecords(name: string, entries: readonly PutEntry[]): Promise<PutOutcome[]> {
    this.#enter('putRecords')
    const stream = this.#stream(name)
    return entries.map(({ partitionKey, data }) => {
      const hash = BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
      const shard = [...stream.shards.values()].find(({ closed, low, high }) => !closed && low <= hash && hash <= high)
      const shardId = shard?.id as string
      return { ok: true, shardId, sequenceNumber: this.putInto(name, shardId, data, partitionKey) }
    })
  }

  close(): void {}

  #behind(shard: MemoryShard, last: SourceRecord | undefined, oldestLeft: SourceRecord | undefined): number {
    if (oldestLeft === undefined) return 0
    if (this.#options.coarseBehind === true && last !== undefined) {
      return (shard.records.at(-1)?.arrivalMillis ?? 0) - last.arrivalMillis
    }
    return Math.max(this.#now() - oldestLeft.arrivalMillis, 1)
  }

  #now(): number {
    return Math.floor(this.#options.clock.nowMillis()) - (this.#options.behindMillis ?? 0)
  }

  #retentionMillis(): number {
    return this.#options.retentionMillis ?? 86_400_000
  }

  #closeShard(shard: MemoryShard): void {
    if (shard.closed) throw new FirnError('invalid', 'FIRN_STREAM_REQUEST_INVALID', `shard ${shard.id} is closed`)
    shard.closed = true
    shard.closedMillis = this.#now()
  }

  #checkAge(madeMillis: number, what: string): void {
    if (this.#now() - madeMillis <= (this.#options.iteratorLifeMillis ?? 300_000)) return
    throw new FirnError('unavailable', 'FIRN_ITERATOR_EXPIRED', `${what} is too old`)
  }

  #checkRate(shard: MemoryShard, operation: 'getRecords' | 'getShardIterator'): void {
    if (this.#options.limits !== true) return
    const now = this.#now()
    const answered = shard.answered[operation]
    while (answered[0] !== undefined && answered[0] <= now - 1_000) answered.shift()
    const tooMany = answered.length >= CALLS_PER_SECOND
    if (tooMany || (operation === 'getRecords' && now < shard.busyUntilMillis)) {
      throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', `${operation} of ${shard.id}: rate exceeded`)
    }
    answered.push(now)
  }

  #enter(operation: KinesisOperation): void {
    const call = this.calls(operation) + 1
    this.#calls.set(operation, call)
    this.#options.fault?.(operation, call)
    if (this.#options.trims !== true) return
    for (const name of this.#streams.keys()) this.trimBefore(name, this.#now() - this.#retentionMillis())
  }

  #iterator(stream: string, shardId: string, index: number, emptyLeft = this.#options.emptyPages ?? 0): string {
    const { incarnation } = this.#stream(stream)
    const iterator: Iterator = { stream, incarnation, shardId, index, madeMillis: this.#now(), emptyLeft }
    return JSON.stringify(iterator)
  }

  #addShard(stream: MemoryStream, parents: readonly string[], low: bigint, high: bigint): string {
    const id = `shardId-${String(stream.nextShard++).padStart(12, '0')}`
    stream.shards.set(id, {
      ...{ id, parents, low, high, closed: false, closedMillis: 0, records: [], trimmed: 0 },
      ...{ answered: { getRecords: [], getShardIterator: [] }, busyUntilMillis: 0, pages: 0 },
    })
    return id
  }

  #stream(name: string): MemoryStream {
    const stream = this.#streams.get(name)
    if (stream !== undefined) return stream
    throw notFound(`stream ${name}`)
  }

  #shard(stream: MemoryStream, shardId: string): MemoryShard {
    const shard = stream.shards.get(shardId)
    if (shard !== undefined) return shard
    throw notFound(`shard ${shardId}`)
  }
}

const notFound = (what: string): FirnError =>
  new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', `${what} was not found`)

function indexOf(
  shard: MemoryShard,
  position: IteratorPosition,
  { skipsTrimmed = false }: MemoryKinesisOptions,
): number {
  const { records, trimmed } = shard
  switch (position.type) {
    case 'TRIM_HORIZON':
      return trimmed
    case 'LATEST':
      return trimmed + records.length
    case 'AT_TIMESTAMP': {
      const index = records.findIndex(({ arrivalMillis }) => arrivalMillis >= position.timestampMillis)
      return trimmed + (index < 0 ? records.length : index)
    }
    case 'AFTER_SEQUENCE_NUMBER': {
      const index = records.findIndex(({ sequenceNumber }) => sequenceNumber === position.sequenceNumber)
      if (index >= 0) return trimmed + index + 1
      if (!skipsTrimmed) throw notFound(`record ${position.sequenceNumber}`)
      const after = BigInt(position.sequenceNumber)
      const left = records.findIndex(({ sequenceNumber }) => BigInt(sequenceNumber) > after)
      return trimmed + (left < 0 ? records.length : left)
    }
  }
}
