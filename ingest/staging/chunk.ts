/**
 * A chunk: consecutive records of one shard as one immutable object. An Arrow IPC stream, compressed as a whole with
 * zstd: apache-arrow 21 writes its own compressed buffers with a wrong length prefix that other readers refuse.
 * Any Arrow library reads one after `zstd -d`.
 */
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import { FirnError } from '../../table/errors.ts'
import {
  type BytesColumn,
  decodeIpcMetadata,
  decodeIpcStream,
  encodeIpcStream,
  type IpcColumn,
  type IpcTable,
} from '../../table/format/arrow.ts'
import { type ChunkRows, emptyRows } from './chunk-rows.ts'
import { comparePositions, isPosition } from './positions.ts'

/** Where a file source stood after the chunk's last line: an offset into the decompressed bytes, and their digest. */
export interface FilePosition {
  readonly byteOffset: number
  /** Lower-case hexadecimal SHA-256 of the decompressed bytes `[0, byteOffset)`. */
  readonly sha256: string
}

/** What a chunk says about itself; kept in the Arrow schema's metadata. */
export interface ChunkMeta {
  readonly stream: string
  /** Creation time of the stream, epoch seconds; 0 for file sources. */
  readonly created: number
  readonly shardId: string
  /** Parents of the shard that have a chain of their own. */
  readonly parents: readonly string[]
  /** The position that the chunk continues; `'0'` is the shard's start. */
  readonly after: string
  /** Position of the last record; equal to `after` in an end marker. */
  readonly last: string
  readonly count: number
  readonly minArrivalMillis?: number
  readonly maxArrivalMillis?: number
  /** Records between `after` and the first record may have been lost. */
  readonly gap: boolean
  /** The shard was closed and every record of it is in the chain up to here. */
  readonly ended: boolean
  readonly file?: FilePosition
  /** Object sources: the ETag of the object that the records come from; end markers have it too. */
  readonly etag?: string
  /** Random id of the landing run that wrote the chunk. */
  readonly lander: string
}

export interface DecodedChunk {
  readonly meta: ChunkMeta
  readonly rows: ChunkRows
}

/** Inflating more than this is refused: a chunk holds 8 MiB, or one record (at most 64 MiB) that exceeds it. */
const MAX_CHUNK_BYTES = 192 * 1024 * 1024
const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** The object's bytes. Compression runs on the thread pool. */
export async function encodeChunk(meta: ChunkMeta, rows: ChunkRows): Promise<Uint8Array> {
  const columns: IpcColumn[] = [
    { type: 'utf8', name: 'sequence_number', ...rows.sequenceNumbers },
    { type: 'utf8', name: 'partition_key', ...rows.partitionKeys },
    { type: 'timestamp-millis', name: 'approximate_arrival_timestamp', values: rows.arrivals },
    { type: 'binary', name: 'data', ...rows.data },
  ]
  const stream = encodeIpcStream({ metadata: printMeta(meta), rowCount: rows.count, columns })
  return compress(stream, {
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: stream.byteLength,
    chunkSize: Math.max(64 * 1024, stream.byteLength >> 1),
  })
}

/** @throws {FirnError} `FIRN_CHUNK_CORRUPT` naming `name`. */
export async function decodeChunk(bytes: Uint8Array, name: string): Promise<DecodedChunk> {
  try {
    const size = contentBytes(bytes) ?? bytes.byteLength * 4
    // One buffer that all fits into, with room to spare: a full one makes zlib add a second and join them.
    const chunkSize = Math.min(Math.max(size, 4_096), MAX_CHUNK_BYTES) + 64
    const table = decodeIpcStream(await decompress(bytes, { maxOutputLength: MAX_CHUNK_BYTES, chunkSize }))
    const meta = parseMeta(table.metadata)
    const rows = readRows(table)
    checkRows(meta, rows)
    return { meta, rows }
  } catch (error) {
    throw corrupt(name, error)
  }
}

/**
 * Only the metadata, from the object's first bytes; `undefined` when they do not reach far enough.
 * @throws {FirnError} `FIRN_CHUNK_CORRUPT` naming `name`.
 */
export function decodeChunkMeta(prefix: Uint8Array, name: string): ChunkMeta | undefined {
  try {
    const flush = constants.ZSTD_e_continue // a cut input is no error
    const head = zstdDecompressSync(prefix, { finishFlush: flush, maxOutputLength: MAX_CHUNK_BYTES })
    const metadata = decodeIpcMetadata(head)
    return metadata && parseMeta(metadata)
  } catch (error) {
    throw corrupt(name, error)
  }
}

/** Size of the content as the zstd frame header states it (RFC 8878 §3.1.1.1); our writer always does. */
function contentBytes(frame: Uint8Array): number | undefined {
  if (frame.byteLength < 18) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const descriptor = view.getUint8(4)
  const singleSegment = (descriptor & 0x20) !== 0
  const at = 5 + (singleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number)
  switch (descriptor >> 6) {
    case 0:
      return singleSegment ? view.getUint8(at) : undefined
    case 1:
      return view.getUint16(at, true) + 256
    case 2:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}

const corrupt = (name: string, cause: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_CHUNK_CORRUPT', `${name} is not a chunk: ${(cause as Error).message}`, {
    detail: { key: name },
    help: 'Restore the object from a backup or a bucket version; later chunks of its shard cannot be read without it.',
    cause,
  })

function readRows(table: IpcTable): ChunkRows {
  if (table.rowCount === 0) return emptyRows
  const column = (name: string, type: IpcColumn['type']): IpcColumn => {
    const found = table.columns.find((candidate) => candidate.name === name)
    if (found?.type !== type) throw new Error(`expected a ${type} column ${name}, got ${found?.type ?? 'none'}`)
    return found
  }
  const arrivals = column('approximate_arrival_timestamp', 'timestamp-millis').values as BigInt64Array
  return {
    count: table.rowCount,
    sequenceNumbers: column('sequence_number', 'utf8') as BytesColumn,
    partitionKeys: column('partition_key', 'utf8') as BytesColumn,
    arrivals,
    data: column('data', 'binary') as BytesColumn,
  }
}

function checkRows(meta: ChunkMeta, rows: ChunkRows): void {
  if (rows.count !== meta.count) throw new Error(`metadata says ${meta.count} records, it holds ${rows.count}`)
  if (rows.count === 0) {
    if (!meta.ended) throw new Error('it holds no record and is no end marker')
    if (meta.last !== meta.after) throw new Error('an end marker cannot move the position')
    return
  }
  const sequenceAt = (row: number): string => {
    const { offsets, values } = rows.sequenceNumbers
    return Buffer.from(values.subarray(offsets[row], offsets[row + 1])).toString('latin1')
  }
  const [first, last] = [sequenceAt(0), sequenceAt(rows.count - 1)]
  if (comparePositions(first, meta.after) <= 0) throw new Error(`its first record ${first} is not after ${meta.after}`)
  if (last !== meta.last) throw new Error(`its last record is ${last}, metadata says ${meta.last}`)
}

const FORMAT = 'firn.chunk/1'

function printMeta(meta: ChunkMeta): Map<string, string> {
  const entries: [string, string | undefined][] = [
    ['format', FORMAT],
    ['stream', meta.stream],
    ['created', String(meta.created)],
    ['shard', meta.shardId],
    ['parents', JSON.stringify(meta.parents)],
    ['after', meta.after],
    ['last', meta.last],
    ['count', String(meta.count)],
    ['min_arrival', meta.minArrivalMillis?.toString()],
    ['max_arrival', meta.maxArrivalMillis?.toString()],
    ['gap', String(meta.gap)],
    ['ended', String(meta.ended)],
    ['byte_offset', meta.file?.byteOffset.toString()],
    ['sha256', meta.file?.sha256],
    ['etag', meta.etag],
    ['lander', meta.lander],
  ]
  return new Map(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function parseMeta(metadata: ReadonlyMap<string, string>): ChunkMeta {
  const text = (key: string): string => {
    const value = metadata.get(key)
    if (value === undefined) throw new Error(`metadata has no "${key}"`)
    return value
  }
  const integer = (key: string): number => {
    const value = Number(text(key))
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`metadata "${key}" is "${text(key)}", not a count`)
    return value
  }
  const position = (key: string): string => {
    if (!isPosition(text(key))) throw new Error(`metadata "${key}" is "${text(key)}", not a position`)
    return text(key)
  }
  const flag = (key: string): boolean => {
    if (text(key) !== 'true' && text(key) !== 'false') throw new Error(`metadata "${key}" is neither true nor false`)
    return text(key) === 'true'
  }
  if (text('format') !== FORMAT) throw new Error(`its format is "${text('format')}", this version reads ${FORMAT}`)
  const parents: unknown = JSON.parse(text('parents'))
  if (!Array.isArray(parents) || parents.some((parent) => typeof parent !== 'string')) {
    throw new Error('metadata "parents" is not a list of shard ids')
  }
  return {
    stream: text('stream'),
    created: integer('created'),
    shardId: text('shard'),
    parents: parents as string[],
    after: position('after'),
    last: position('last'),
    count: integer('count'),
    ...(metadata.has('min_arrival') ? { minArrivalMillis: integer('min_arrival') } : {}),
    ...(metadata.has('max_arrival') ? { maxArrivalMillis: integer('max_arrival') } : {}),
    gap: flag('gap'),
    ended: flag('ended'),
    ...(metadata.has('byte_offset') ? { file: { byteOffset: integer('byte_offset'), sha256: text('sha256') } } : {}),
    ...(metadata.has('etag') ? { etag: text('etag') } : {}),
    lander: text('lander'),
  }
}
