/**
 * Kinesis in memory, with the rules that matter to a consumer: hash-range shards, iterators that expire, pages that
 * may be empty, shards that close with children, records that are trimmed. `test/contract/kinesis.ts` holds it to what
 * a server shows on the wire.
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
  readonly iteratorLifeMillis?: number
  readonly retentionMillis?: number
  /** Shards on one page of listShards. */
  readonly listPageShards?: number
  /** Records on one page of getRecords. */
  readonly pageRecords?: number
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
  records: SourceRecord[]
  /** Number of records trimmed from the front. */
  trimmed: number
}

interface MemoryStream {
  readonly createdMillis: number
  readonly shards: Map<string, MemoryShard>
  nextShard: number
}

interface Iterator {
  readonly stream: string
  readonly shardId: string
  /** Index since the shard's first record, trimmed ones included. */
  readonly index: number
  readonly madeMillis: number
  readonly emptyLeft: number
}

const MAX_HASH = 2n ** 128n - 1n
const FIRST_SEQUENCE = 49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000n

export class MemoryKinesis implements KinesisApi {
  readonly #options: MemoryKinesisOptions
  readonly #streams = new Map<string, MemoryStream>()
  readonly #calls = new Map<KinesisOperation, number>()
  #sequence = FIRST_SEQUENCE

  constructor(options: MemoryKinesisOptions) {
    this.#options = options
  }

  /** How often an operation was called. */
  calls(operation: KinesisOperation): number {
    return this.#calls.get(operation) ?? 0
  }

  createStream(name: string, shardCount: number): void {
    const createdMillis = this.#options.clock.nowMillis()
    const stream: MemoryStream = { createdMillis, shards: new Map(), nextShard: 0 }
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

  splitShard(name: string, shardId: string): string[] {
    const stream = this.#stream(name)
    const parent = this.#shard(stream, shardId)
    parent.closed = true
    const middle = (parent.low + parent.high) / 2n
    return [
      this.#addShard(stream, [shardId], parent.low, middle),
      this.#addShard(stream, [shardId], middle + 1n, parent.high),
    ]
  }

  mergeShards(name: string, first: string, second: string): string {
    const stream = this.#stream(name)
    const [a, b] = [this.#shard(stream, first), this.#shard(stream, second)]
    a.closed = true
    b.closed = true
    return this.#addShard(stream, [first, second], a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high)
  }

  /** Forget the oldest `count` records of a shard. */
  trim(name: string, shardId: string, count: number): void {
    const shard = this.#shard(this.#stream(name), shardId)
    shard.trimmed += shard.records.splice(0, count).length
  }

  /** A closed shard older than the retention period is no longer listed. */
  dropShard(name: string, shardId: string): void {
    this.#stream(name).shards.delete(shardId)
  }

  /** Put one record into a named shard. @returns its sequence number. */
  putInto(name: string, shardId: string, data: Uint8Array | string, partitionKey = 'key'): string {
    const shard = this.#shard(this.#stream(name), shardId)
    const sequenceNumber = String(++this.#sequence)
    const arrivalMillis = this.#options.clock.nowMillis() - (this.#options.behindMillis ?? 0)
    shard.records.push({ sequenceNumber, partitionKey, arrivalMillis, data: Buffer.from(data) })
    return sequenceNumber
  }

  async describeStream(name: string): Promise<StreamDescription> {
    this.#enter('describeStream')
    const { createdMillis } = this.#stream(name)
    return { createdMillis, status: 'ACTIVE', retentionMillis: this.#options.retentionMillis ?? 86_400_000 }
  }

  async listShards(
    name: string,
    options: { readonly nextToken?: string; readonly maxResults?: number } = {},
  ): Promise<{ shards: KinesisShard[]; nextToken: string | undefined }> {
    this.#enter('listShards')
    const all = [...this.#stream(name).shards.values()]
    const start = options.nextToken === undefined ? 0 : Number(options.nextToken.split('/')[1])
    const size = options.maxResults ?? this.#options.listPageShards ?? 1_000
    const shards = all.slice(start, start + size).map(({ id, parents, closed }) => ({ shardId: id, parents, closed }))
    return { shards, nextToken: start + size < all.length ? `${name}/${start + size}` : undefined }
  }

  async getShardIterator(name: string, shardId: string, position: IteratorPosition): Promise<string> {
    this.#enter('getShardIterator')
    const shard = this.#shard(this.#stream(name), shardId)
    const nowMillis = this.#options.clock.nowMillis() - (this.#options.behindMillis ?? 0)
    if (position.type === 'AT_TIMESTAMP' && position.timestampMillis > nowMillis) {
      throw new FirnError('invalid', 'FIRN_STREAM_REQUEST_INVALID', 'the timestamp is later than now')
    }
    return this.#iterator(name, shardId, indexOf(shard, position))
  }

  async getRecords(token: string, options: { readonly limit?: number } = {}): Promise<KinesisPage> {
    this.#enter('getRecords')
    const { clock, iteratorLifeMillis = 300_000, neverEnds = false } = this.#options
    const iterator = JSON.parse(token) as Iterator
    if (clock.nowMillis() - iterator.madeMillis > iteratorLifeMillis) {
      throw new FirnError('unavailable', 'FIRN_ITERATOR_EXPIRED', 'iterator is too old')
    }
    const stream = this.#stream(iterator.stream)
    const shard = this.#shard(stream, iterator.shardId)
    const start = Math.max(iterator.index - shard.trimmed, 0)
    const size = Math.min(options.limit ?? 10_000, this.#options.pageRecords ?? 10_000)
    const hold = iterator.emptyLeft > 0 && start < shard.records.length
    const records = hold ? [] : shard.records.slice(start, start + size)
    const next = start + records.length
    const oldestLeft = shard.records[next]
    const atEnd = shard.closed && oldestLeft === undefined
    const children = [...stream.shards.values()].filter((child) => child.parents.includes(shard.id))
    const emptyLeft = hold ? iterator.emptyLeft - 1 : (this.#options.emptyPages ?? 0)
    return {
      records,
      nextIterator:
        atEnd && !neverEnds ? undefined : this.#iterator(iterator.stream, shard.id, shard.trimmed + next, emptyLeft),
      millisBehindLatest: this.#behind(shard, records.at(-1), oldestLeft),
      childShards: atEnd && !neverEnds ? children.map(({ id }) => id) : [],
    }
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
    return Math.max(this.#options.clock.nowMillis() - oldestLeft.arrivalMillis, 1)
  }

  #enter(operation: KinesisOperation): void {
    const call = this.calls(operation) + 1
    this.#calls.set(operation, call)
    this.#options.fault?.(operation, call)
  }

  #iterator(stream: string, shardId: string, index: number, emptyLeft = this.#options.emptyPages ?? 0): string {
    const iterator: Iterator = { stream, shardId, index, madeMillis: this.#options.clock.nowMillis(), emptyLeft }
    return JSON.stringify(iterator)
  }

  #addShard(stream: MemoryStream, parents: readonly string[], low: bigint, high: bigint): string {
    const id = `shardId-${String(stream.nextShard++).padStart(12, '0')}`
    stream.shards.set(id, { id, parents, low, high, closed: false, records: [], trimmed: 0 })
    return id
  }

  #stream(name: string): MemoryStream {
    const stream = this.#streams.get(name)
    if (stream !== undefined) return stream
    throw new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', `stream ${name} was not found`)
  }

  #shard(stream: MemoryStream, shardId: string): MemoryShard {
    const shard = stream.shards.get(shardId)
    if (shard !== undefined) return shard
    throw new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', `shard ${shardId} was not found`)
  }
}

function indexOf(shard: MemoryShard, position: IteratorPosition): number {
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
      throw new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', `record ${position.sequenceNumber} was not found`)
    }
  }
}
