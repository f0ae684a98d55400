/**
 * Kinesis as firn needs it, free of the SDK's names. `kinesis.ts` is the adapter to the real thing; the contract in
 * `test/contract/kinesis.ts` is what every implementation shows.
 *
 * Failures are `FirnError`s:
 * - `FIRN_STREAM_NOT_FOUND` (not-found): no such stream, shard, or no record at that position any more;
 * - `FIRN_STREAM_THROTTLED` (unavailable): a limit of Kinesis was hit; nothing was returned, back off;
 * - `FIRN_STREAM_UNAVAILABLE` (unavailable): no answer, or a server's error;
 * - `FIRN_ITERATOR_EXPIRED` (unavailable): an iterator or page token is too old, get a new one;
 * - `FIRN_NO_CREDENTIALS`, `FIRN_NO_REGION`, `FIRN_STREAM_DENIED`, `FIRN_STREAM_REQUEST_INVALID` (invalid).
 */
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { SourceRecord } from '../staging/chunk-rows.ts'

export interface StreamDescription {
  readonly createdMillis: number
  /** `ACTIVE` and `UPDATING` can be read. */
  readonly status: string
  readonly retentionMillis: number
}

export interface KinesisShard {
  readonly shardId: string
  /** One after a split, two after a merge, none for the first shards. They may be gone already. */
  readonly parents: readonly string[]
  /** No record will be added any more. */
  readonly closed: boolean
}

export type IteratorPosition =
  | { readonly type: 'TRIM_HORIZON' }
  | { readonly type: 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMillis: number }
  | { readonly type: 'AFTER_SEQUENCE_NUMBER'; readonly sequenceNumber: string }

export interface KinesisPage {
  /** In the shard's order. No record does not mean that the tip was reached. */
  readonly records: readonly SourceRecord[]
  /** Valid for 5 minutes; none: the shard was read to its end. */
  readonly nextIterator: string | undefined
  /** 0: nothing newer when the page was made. `null` when the server does not say. */
  readonly millisBehindLatest: number | null
  /** On the last page of a closed shard. */
  readonly childShards: readonly string[]
}

export interface PutEntry {
  readonly partitionKey: string
  readonly data: Uint8Array
}

/** Outcome of one entry, by index. */
export type PutOutcome =
  | { readonly ok: true; readonly shardId: string; readonly sequenceNumber: string }
  | { readonly ok: false; readonly code: string; readonly message: string }

export interface KinesisApi {
  describeStream(stream: string, options?: AbortableOptions): Promise<StreamDescription>
  listShards(
    stream: string,
    options?: AbortableOptions & { readonly nextToken?: string; readonly maxResults?: number },
  ): Promise<{ readonly shards: readonly KinesisShard[]; readonly nextToken: string | undefined }>
  getShardIterator(
    stream: string,
    shardId: string,
    position: IteratorPosition,
    options?: AbortableOptions,
  ): Promise<string>
  /** At most `limit` records, 10,000 unless told, and 10 MiB. */
  getRecords(iterator: string, options?: AbortableOptions & { readonly limit?: number }): Promise<KinesisPage>
  /** At most 500 entries and 5 MiB; single entries may fail while others succeed. */
  putRecords(stream: string, entries: readonly PutEntry[], options?: AbortableOptions): Promise<readonly PutOutcome[]>
  /** Release connections. */
  close(): void
}
