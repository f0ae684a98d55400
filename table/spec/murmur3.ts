/** MurmurHash3, x86 variant, 32 bits, seed 0: the hash of bucket partitions. Spec: Appendix B "32-bit Hash Requirements". */
import { encodeUnscaled } from '../manifest/bounds.ts'
import { decimalOf, type PrimitiveType, type PrimitiveValue } from './types.ts'

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** A signed 32-bit integer. */
export function murmur3(bytes: Uint8Array): number {
  let hash = 0
  const blocks = bytes.length & ~3
  for (let index = 0; index < blocks; index += 4) {
    const block = bytes[index]! | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let index = bytes.length - 1; index >= blocks; index--) tail = (tail << 8) | bytes[index]!
  hash ^= scramble(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function scramble(block: number): number {
  const mixed = Math.imul(block, C1)
  return Math.imul((mixed << 15) | (mixed >>> 17), C2)
}

/**
 * The hash of a value of a type that can be bucketed. Integers of every width hash as 64 bits, so that promotion does
 * not move a row to another bucket.
 */
export function hashValue(type: PrimitiveType, value: Exclude<PrimitiveValue, null | boolean>): number {
  if (typeof value === 'string') return murmur3(Buffer.from(value, 'utf8'))
  if (value instanceof Uint8Array) return murmur3(value)
  if (decimalOf(type)) return murmur3(encodeUnscaled(BigInt(value)))
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true)
  return murmur3(bytes)
}
