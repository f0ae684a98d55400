/** Avro object container files: header, blocks, codecs. What the blocks hold is the decoders' business. */
import { promisify } from 'node:util'
import {
  crc32,
  inflateRaw,
  inflateRawSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib'
import { FirnError } from '../errors.ts'
import { AvroCursor, AvroDecodeError } from './avro-cursor.ts'
import { snappyDecompress } from './snappy.ts'

export type AvroSchema = string | readonly AvroSchema[] | AvroComplexSchema
export interface AvroComplexSchema {
  readonly type: AvroSchema
  readonly [attribute: string]: unknown
}

export interface AvroBlock {
  readonly count: number
  readonly data: Buffer
  /** The same bytes for whoever looks at them later, without holding on to them. */
  readonly later: LaterBytes
}

/**
 * Bytes of a block that may be asked for long after, or never: held compressed, and decompressed again when the
 * garbage collector has taken them meanwhile.
 */
export class LaterBytes {
  readonly #compressed: Buffer
  readonly #decompress: (compressed: Buffer) => Buffer
  #bytes: WeakRef<Buffer>

  constructor(compressed: Buffer, decompress: (compressed: Buffer) => Buffer, bytes: Buffer) {
    this.#compressed = compressed
    this.#decompress = decompress
    this.#bytes = new WeakRef(bytes)
  }

  get(): Buffer {
    const held = this.#bytes.deref()
    if (held !== undefined) return held
    const bytes = this.#decompress(this.#compressed)
    this.#bytes = new WeakRef(bytes)
    return bytes
  }
}

interface CompressedBlock {
  readonly count: number
  readonly data: Buffer
}

export interface AvroContainer {
  /** The writer's schema, attributes included. */
  readonly schema: AvroComplexSchema
  readonly metadata: ReadonlyMap<string, string>
  /** In file order, decompressed ahead in the thread pool. */
  blocks(): AsyncGenerator<AvroBlock, void, undefined>
}

const MAGIC = Buffer.from('Obj\u0001')
export const SYNC_BYTES: number = 16
/** What a block may come to when it is decompressed: some writers put a whole manifest into one; beyond are bombs. */
const mostBytes = (compressedBytes: number): number => (64 << 20) + compressedBytes * 100
/** Records take memory, and a file with this many has other bytes for each: the name of a file, at least. */
const mostRecords = (sizeBytes: number): number => (1 << 17) + sizeBytes / 8
/** Blocks below this are inflated where they are: the way to the thread pool and back takes longer. */
const INLINE_BYTES = 4096
/** Blocks of a file in the thread pool at once; several files are read by turns. */
const DEPTH = 4

const inflate: (data: Buffer, options: ZlibOptions) => Promise<Buffer> = promisify(inflateRaw)
const unzstd: (data: Buffer, options: ZstdOptions) => Promise<Buffer> = promisify(zstdDecompress)
/** Avro's writers make blocks of about 64 KB: one chunk takes one, so that nothing is put together from pieces. */
const limits = (maxOutputLength: number): ZlibOptions & ZstdOptions => ({ chunkSize: 66 << 10, maxOutputLength })

interface Codec {
  /** @param most bytes that may come out. */
  readonly decompress: (data: Buffer, most: number) => Buffer
  /** In the thread pool. */
  readonly decompressAside?: (data: Buffer, most: number) => Promise<Buffer>
}

const CODECS: Readonly<Record<string, Codec>> = {
  null: { decompress: (data) => data },
  deflate: {
    decompress: (data, most) => inflateRawSync(data, limits(most)),
    decompressAside: (data, most) => inflate(data, limits(most)),
  },
  zstandard: {
    decompress: (data, most) => zstdDecompressSync(data, limits(most)),
    decompressAside: (data, most) => unzstd(data, limits(most)),
  },
  snappy: {
    decompress: (data) => {
      // Avro adds the checksum of the uncompressed bytes.
      if (data.length < 4) throw new AvroDecodeError('a block is shorter than its checksum')
      const bytes = snappyDecompress(data.subarray(0, -4))
      if (crc32(bytes) !== data.readUInt32BE(data.length - 4)) throw new AvroDecodeError('a block has another checksum')
      return bytes
    },
  },
}

/** What went wrong inside, as the error that names the object. */
export function avroCorrupt(where: string, sizeBytes: number, cause: unknown): FirnError {
  if (cause instanceof FirnError) return cause
  const message = `${where}: not a complete Avro container file (${cause instanceof Error ? cause.message : String(cause)})`
  return new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', message, { cause, detail: { where, sizeBytes } })
}

/**
 * @param where the file's URL, for messages.
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt) for bytes that are no complete container file;
 *   `FIRN_AVRO_CODEC_UNSUPPORTED` (invalid).
 */
export function openAvro(bytes: Uint8Array, where: string): AvroContainer {
  try {
    const cursor = new AvroCursor(bytes)
    if (!cursor.take(MAGIC.length).equals(MAGIC)) throw new AvroDecodeError('it does not begin as one')
    const metadata = new Map<string, string>()
    for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
      for (let index = 0; index < count; index++) metadata.set(cursor.string(), cursor.string())
    }
    const sync = cursor.take(SYNC_BYTES)
    const schema = JSON.parse(metadata.get('avro.schema') ?? '') as AvroComplexSchema
    const codec = codecOf(metadata.get('avro.codec') ?? 'null', where)
    const compressed = compressedBlocks(cursor, sync)
    return { schema, metadata, blocks: () => decompressed(compressed, codec) }
  } catch (cause) {
    throw avroCorrupt(where, bytes.length, cause)
  }
}

function codecOf(name: string, where: string): Codec {
  const codec = Object.hasOwn(CODECS, name) ? CODECS[name] : undefined
  if (codec !== undefined) return codec
  throw new FirnError('invalid', 'FIRN_AVRO_CODEC_UNSUPPORTED', `${where}: compressed with ${name}`, {
    help: `Readable are ${Object.keys(CODECS).join(', ')}: rewrite the manifests with one of them.`,
  })
}

function compressedBlocks(cursor: AvroCursor, sync: Buffer): readonly CompressedBlock[] {
  const blocks: CompressedBlock[] = []
  const most = mostRecords(cursor.bytes.length)
  let records = 0
  while (cursor.remaining > 0) {
    const count = cursor.number()
    const data = cursor.take(cursor.length())
    if (count < 0) throw new AvroDecodeError(`a block of ${count} records`)
    if (!cursor.take(SYNC_BYTES).equals(sync)) throw new AvroDecodeError('a block does not end with the marker')
    records += count
    if (records > most) throw new AvroDecodeError(`${records} records or more in ${cursor.bytes.length} bytes`)
    blocks.push({ count, data })
  }
  return blocks
}

async function* decompressed(
  blocks: readonly CompressedBlock[],
  { decompress, decompressAside }: Codec,
): AsyncGenerator<AvroBlock, void, undefined> {
  const ahead: (CompressedBlock & { readonly bytes: Buffer | Promise<Buffer> })[] = []
  const next = async (): Promise<AvroBlock> => {
    const { count, data: compressed, bytes } = ahead.shift()!
    const data = await bytes
    // A record needs a byte, see `blockCount`.
    if (count > data.length) throw new AvroDecodeError(`${count} records in ${data.length} bytes`)
    return {
      count,
      data,
      later: new LaterBytes(compressed, (again) => decompress(again, mostBytes(again.length)), data),
    }
  }
  for (const { count, data } of blocks) {
    const isAside = decompressAside !== undefined && data.length >= INLINE_BYTES
    const most = mostBytes(data.length)
    const bytes = isAside ? decompressAside(data, most) : decompress(data, most)
    if (bytes instanceof Promise) bytes.catch(() => {}) // reported at its turn
    ahead.push({ count, data, bytes })
    if (ahead.length >= DEPTH) yield await next()
  }
  while (ahead.length > 0) yield await next()
}
