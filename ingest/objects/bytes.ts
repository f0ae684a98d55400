/**
 * The plain bytes of one object, a part at a time. What it is compressed with is told by its first bytes: names lie,
 * and stores that inflate on their own (Content-Encoding) leave the name as it was.
 */
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { sniffCompression } from '../records/inflate.ts'
import { inflateBlocks } from '../records/inflate-blocks.ts'
import { doesNotInflate, objectChanged, objectVanished, unsupportedFormat } from './errors.ts'

/** One request each. */
const PART_BYTES = 8 * 1024 * 1024

/**
 * Blocks of at most 8 MiB; memory is one part and one block, whatever the object inflates to.
 * @throws {FirnError} `FIRN_FILE_CHANGED`, `FIRN_FILE_NOT_FOUND` when the object is not the listed one any more;
 *   `FIRN_FILE_FORMAT` for what cannot hold JSON texts; `FIRN_FILE_CORRUPT`.
 */
export async function* openObject(
  store: ObjectStore,
  info: ObjectInfo,
  options: AbortableOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  if (info.sizeBytes === 0) return
  const name = `${store.url}/${info.key}`
  const first = await readPart(store, info, 0, options)
  const format = foreignFormat(first, info.key)
  if (format !== undefined) throw unsupportedFormat(name, format)
  const partsFrom = (offset: number): AsyncIterable<Uint8Array> => parts(store, info, { offset, first }, options)
  const compression = sniffCompression(first)
  if (compression === undefined) {
    yield* partsFrom(0)
    return
  }
  try {
    yield* inflateBlocks(partsFrom, compression)
  } catch (error) {
    options.signal?.throwIfAborted()
    throw FirnError.is(error) ? error : doesNotInflate(name, error as Error)
  }
}

async function* parts(
  store: ObjectStore,
  info: ObjectInfo,
  { offset, first }: { offset: number; first: Uint8Array },
  options: AbortableOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (offset < first.byteLength) yield first.subarray(offset)
  for (let start = Math.max(offset, PART_BYTES); start < info.sizeBytes; start += PART_BYTES) {
    yield await readPart(store, info, start, options)
  }
}

async function readPart(
  store: ObjectStore,
  info: ObjectInfo,
  start: number,
  { signal }: AbortableOptions,
): Promise<Uint8Array> {
  const name = `${store.url}/${info.key}`
  const end = Math.min(start + PART_BYTES, info.sizeBytes)
  try {
    const { bytes, etag } = await store.get(info.key, { range: { start, end }, signal })
    if (etag !== info.etag) throw objectChanged(name, etag, info.etag)
    return bytes
  } catch (error) {
    if (FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND')) throw objectVanished(name, error)
    throw error
  }
}

const MARKS: readonly (readonly [mark: Buffer, format: string])[] = [
  [Buffer.from('PAR1'), 'a Parquet file'],
  [Buffer.from('ORC'), 'an ORC file'],
  [Buffer.from('Obj\x01'), 'an Avro file'],
  [Buffer.from('ARROW1'), 'an Arrow file'],
  [Buffer.from('PK\x03\x04'), 'a ZIP archive'],
  [Buffer.from('ff060000734e61507059', 'hex'), 'compressed with snappy'],
  [Buffer.from('04224d18', 'hex'), 'compressed with LZ4'],
  [Buffer.from('fd377a585a00', 'hex'), 'compressed with XZ'],
  [Buffer.from('BZh'), 'compressed with bzip2'],
]

/** Hadoop's framing of snappy has no mark, only a name. */
function foreignFormat(first: Uint8Array, key: string): string | undefined {
  for (const [mark, format] of MARKS) if (mark.equals(first.subarray(0, mark.length))) return format
  const plain = first[0] === 0x7b || first[0] === 0x5b || sniffCompression(first) !== undefined
  return !plain && /\.(snappy|sz)$/i.test(key) ? 'compressed with snappy' : undefined
}
