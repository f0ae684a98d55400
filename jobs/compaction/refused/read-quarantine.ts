/**
 * Refused records read back, a line at a time: what an object holds is not in memory at once, and an object that
 * somebody made to explode is refused once it is larger than any that this package writes.
 */
import { createZstdDecompress } from 'node:zlib'
import { FirnError } from '../../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../../table/io/object-store.ts'
import { MAX_OBJECT_BYTES, type QuarantinedRecord } from './quarantine.ts'

/** One record of 64 MiB as base64, and its other members. */
const MAX_LINE_BYTES = 96 * 1024 * 1024
const PIECE_BYTES = 256 * 1024
const NEWLINE = 0x0a

export interface ReadQuarantineOptions extends AbortableOptions {
  /** Lines that the JSON manifest lists: another number is a fault. Default: not checked. */
  readonly rows?: number | undefined
}

/**
 * The records of one object, in the order in which they were refused.
 * @param store the warehouse.
 * @param path key in the warehouse.
 * @throws {FirnError} `FIRN_QUARANTINE_CORRUPT` (corrupt), which names object and line; `FIRN_OBJECT_NOT_FOUND`
 *   (not-found).
 */
export async function* readQuarantine(
  store: ObjectStore,
  path: string,
  { signal, rows }: ReadQuarantineOptions = {},
): AsyncGenerator<QuarantinedRecord, void, undefined> {
  const { bytes } = await store.get(path, { signal })
  const corrupt = (line: number, what: string, cause?: unknown): FirnError =>
    new FirnError('corrupt', 'FIRN_QUARANTINE_CORRUPT', `refused records ${store.url}/${path}, line ${line}: ${what}`, {
      cause,
      detail: { path, line },
      help: 'restore the object from a backup or a bucket version; no record of it was replayed',
    })
  let line = 0
  for await (const text of linesOf(bytes, (what, cause) => corrupt(line + 1, what, cause))) {
    line++
    signal?.throwIfAborted()
    let json: unknown
    try {
      json = JSON.parse(text.toString('utf8'))
    } catch (cause) {
      throw corrupt(line, 'it is not JSON', cause)
    }
    const fault = faultOf(json)
    if (fault !== undefined) throw corrupt(line, fault)
    yield json as QuarantinedRecord
  }
  if (rows !== undefined && rows !== line) throw corrupt(line, `it is the last one, expected ${rows} lines`)
}

/** Each line without its end. */
async function* linesOf(
  bytes: Uint8Array,
  corrupt: (what: string, cause?: unknown) => FirnError,
): AsyncGenerator<Buffer, void, undefined> {
  const inflater = createZstdDecompress({ chunkSize: PIECE_BYTES })
  inflater.end(bytes)
  let held: Buffer[] = []
  let heldBytes = 0
  let total = 0
  try {
    for await (const piece of inflater as AsyncIterable<Buffer>) {
      total += piece.length
      let start = 0
      for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
        yield Buffer.concat([...held, piece.subarray(start, end)])
        held = []
        heldBytes = 0
        start = end + 1
      }
      if (start < piece.length) held.push(piece.subarray(start))
      heldBytes += piece.length - start
      if (heldBytes > MAX_LINE_BYTES) throw corrupt(`it is longer than ${MAX_LINE_BYTES} bytes`)
      if (total > MAX_OBJECT_BYTES + MAX_LINE_BYTES) throw corrupt(`the object holds over ${total} bytes of text`)
    }
  } catch (error) {
    if (error instanceof FirnError || !isZlib(error)) throw error
    throw corrupt('the object does not decompress', error)
  } finally {
    inflater.destroy()
  }
  if (heldBytes > 0) throw corrupt('it has no end')
}

const isZlib = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  /^(ZSTD_|Z_|ERR_ZLIB|ERR_ZSTD)/.test(String((error as { code?: unknown }).code))

const TEXTS = ['errorCode', 'errorMessage', 'stream', 'shardId', 'sequenceNumber', 'partitionKey'] as const
const COUNTS = [
  'attemptsMade',
  'arrivalTimestamp',
  'attemptEndingTimestamp',
  'streamCreated',
  'subSequenceNumber',
] as const

function faultOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return 'it is no object'
  const record = json as Readonly<Record<string, unknown>>
  const text = TEXTS.find((name) => typeof record[name] !== 'string')
  if (text !== undefined) return `${text} is no text`
  const count = COUNTS.find((name) => !Number.isSafeInteger(record[name]))
  if (count !== undefined) return `${count} is no number`
  const { rawData } = record
  const isBase64 = typeof rawData === 'string' && rawData.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(rawData)
  return isBase64 ? undefined : 'rawData is not base64'
}
