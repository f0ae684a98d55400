/** The merges of a vocabulary, as what encoding asks: do these two tokens become one, and how early was that learned. */

export interface Merge {
  readonly left: number
  readonly right: number
  /** Id of the token that the two become. */
  readonly result: number
}

export interface MergeTable {
  /** Rank of the merge of two neighbours, the earliest learned being 0; `NO_MERGE` when they stay apart. */
  rankOf(left: number, right: number): number
  /** Token id by rank. */
  readonly results: Int32Array
}

const NO_MERGE = 0x7fff_ffff

export function mergeTable(merges: readonly Merge[]): MergeTable {
  let capacity = 16
  while (capacity < merges.length * 2) capacity *= 2
  const mask = capacity - 1
  const lefts = new Int32Array(capacity).fill(-1)
  const rights = new Int32Array(capacity)
  const ranks = new Int32Array(capacity)
  merges.forEach(({ left, right }, rank) => {
    let slot = slotOf(left, right) & mask
    while (lefts[slot]! >= 0) {
      if (lefts[slot] === left && rights[slot] === right) return // the first of two wins, as everywhere
      slot = (slot + 1) & mask
    }
    lefts[slot] = left
    rights[slot] = right
    ranks[slot] = rank
  })
  const rankOf = (left: number, right: number): number => {
    for (let slot = slotOf(left, right) & mask; ; slot = (slot + 1) & mask) {
      const found = lefts[slot]!
      if (found < 0) return NO_MERGE
      if (found === left && rights[slot] === right) return ranks[slot]!
    }
  }
  return { rankOf, results: Int32Array.from(merges, ({ result }) => result) }
}

function slotOf(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}

/**
 * Merges the tokens `ids[0 .. length)` of one word in place: the earliest learned pair first, the leftmost of equals.
 * Returns how many are left. `ranks` is room for as many. A word is short (words.ts), so a scan beats a heap.
 */
export function mergeWord(table: MergeTable, ids: Int32Array, ranks: Int32Array, length: number): number {
  for (let at = 0; at + 1 < length; at++) ranks[at] = table.rankOf(ids[at]!, ids[at + 1]!)
  while (length > 1) {
    let best = NO_MERGE
    let where = -1
    for (let at = 0; at + 1 < length; at++) {
      if (ranks[at]! < best) {
        best = ranks[at]!
        where = at
      }
    }
    if (where < 0) break
    ids[where] = table.results[best]!
    length--
    for (let at = where + 1; at < length; at++) {
      ids[at] = ids[at + 1]!
      ranks[at] = ranks[at + 1]!
    }
    if (where > 0) ranks[where - 1] = table.rankOf(ids[where - 1]!, ids[where]!)
    if (where + 1 < length) ranks[where] = table.rankOf(ids[where]!, ids[where + 1]!)
  }
  return length
}
