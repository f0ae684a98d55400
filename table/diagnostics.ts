/**
 * What the libraries tell whoever listens: named channels of `node:diagnostics_channel`, one message for each thing
 * that was done. Without a listener nothing is built and nothing is sent: every publisher asks `hasSubscribers` first.
 *
 * Messages hold names, counts and times, never keys of objects, contents of records or secrets. Ids are in them for log
 * lines; whoever makes metrics of them leaves those out. A channel belongs to one thread: what a worker thread does is
 * not heard in the thread that started it.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

export interface DiagnosticsChannel<Message> {
  readonly name: string
  readonly hasSubscribers: boolean
  /** Listeners run at once, in the publisher's call. */
  publish(message: Message): void
  /**
   * What `listener` throws is a warning of the process, the first time: it must not break what it is told about. (A
   * listener that was given to `node:diagnostics_channel` itself ends the process.)
   * @returns ends the subscription.
   */
  subscribe(listener: (message: Message) => void): () => void
}

/** How a commit ended: `conflict` changed nothing, `unknown` may or may not have taken effect. */
export type CommitOutcomeName = 'ok' | 'conflict' | 'unknown' | 'failed'

/** Counters of a commit, named as in Iceberg's CommitReport. Bytes are sizes of whole files. */
export interface CommitCounts {
  readonly addedDataFiles: number
  readonly removedDataFiles: number
  readonly addedDeleteFiles: number
  readonly removedDeleteFiles: number
  readonly addedRecords: number
  readonly removedRecords: number
  readonly addedFilesSizeBytes: number
  readonly removedFilesSizeBytes: number
  readonly addedPositionDeletes: number
  readonly addedEqualityDeletes: number
}

/** What the table holds after a commit; a total that its summary does not tell is `undefined`. */
export interface TableTotals {
  readonly dataFiles: number | undefined
  /** Of both kinds. */
  readonly deleteFiles: number | undefined
  /** Rows that position deletes and equality deletes name. */
  readonly positionDeletes: number | undefined
  readonly equalityDeletes: number | undefined
  readonly records: number | undefined
  readonly filesSizeBytes: number | undefined
  readonly snapshots: number
  readonly timestampMillis: number
}

/** `firn:commit`: one call that changes a table, with all of its tries. */
export interface CommitMessage {
  /** `namespace.table`, or the location of a table that was opened by it. */
  readonly table: string
  /** The snapshot's; `metadata` for a change without a snapshot, or one that failed before it had any. */
  readonly operation: 'append' | 'replace' | 'overwrite' | 'delete' | 'metadata'
  readonly outcome: CommitOutcomeName
  readonly durationMillis: number
  /** Tries, from 1; 0 when the table could not even be loaded. */
  readonly attempts: number
  /** An earlier try of the same change was found in the table. */
  readonly recovered: boolean
  readonly snapshotId: string | undefined
  readonly sequenceNumber: number | undefined
  /** `undefined` without a snapshot. */
  readonly counts: CommitCounts | undefined
  /** `undefined` when the commit did not take effect. */
  readonly totals: TableTotals | undefined
  readonly errorCode: string | undefined
}

/** `firn:scan`: one planning of a scan, named as in Iceberg's ScanReport. */
export interface ScanMessage {
  readonly table: string
  readonly snapshotId: string
  readonly planningMillis: number
  readonly totalDataManifests: number
  readonly totalDeleteManifests: number
  /** Data manifests that were read. */
  readonly scannedDataManifests: number
  readonly skippedDataManifests: number
  readonly resultDataFiles: number
  readonly resultDeleteFiles: number
  /** Files of manifests that were read, and that cannot match. */
  readonly skippedDataFiles: number
  /** Of the resulting data files. */
  readonly totalFileSizeBytes: number
}

export type StoreRequestName = 'get' | 'head' | 'put' | 'list' | 'delete'
export type StoreOutcomeName = 'ok' | 'not_found' | 'conflict' | 'failed' | 'aborted'

/** `firn:store`: one request of this thread, or those of work that was done in another thread or process. */
export type StoreMessage = StoreRequest | { readonly kind: 'tally'; readonly totals: readonly StoreTotals[] }

/** Requests of one operation that ended the same way. */
export interface StoreTotals {
  readonly op: StoreRequestName
  readonly outcome: StoreOutcomeName
  readonly requests: number
  readonly bytes: number
}

/** One request to an object store, repeats of the adapter included; a listing is one, with all its pages. */
export interface StoreRequest {
  readonly kind?: undefined
  readonly op: StoreRequestName
  readonly outcome: StoreOutcomeName
  /** Of the object's bytes that came or went; 0 for head, list and delete. */
  readonly bytes: number
  /** Of a listing: only the time in which the reader waited. */
  readonly durationMillis: number
}

/** `firn:ingest`: what happens while a stream lands. */
export type IngestMessage =
  | {
      readonly kind: 'chunk'
      readonly stream: string
      readonly shardId: string
      readonly records: number
      /** Record data, uncompressed. */
      readonly bytes: number
    }
  /** Distance of a shard's reader from its tip; `undefined`: the shard has ended. */
  | {
      readonly kind: 'lag'
      readonly stream: string
      readonly shardId: string
      readonly behindMillis: number | undefined
    }
  /** A stored chunk says that records before it were lost. */
  | { readonly kind: 'gap'; readonly stream: string; readonly shardId: string }
  /** A stream was looked up, and told its ARN. */
  | { readonly kind: 'stream'; readonly stream: string; readonly arn: string }
  | { readonly kind: 'throttled'; readonly stream: string }
  | { readonly kind: 'iterator-expired'; readonly stream: string }

/** `firn:loader`: one batch that a training program took. */
export interface LoaderMessage {
  readonly table: string
  /** Part of the table, as its user named it; `all` without one. */
  readonly split: string
  readonly rows: number
  /** How long the program waited for it. */
  readonly waitMillis: number
}

/** `firn:compaction`: what a run knows of staging, and where it stands. */
export type CompactionMessage = CompactionProgress | StagingMessage

/** What of staging a table has not consumed: as its run was planned, and again once it committed or found nothing. */
export interface StagingMessage {
  readonly kind: 'staging'
  readonly when: 'planned' | 'done'
  readonly table: string
  /** Streams that the table reads. */
  readonly streams: readonly string[]
  /** When the oldest chunk that is not consumed was written; `undefined`: there is none. */
  readonly oldestMillis: number | undefined
}

/** Absolute numbers that only grow within a stage. */
export interface CompactionProgress {
  readonly kind?: undefined
  readonly table: string
  readonly runId: string
  readonly stage: string
  readonly records: number
  readonly bytes: number
  readonly rows: number
  /** What the run will have read at its end, in the unit of `bytes`, when it is known. */
  readonly totalBytes?: number | undefined
}

export const commitChannel: DiagnosticsChannel<CommitMessage> = typed('firn:commit')
export const scanChannel: DiagnosticsChannel<ScanMessage> = typed('firn:scan')
export const storeChannel: DiagnosticsChannel<StoreMessage> = typed('firn:store')
export const ingestChannel: DiagnosticsChannel<IngestMessage> = typed('firn:ingest')
export const loaderChannel: DiagnosticsChannel<LoaderMessage> = typed('firn:loader')
export const compactionChannel: DiagnosticsChannel<CompactionMessage> = typed('firn:compaction')

function typed<Message>(name: string): DiagnosticsChannel<Message> {
  const raw: Channel = channel(name)
  return {
    name,
    get hasSubscribers() {
      return raw.hasSubscribers
    },
    publish: (message) => raw.publish(message),
    subscribe: (listener) => {
      const heard = guarded(name, listener)
      raw.subscribe(heard)
      return () => void raw.unsubscribe(heard)
    },
  }
}

/** `listener` of the channel `name`, whose failures are told once and go no further. */
export function guarded<Message>(name: string, listener: (message: Message) => void): (message: unknown) => void {
  let isKnown = false
  return (message) => {
    try {
      listener(message as Message)
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      if (!isKnown) process.emitWarning(`a listener of ${name} failed: ${text}`)
      isKnown = true
    }
  }
}
