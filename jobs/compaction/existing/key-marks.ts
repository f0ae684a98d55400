/**
 * Between which of some points keys lie: enough to tell which files, by their bounds, may hold one of them. Points are
 * the bounds themselves, so a key between two files marks neither.
 */

/** Points in order, each once. A key gets an odd number when it is a point, else the even one between two. */
function numberOf(points: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (Buffer.compare(points[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  const isPoint = low < points.length && Buffer.compare(points[low]!, key) === 0
  return 2 * low + (isPoint ? 1 : 0)
}

export class KeyMarks {
  readonly #points: readonly Uint8Array[]
  readonly #marks: Uint8Array

  constructor(points: readonly Uint8Array[]) {
    this.#points = points
    this.#marks = new Uint8Array(2 * points.length + 1)
  }

  add(key: Uint8Array): void {
    this.#marks[numberOf(this.#points, key)] = 1
  }

  /** @param text as `print` gave it, for the same points. */
  merge(text: string): void {
    const other = Buffer.from(text, 'base64')
    for (let index = 0; index < this.#marks.length; index++) {
      if ((other[index >> 3]! & (1 << (index & 7))) !== 0) this.#marks[index] = 1
    }
  }

  /** Whether a key may lie in `[lower, upper]`. */
  hasBetween(lower: Uint8Array, upper: Uint8Array): boolean {
    const to = numberOf(this.#points, upper)
    for (let index = numberOf(this.#points, lower); index <= to; index++) if (this.#marks[index] === 1) return true
    return false
  }

  /** Base64, one bit per number. */
  print(): string {
    const bits = Buffer.alloc((this.#marks.length + 7) >> 3)
    for (const [index, mark] of this.#marks.entries()) if (mark === 1) bits[index >> 3]! |= 1 << (index & 7)
    return bits.toString('base64')
  }
}

/** In order, each once; some of them, evenly spread, where there are more than `max`: then more files may be read. */
export function pointsOf(bounds: readonly Uint8Array[], max: number): readonly Uint8Array[] {
  const sorted = [...bounds].sort(Buffer.compare)
  const points = sorted.filter((point, index) => index === 0 || Buffer.compare(sorted[index - 1]!, point) !== 0)
  if (points.length <= max) return points
  return Array.from({ length: max }, (_, index) => points[Math.floor((index * points.length) / max)]!)
}
