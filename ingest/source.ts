/**
 * What a landing run reads from: shards, each an ordered sequence of records with positions. Kinesis
 * (kinesis/source.ts), files (files/source.ts) and objects (objects/source.ts) implement it; `land` knows neither.
 */
import type { EpochMillis } from '../table/ids.ts'
import type { AbortableOptions } from '../table/io/object-store.ts'
import type { ChunkMeta, FilePosition } from './staging/chunk.ts'
import type { SourceRecord } from './staging/chunk-rows.ts'

/** Where shards without a chain begin. LATEST is stored as the timestamp that it meant. */
export type StreamStart =
  | { readonly type: 'TRIM_HORIZON' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMillis: EpochMillis }

/** Where a stream is asked to begin; LATEST is the start of the stream's first run. */
export type RequestedStart = StreamStart | { readonly type: 'LATEST' }

export interface SourceShard {
  readonly shardId: string
  /** Shards whose records come before this one's; some may be gone already. */
  readonly parents: readonly string[]
  /** False: records may still be added to it. Absent: not known. */
  readonly closed?: boolean
}

/** Where to go on in a shard. */
export interface ResumePoint {
  /** Newest landed position; `'0'`: begin at `start`. */
  readonly after: string
  readonly start: StreamStart
  /** Last chunk of the shard's chain. */
  readonly lastChunk: ChunkMeta | undefined
  /** When the shard was last read to its tip, if it is known. */
  readonly caughtUpMillis: EpochMillis | undefined
  /** The shortest retention that may have held since `caughtUpMillis`. */
  readonly retentionMillis?: number | undefined
  /** Stop once the shard was read up to this time. */
  readonly untilMillis: EpochMillis
}

/** Some consecutive records. The arrays and bytes are valid until the next page is pulled. */
export interface SourcePage {
  /** Positions strictly ascending; they may begin at or below the resume point, `land` skips those. */
  readonly records: readonly SourceRecord[]
  /** Distance from the tip after this page; `null` where a source has none. */
  readonly millisBehindLatest: number | null
  /** Records before this page may have been lost. */
  readonly gap: boolean
  /** Nothing will ever follow. */
  readonly ended: boolean
  /** The shard was read to its tip as of `untilMillis`. */
  readonly caughtUp: boolean
  /** File sources: where the file stands after `records[index]`. */
  readonly fileAt?: (index: number) => FilePosition
  /** File sources: bytes after the last line end that were left because they are no whole line yet. */
  readonly pendingBytes?: number
  /** Object sources: ETag of the object; kept with every chunk, so that another object of the same name is noticed. */
  readonly etag?: string
}

/** What a source met since it was opened. */
export interface SourceCounts {
  /** Calls that a limit of the service refused. */
  readonly throttled: number
  /** Iterators and page tokens that grew too old and were replaced. */
  readonly expiredIterators: number
}

export interface RecordSource {
  readonly stream: string
  /** Where the stream has to begin: one that began elsewhere is refused. Absent: it goes on from where it began. */
  readonly start?: RequestedStart | undefined
  /** Where a stream without a run so far begins when `start` is absent; default TRIM_HORIZON. */
  readonly defaultStart?: RequestedStart | undefined
  /**
   * `listShards` names every shard that still exists: a chain that it does not name, and that has not ended, lost
   * its tail. Files come and go as the caller names them.
   */
  readonly listsEveryShard: boolean
  /**
   * Checks that the source is there. @returns creation time, epoch seconds; for how long records are kept, where
   * that is limited.
   */
  open(options?: AbortableOptions): Promise<{ readonly created: number; readonly retentionMillis?: number }>
  /**
   * Make the start of a first run final before it is stored: LATEST becomes a time, and the source takes it. Without
   * this method LATEST is `nowMillis`, the run's start.
   * @throws {FirnError} `FIRN_START_INVALID` (invalid) when the source refuses it.
   */
  resolveStart?(
    wanted: RequestedStart,
    options: AbortableOptions & { readonly nowMillis: EpochMillis },
  ): Promise<StreamStart>
  listShards(options?: AbortableOptions): Promise<SourceShard[]>
  /** Pages until the shard's end, its tip or `untilMillis`. Leaving the loop early releases everything. */
  read(shard: SourceShard, from: ResumePoint, options?: AbortableOptions): AsyncIterable<SourcePage>
  /**
   * Look whether a shard that was read to its end is still what was read; only sources whose shards may be replaced.
   * @throws {FirnError} `FIRN_FILE_CHANGED` (invalid).
   */
  checkEnded?(shard: SourceShard, lastChunk: ChunkMeta): void
  /** Only sources that have something to count. */
  counts?(): SourceCounts
}
