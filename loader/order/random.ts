/**
 * Keyed random numbers out of integers only, so that an order is the same on every machine and for every engine
 * version: MurmurHash3 (x86, 32 bits) of a text key seeds sfc32.
 *
 * The recipe is part of the order of a shuffle. Changing one constant here changes every order; the golden vectors in
 * test/loader/order/ notice.
 */

/** Uniform in [0, 2^32). */
export type Random32 = () => number

/** sfc32 needs some rounds until every bit of the seed has reached every bit of the output. */
const WARM_UP_ROUNDS = 12

/** A generator of its own for each `key`: three hashes of the key and the counter 1 are the four words of sfc32. */
export function randomOf(key: string): Random32 {
  const bytes = Buffer.from(key, 'utf8')
  const next = sfc32(murmur3(bytes, 0), murmur3(bytes, 1), murmur3(bytes, 2), 1)
  for (let round = 0; round < WARM_UP_ROUNDS; round++) next()
  return next
}

/**
 * Uniform in [0, limit): numbers from the incomplete last multiple of `limit` are thrown away.
 * @param limit 1 to 2^32.
 */
export function below(random: Random32, limit: number): number {
  const end = 0x1_0000_0000 - (0x1_0000_0000 % limit)
  for (;;) {
    const value = random()
    if (value < end) return value % limit
  }
}

/** The numbers 0 to `length` - 1, shuffled by Fisher and Yates from the last position down. */
export function permutation(length: number, random: Random32): Uint32Array {
  const order = new Uint32Array(length)
  for (let index = 0; index < length; index++) order[index] = index
  for (let index = length - 1; index > 0; index--) {
    const other = below(random, index + 1)
    const moved = order[index]!
    order[index] = order[other]!
    order[other] = moved
  }
  return order
}

/** MurmurHash3_x86_32, unsigned. */
export function murmur3(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tail = bytes.length & ~3
  let hash = seed | 0
  for (let index = 0; index < tail; index += 4) {
    hash ^= scramble(view.getInt32(index, true))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let index = bytes.length - 1; index >= tail; index--) rest = (rest << 8) | bytes[index]!
  if (tail < bytes.length) hash ^= scramble(rest)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** Chris Doty-Humphrey's small fast chaotic generator, 32-bit words. */
function sfc32(a: number, b: number, c: number, counter: number): Random32 {
  return () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}
