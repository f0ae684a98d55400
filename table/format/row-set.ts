/** A set of rows of one file, one bit a row. */
export interface RowSet {
  /** Rows of the file; every row of the set is below. */
  readonly limit: number
  readonly size: number
  has(row: number): boolean
  /** @returns false, and adds nothing, when a row is not below `limit`. @param end exclusive. */
  addRange(start: number, end: number): boolean
  add(row: number): boolean
  /** Rows of the set in [start, end). */
  count(start: number, end: number): number
}

/** @param limit at most 2^32: a set takes an eighth of it in bytes. */
export function rowSet(limit: number): RowSet {
  const bits = new Uint8Array(Math.ceil(limit / 8))
  let size = 0
  const valid = (start: number, end: number): boolean => start >= 0 && end <= limit
  const set = (row: number): void => {
    const byte = Math.floor(row / 8)
    const mask = 1 << (row % 8)
    if ((bits[byte]! & mask) !== 0) return
    bits[byte]! |= mask
    size++
  }
  const has = (row: number): boolean => valid(row, row + 1) && (bits[Math.floor(row / 8)]! & (1 << (row % 8))) !== 0
  return {
    limit,
    get size() {
      return size
    },
    has,
    add(row) {
      if (!valid(row, row + 1)) return false
      set(row)
      return true
    },
    addRange(start, end) {
      if (!valid(start, end)) return false
      for (let row = start; row < end; row++) set(row)
      return true
    },
    count(start, end) {
      let found = 0
      for (let row = start; row < end; row++) if (has(row)) found++
      return found
    },
  }
}
