/** Avro container files taken apart and put together again, so that damage can be done below the compression. */
import { crc32, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { AvroCursor } from '../../table/format/avro-cursor.ts'
import { snappyDecompress } from '../../table/format/snappy.ts'

export type AvroCodec = 'null' | 'deflate' | 'zstandard' | 'snappy'

export interface AvroParts {
  readonly metadata: Map<string, Buffer>
  sync: Buffer
  /** Decompressed. */
  readonly blocks: { count: bigint; data: Buffer }[]
}

export function splitAvro(bytes: Uint8Array): AvroParts {
  const cursor = new AvroCursor(bytes)
  cursor.skip(4)
  const metadata = new Map<string, Buffer>()
  for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
    for (let index = 0; index < count; index++) metadata.set(cursor.string(), Buffer.from(cursor.take(cursor.length())))
  }
  const sync = Buffer.from(cursor.take(16))
  const codec = (metadata.get('avro.codec')?.toString() ?? 'null') as AvroCodec
  const blocks: AvroParts['blocks'] = []
  while (cursor.remaining > 0) {
    const count = cursor.long()
    blocks.push({ count, data: Buffer.from(unpack(codec, cursor.take(cursor.length()))) })
    cursor.skip(16)
  }
  return { metadata, sync, blocks }
}

export function joinAvro({ metadata, sync, blocks }: AvroParts): Buffer {
  const codec = (metadata.get('avro.codec')?.toString() ?? 'null') as AvroCodec
  const pairs = [...metadata].flatMap(([key, value]) => [lengthed(Buffer.from(key)), lengthed(value)])
  const packed = blocks.flatMap(({ count, data }) => [varint(count), lengthed(pack(codec, data)), sync])
  return Buffer.concat([Buffer.from('Obj\u0001'), varint(BigInt(metadata.size)), ...pairs, varint(0n), sync, ...packed])
}

export function recodeAvro(bytes: Uint8Array, codec: AvroCodec): Buffer {
  const parts = splitAvro(bytes)
  parts.metadata.set('avro.codec', Buffer.from(codec))
  return joinAvro(parts)
}

/** Avro's `long`. */
export function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

const lengthed = (bytes: Buffer): Buffer => Buffer.concat([varint(BigInt(bytes.length)), bytes])

function unpack(codec: AvroCodec, bytes: Buffer): Buffer {
  if (codec === 'deflate') return inflateRawSync(bytes)
  if (codec === 'zstandard') return zstdDecompressSync(bytes)
  return codec === 'snappy' ? snappyDecompress(bytes.subarray(0, -4)) : bytes
}

function pack(codec: AvroCodec, bytes: Buffer): Buffer {
  if (codec === 'deflate') return deflateRawSync(bytes)
  if (codec === 'zstandard') return zstdCompressSync(bytes)
  return codec === 'snappy' ? snappyLiterals(bytes) : bytes
}

/** Snappy without a copy: literals of up to 2^16 bytes, and Avro's checksum. */
function snappyLiterals(bytes: Buffer): Buffer {
  let rest = bytes.length
  const length: number[] = []
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128)
  const parts: Buffer[] = [Buffer.from([...length, rest])]
  for (let at = 0; at < bytes.length; at += 65_536) {
    const part = bytes.subarray(at, at + 65_536)
    const size = part.length - 1
    parts.push(Buffer.from([61 << 2, size & 255, size >> 8]), part)
  }
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(bytes))
  return Buffer.concat([...parts, checksum])
}
