/** A set of rows of one file: one bit a row, in chunks that exist once a row of theirs is in the set. */
export interface RowSet {
  /** Rows of the file; every row of the set is below. */
  readonly limit: number
  readonly size: number
  has(row: number): boolean
  /** Whether every row of [start, end) is in the set. */
  hasAll(start: number, end: number): boolean
  /** @returns false, and adds nothing, when the row is not below `limit`. */
  add(row: number): boolean
  /** @param end exclusive. @returns as `add`. */
  addRange(start: number, end: number): boolean
}

const CHUNK_ROWS = 0x1_0000

export function rowSet(limit: number): RowSet {
  const chunks = new Map<number, Uint8Array>()
  let size = 0
  const valid = (start: number, end: number): boolean => start >= 0 && end <= limit
  const chunkOf = (row: number): Uint8Array => {
    const key = Math.floor(row / CHUNK_ROWS)
    const known = chunks.get(key)
    if (known !== undefined) return known
    const chunk = new Uint8Array(CHUNK_ROWS / 8)
    chunks.set(key, chunk)
    return chunk
  }
  const set = (chunk: Uint8Array, at: number): void => {
    const mask = 1 << (at & 7)
    if ((chunk[at >> 3]! & mask) !== 0) return
    chunk[at >> 3]! |= mask
    size++
  }
  const has = (row: number): boolean => {
    const at = row % CHUNK_ROWS
    return ((chunks.get(Math.floor(row / CHUNK_ROWS))?.[at >> 3] ?? 0) & (1 << (at & 7))) !== 0
  }
  return {
    limit,
    get size() {
      return size
    },
    has,
    hasAll(start, end) {
      for (let row = start; row < end; row++) if (!has(row)) return false
      return true
    },
    add(row) {
      if (!valid(row, row + 1)) return false
      set(chunkOf(row), row % CHUNK_ROWS)
      return true
    },
    addRange(start, end) {
      if (!valid(start, end)) return false
      for (let row = start; row < end; ) {
        const chunk = chunkOf(row)
        const at = row % CHUNK_ROWS
        // A byte at a time where all of its rows are in the range: a few bytes may stand for many rows.
        if ((at & 7) === 0 && row + 8 <= end) {
          if (chunk[at >> 3] === 0) {
            chunk[at >> 3] = 0xff
            size += 8
          } else for (let bit = 0; bit < 8; bit++) set(chunk, at + bit)
          row += 8
        } else {
          set(chunk, at)
          row++
        }
      }
      return true
    },
  }
}
