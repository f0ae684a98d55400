/**
 * Group `near-duplicates`: Charikar's simhash of 64 bits, by which near copies are found without comparing texts.
 *
 * 1. Normalise: A to Z become a to z, every run of White_Space becomes one space, none is left at either end.
 * 2. Shingles: every run of 8 code points; a shorter text is one shingle, an empty one has none.
 * 3. Hash of a shingle: its UTF-8 through MurmurHash3 x86 32-bit, with seed 0 for the upper and seed 1 for the lower
 *    half.
 * 4. A bit of the simhash is 1 when it is 1 in more than half of the different hashes: how often a shingle occurs does
 *    not count, or the common words of a language would make all its texts alike.
 *
 * As a signed 64-bit number. All of it is fixed for good: no list or property here follows a Unicode version.
 */
import { WHITE_SPACE } from '../features.ts'

const SHINGLE_CODE_POINTS = 8

const WHITE_SPACE_RUN = new RegExp(`[${WHITE_SPACE}]+`, 'g')

/** @param text well-formed. */
export function simhash64(text: string): bigint {
  const bytes = Buffer.from(normalised(text), 'utf8')
  const starts = codePointStarts(bytes)
  const points = starts.length - 1
  if (points === 0) return 0n
  const width = Math.min(SHINGLE_CODE_POINTS, points)
  const halves = new Uint32Array(2 * (points - width + 1))
  for (let first = 0; first < halves.length / 2; first++) {
    const [start, end] = [starts[first]!, starts[first + width]!]
    halves[2 * first] = murmur3(bytes, start, end, 1)
    halves[2 * first + 1] = murmur3(bytes, start, end, 0)
  }
  // any order will do that puts equal ones side by side
  new BigUint64Array(halves.buffer).sort()
  return majority(halves)
}

/** @param halves of sorted hashes, the lower one first; equal hashes count once. */
function majority(halves: Uint32Array): bigint {
  const counts = new Int32Array(64)
  let different = 0
  for (let at = 0; at < halves.length; at += 2) {
    const [low, high] = [halves[at]!, halves[at + 1]!]
    if (at > 0 && low === halves[at - 2] && high === halves[at - 1]) continue
    different++
    for (let bit = 0; bit < 32; bit++) {
      counts[bit]! += (low >>> bit) & 1
      counts[32 + bit]! += (high >>> bit) & 1
    }
  }
  let simhash = 0n
  for (let bit = 63; bit >= 0; bit--) simhash = (simhash << 1n) | (2 * counts[bit]! > different ? 1n : 0n)
  return BigInt.asIntN(64, simhash)
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
