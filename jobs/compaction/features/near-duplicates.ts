/**
 * Group `near-duplicates`: Charikar's simhash of 64 bits, by which near copies are found without comparing texts.
 *
 * 1. Normalise: A to Z become a to z, every run of White_Space becomes one space, none is left at either end.
 * 2. Shingles: every run of 8 code points, each as often as it occurs; a shorter text is one shingle, an empty one none.
 * 3. Hash of a shingle: its UTF-8 through MurmurHash3 x86 32-bit, with seed 0 for the upper and seed 1 for the lower
 *    half.
 * 4. A bit of the simhash is 1 when it is 1 in more than half of the shingles' hashes.
 *
 * As a signed 64-bit number. All of it is fixed for good: no list or property here follows a Unicode version.
 */
import { WHITE_SPACE } from '../features.ts'

const SHINGLE_CODE_POINTS = 8

const WHITE_SPACE_RUN = new RegExp(`[${WHITE_SPACE}]+`, 'g')

const counts = new Int32Array(64)

/** @param text well-formed. */
export function simhash64(text: string): bigint {
  const bytes = Buffer.from(normalised(text), 'utf8')
  const starts = codePointStarts(bytes)
  const points = starts.length - 1
  if (points === 0) return 0n
  counts.fill(0)
  const width = Math.min(SHINGLE_CODE_POINTS, points)
  const shingles = points - width + 1
  for (let first = 0; first < shingles; first++) {
    const [start, end] = [starts[first]!, starts[first + width]!]
    count(murmur3(bytes, start, end, 0), 32)
    count(murmur3(bytes, start, end, 1), 0)
  }
  return (BigInt.asIntN(32, BigInt(majority(32, shingles))) << 32n) | BigInt(majority(0, shingles) >>> 0)
}

/** Bits in which two simhashes differ, 0 to 64; independent texts differ in about 32. */
export function simhashDistance(a: bigint, b: bigint): number {
  let difference = BigInt.asUintN(64, a ^ b)
  let bits = 0
  for (; difference !== 0n; difference &= difference - 1n) bits++
  return bits
}

function normalised(text: string): string {
  return text
    .replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
    .replace(WHITE_SPACE_RUN, ' ')
    .replace(/^ | $/g, '')
}

/** Where each code point of valid UTF-8 starts, and the end. */
function codePointStarts(bytes: Uint8Array): Uint32Array {
  const starts = new Uint32Array(bytes.length + 1)
  let points = 0
  for (let at = 0; at < bytes.length; at++) if ((bytes[at]! & 0xc0) !== 0x80) starts[points++] = at
  starts[points] = bytes.length
  return starts.subarray(0, points + 1)
}

function count(hash: number, firstBit: number): void {
  for (let bit = 0; bit < 32; bit++) counts[firstBit + bit]! += (hash >>> bit) & 1
}

function majority(firstBit: number, of: number): number {
  let bits = 0
  for (let bit = 0; bit < 32; bit++) if (2 * counts[firstBit + bit]! > of) bits |= 1 << bit
  return bits
}

/** MurmurHash3_x86_32 of `bytes[start, end)`. */
export function murmur3(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed
  const blocksEnd = start + ((end - start) & ~3)
  for (let at = start; at < blocksEnd; at += 4) {
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash ^= mixedBlock(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = end - 1; at >= blocksEnd; at--) tail = (tail << 8) | bytes[at]!
  if (blocksEnd < end) hash ^= mixedBlock(tail)
  hash ^= end - start
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function mixedBlock(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51)
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593)
}
