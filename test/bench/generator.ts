/** Integers in [0, limit). */
export type Below = (limit: number) => number

/** Numbers that are the same on every machine. */
export function generator(seed: number): Below {
  let state = (Math.imul(seed, 2654435761) ^ 0x9e3779b9) >>> 0 || 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}
