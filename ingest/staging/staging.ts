/**
 * The staging area of a warehouse: chunk chains, one per shard, and who reads them.
 *
 *     _staging/<stream>@<created>/shards/<shardId>/<after, 64 digits>.arrows.zst
 *
 * A chunk's key is the position that it continues, created with `If-None-Match: *`: each position has at most one
 * successor, whatever the chunk boundaries of racing landers. Together with "go on from the winner's last" that makes
 * the listing the checkpoint: no record is lost or doubled by a crash, a retried put or a second lander.
 */
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { type ChunkMeta, decodeChunk, decodeChunkMeta } from './chunk.ts'
import { bytesAt, type ChunkRows, textAt } from './chunk-rows.ts'
import { comparePositions, padPosition, unpadPosition } from './positions.ts'

/** One life of a stream name: a stream that was deleted and made again is another one, with chains of its own. */
export interface StreamIncarnation {
  readonly stream: string
  /** Creation time, epoch seconds; 0 for file sources. */
  readonly created: number
}

export interface ChunkRef extends StreamIncarnation {
  readonly shardId: string
  /** The position that the chunk continues, unpadded; `'0'` is the shard's start. */
  readonly after: string
  readonly key: string
  readonly sizeBytes: number
}

/** A chunk as the listing shows it. */
export interface ListedChunkRef extends ChunkRef {
  /** When it was written, by the store's clock. */
  readonly lastModifiedMillis: number
}

/** A chunk in memory. Rows are numbered from 0 to `meta.count`, in the order of the shard. */
export interface StagedChunk {
  readonly ref: ChunkRef
  readonly meta: ChunkMeta
  /** The columns as they lie in memory: views of one buffer. */
  readonly rows: ChunkRows
  sequenceNumber(row: number): string
  partitionKey(row: number): string
  /** Milliseconds since the epoch. */
  arrivalMillis(row: number): number
  /** The record's bytes as they came; a view, not a copy. */
  data(row: number): Uint8Array
}

/** Kinesis' own rule for stream names; names of file sources follow it too. */
const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/
const ROOT = '_staging/'
const CHUNK_KEY = /^_staging\/([^/@]+)@(\d+)\/shards\/([^/]+)\/(\d{64})\.arrows\.zst$/
const INCARNATION_KEY = /^_staging\/([^/@]+)@(\d+)\//

export const incarnationPrefix = ({ stream, created }: StreamIncarnation): string => `${ROOT}${stream}@${created}/`

/** @throws {FirnError} `FIRN_STREAM_NAME_INVALID` (invalid). */
export function checkStreamName(name: string): string {
  if (STREAM_NAME.test(name)) return name
  throw new FirnError('invalid', 'FIRN_STREAM_NAME_INVALID', `"${name}" is not a stream name`, {
    help: 'Use 1 to 128 of the characters a-z A-Z 0-9 _ . -',
  })
}

const shardPrefix = (incarnation: StreamIncarnation, shardId: string): string =>
  `${incarnationPrefix(incarnation)}shards/${shardId}/`

export const chunkKey = (incarnation: StreamIncarnation, shardId: string, after: string): string =>
  `${shardPrefix(incarnation, shardId)}${padPosition(after)}.arrows.zst`

function parseChunkInfo(info: ObjectInfo): ListedChunkRef | undefined {
  const match = CHUNK_KEY.exec(info.key)
  if (match === null) return undefined
  const [, stream, created, shardId, after] = match as unknown as [string, string, string, string, string]
  const { key, sizeBytes, lastModifiedMillis } = info
  return { stream, created: Number(created), shardId, after: unpadPosition(after), key, sizeBytes, lastModifiedMillis }
}

/** Every stream with something staged, by name, then oldest first; a few requests, whatever the number of chunks. */
export async function listIncarnations(
  store: ObjectStore,
  options: { stream?: string } & AbortableOptions = {},
): Promise<StreamIncarnation[]> {
  const { stream, signal } = options
  const prefix = stream === undefined ? ROOT : `${ROOT}${stream}@`
  const found: StreamIncarnation[] = []
  let startAfter: string | undefined
  for (;;) {
    const first = await firstKey(store, prefix, { ...(startAfter === undefined ? {} : { startAfter }), signal })
    if (first === undefined) break
    const match = INCARNATION_KEY.exec(first)
    // '~' sorts after everything that we put below an incarnation, and before the next one.
    startAfter = match === null ? first : `${match[0]}~`
    if (match !== null) found.push({ stream: match[1] as string, created: Number(match[2]) })
  }
  return found.sort((a, b) => (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.created - b.created))
}

async function firstKey(
  store: ObjectStore,
  prefix: string,
  options: { startAfter?: string } & AbortableOptions,
): Promise<string | undefined> {
  for await (const info of store.list(prefix, options)) return info.key
  return undefined
}

/** Every chunk of a stream, by shard id, then in the order of the shard. */
export async function listChunks(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  options: AbortableOptions = {},
): Promise<ListedChunkRef[]> {
  const chunks: ListedChunkRef[] = []
  for await (const info of store.list(`${incarnationPrefix(incarnation)}shards/`, options)) {
    const ref = parseChunkInfo(info)
    if (ref !== undefined) chunks.push(ref)
  }
  return chunks.sort((a, b) =>
    a.shardId === b.shardId ? comparePositions(a.after, b.after) : a.shardId < b.shardId ? -1 : 1,
  )
}

/** The newest chunk of a shard whose key is past `after`, if there is one. */
export async function findChunkPast(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  shardId: string,
  after: string,
  options: AbortableOptions = {},
): Promise<ChunkRef | undefined> {
  let newest: ChunkRef | undefined
  const startAfter = chunkKey(incarnation, shardId, after)
  for await (const info of store.list(shardPrefix(incarnation, shardId), { ...options, startAfter })) {
    newest = parseChunkInfo(info) ?? newest
  }
  return newest
}

/** Whether anything is left of a shard's chain. */
export const hasChunks = async (
  store: ObjectStore,
  incarnation: StreamIncarnation,
  shardId: string,
  options: AbortableOptions = {},
): Promise<boolean> => (await firstKey(store, shardPrefix(incarnation, shardId), options)) !== undefined

/**
 * @throws {FirnError} `FIRN_CHUNK_CORRUPT` (corrupt) naming the key; `FIRN_OBJECT_NOT_FOUND`;
 *   `FIRN_STORE_UNAVAILABLE`.
 */
export async function readChunk(
  store: ObjectStore,
  ref: ChunkRef,
  options: AbortableOptions = {},
): Promise<StagedChunk> {
  const { bytes } = await store.get(ref.key, options)
  const { meta, rows } = await decodeChunk(bytes, `${store.url}/${ref.key}`)
  checkPlace(store, ref, meta)
  return {
    ref,
    meta,
    rows,
    sequenceNumber: (row) => textAt(rows.sequenceNumbers, row),
    partitionKey: (row) => textAt(rows.partitionKeys, row),
    arrivalMillis: (row) => Number(rows.arrivals[row]),
    data: (row) => bytesAt(rows.data, row),
  }
}

/** zstd gives back its input in blocks of 128 KiB; the schema message fits the first one but for absurd parents. */
const META_PREFIX_BYTES = 192 * 1024

/** What `readChunk` says in `meta`, from the first bytes of the object. Same errors. */
export async function readChunkMeta(
  store: ObjectStore,
  ref: ChunkRef,
  options: AbortableOptions = {},
): Promise<ChunkMeta> {
  const range = { start: 0, end: META_PREFIX_BYTES }
  const { bytes } = await store.get(ref.key, { ...options, range })
  const meta = decodeChunkMeta(bytes, `${store.url}/${ref.key}`)
  if (meta === undefined) return (await readChunk(store, ref, options)).meta
  checkPlace(store, ref, meta)
  return meta
}

function checkPlace(store: ObjectStore, ref: ChunkRef, meta: ChunkMeta): void {
  const says = chunkKey(meta, meta.shardId, meta.after)
  if (says === ref.key) return
  throw new FirnError('corrupt', 'FIRN_CHUNK_CORRUPT', `${store.url}/${ref.key} holds the chunk of ${says}`, {
    detail: { key: ref.key, says },
    help: 'Somebody copied or renamed staging objects; put the chunk back where it belongs.',
  })
}
