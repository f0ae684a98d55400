/**
 * Refused records, kept whole: `_quarantine/<ns>.<table>/<runId>-<n>.jsonl.zst`, one JSON object a line, with the
 * field names of Firehose's error records, so that tools for those read these.
 *
 * An object counts once the JSON manifest of a snapshot lists it; objects of runs that failed are left-overs.
 */
import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import type { AbortableOptions, ObjectStore } from '../../../table/io/object-store.ts'
import type { Refusal } from '../enrich/validate.ts'

const compress = promisify(zstdCompress)

/** Uncompressed size at which an object is closed. */
export const MAX_OBJECT_BYTES: number = 16 * 1024 * 1024

/** Where a refused record came from. */
export interface RecordOrigin {
  readonly stream: string
  /** Creation time of the stream, epoch seconds. */
  readonly created: number
  readonly shardId: string
  readonly sequenceNumber: string
  /** Of a record inside an aggregate; 0 for a record that came alone. */
  readonly subSequenceNumber?: number | undefined
  readonly partitionKey: string
  readonly arrivalMillis: number
  /** How often it was refused before; 0 for a record that comes from the stream. */
  readonly attempts?: number | undefined
}

/** One line of a quarantine object. */
export interface QuarantinedRecord {
  /** Runs that refused it, this one included. */
  readonly attemptsMade: number
  /** Milliseconds since the epoch, as in Firehose. */
  readonly arrivalTimestamp: number
  readonly errorCode: string
  readonly errorMessage: string
  /** Planned time of the run, milliseconds since the epoch. */
  readonly attemptEndingTimestamp: number
  /** The record's bytes as they came, base64. */
  readonly rawData: string
  readonly stream: string
  readonly streamCreated: number
  readonly shardId: string
  readonly sequenceNumber: string
  readonly subSequenceNumber: number
  readonly partitionKey: string
}

/** One object; part of task results and JSON manifests. */
export interface QuarantineObject {
  /** Key in the warehouse. */
  readonly path: string
  readonly rows: number
  readonly bytes: number
  /** Rows by reason. */
  readonly reasons: Readonly<Record<string, number>>
}

/** Name of an object in the property `firn.replayed`: `<runId>-<n>`. */
export const quarantineId = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.jsonl\.zst$/, '')

/** @param id as in `firn.replayed`. */
export const quarantineKey = (table: string, id: string): string => `_quarantine/${table}/${id}.jsonl.zst`

export interface QuarantineWriter {
  add(bytes: Uint8Array, origin: RecordOrigin, refusal: Refusal): Promise<void>
  /** Every object written, in order; call once, at the end. */
  close(): Promise<readonly QuarantineObject[]>
}

export interface QuarantineOptions extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** `namespace.name`. */
  readonly table: string
  readonly runId: string
  /** Number of the first object; no two writers of a run share numbers. */
  readonly firstNumber: number
  readonly plannedMillis: number
}

export function quarantineWriter(options: QuarantineOptions): QuarantineWriter {
  const objects: QuarantineObject[] = []
  let lines: string[] = []
  let bufferedBytes = 0
  let reasons = new Map<string, number>()
  const flush = async (): Promise<void> => {
    if (lines.length === 0) return
    const body = await compress(Buffer.from(`${lines.join('\n')}\n`))
    const path = quarantineKey(options.table, `${options.runId}-${options.firstNumber + objects.length}`)
    // the run id in the key is random, so a repeated put can only be our own
    await options.store.put(path, body, { signal: options.signal })
    const sorted = [...reasons].sort(([a], [b]) => (a < b ? -1 : 1))
    objects.push({ path, rows: lines.length, bytes: body.length, reasons: Object.fromEntries(sorted) })
    lines = []
    bufferedBytes = 0
    reasons = new Map()
  }
  return {
    async add(bytes, origin, refusal) {
      const line = JSON.stringify(quarantinedRecord(bytes, origin, refusal, options.plannedMillis))
      lines.push(line)
      bufferedBytes += line.length
      reasons.set(refusal.reason, (reasons.get(refusal.reason) ?? 0) + 1)
      if (bufferedBytes >= MAX_OBJECT_BYTES) await flush()
    },
    async close() {
      await flush()
      return objects
    },
  }
}

function quarantinedRecord(
  bytes: Uint8Array,
  origin: RecordOrigin,
  refusal: Refusal,
  plannedMillis: number,
): QuarantinedRecord {
  return {
    attemptsMade: (origin.attempts ?? 0) + 1,
    arrivalTimestamp: origin.arrivalMillis,
    errorCode: refusal.reason,
    errorMessage: refusal.message,
    attemptEndingTimestamp: plannedMillis,
    rawData: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
    stream: origin.stream,
    streamCreated: origin.created,
    shardId: origin.shardId,
    sequenceNumber: origin.sequenceNumber,
    subSequenceNumber: origin.subSequenceNumber ?? 0,
    partitionKey: origin.partitionKey,
  }
}

/** Rows by reason over all objects. */
export function reasonsOf(objects: readonly QuarantineObject[]): Readonly<Record<string, number>> {
  const total = new Map<string, number>()
  for (const { reasons } of objects) {
    for (const [reason, rows] of Object.entries(reasons)) total.set(reason, (total.get(reason) ?? 0) + rows)
  }
  return Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1)))
}
