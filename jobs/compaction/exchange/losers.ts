/** Rows that another one of their key replaces: lists in the exchange, one bit per row where they are left out. */
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { Exchange } from './exchange.ts'
import type { SpilledRun } from './runs.ts'

/** `[range, run, row]` in memory; 12 bytes each. */
const MAX_HELD = 512 * 1024
const READ_BYTES = 4 * 1024 * 1024

export interface LoserObject {
  readonly key: string
  /** Bytes before the rows of each range, and at the end; pairs of run and row, 32 bits each. */
  readonly offsets: readonly number[]
}

export class LoserLists {
  readonly #exchange: Exchange
  readonly #name: string
  readonly #ranges: number
  readonly #objects: LoserObject[] = []
  #held = new Uint32Array(3 * 1024)
  #length = 0
  count = 0

  constructor(exchange: Exchange, name: string, ranges: number) {
    this.#exchange = exchange
    this.#name = name
    this.#ranges = ranges
  }

  add(range: number, run: number, row: number): void {
    if (this.#length === this.#held.length) {
      const grown = new Uint32Array(this.#held.length * 2)
      grown.set(this.#held)
      this.#held = grown
    }
    this.#held[this.#length++] = range
    this.#held[this.#length++] = run
    this.#held[this.#length++] = row
    this.count++
  }

  get full(): boolean {
    return this.#length >= 3 * MAX_HELD
  }

  async flush(options: AbortableOptions): Promise<void> {
    if (this.#length === 0) return
    const held = this.#held
    const counts = new Array<number>(this.#ranges).fill(0)
    for (let at = 0; at < this.#length; at += 3) counts[held[at]!]! += 1
    const offsets = [0]
    for (const count of counts) offsets.push(offsets.at(-1)! + count * 8)
    const next = offsets.map((bytes) => bytes / 4)
    const pairs = new Uint32Array((this.#length / 3) * 2)
    for (let at = 0; at < this.#length; at += 3) {
      const to = next[held[at]!]!
      pairs[to] = held[at + 1]!
      pairs[to + 1] = held[at + 2]!
      next[held[at]!] = to + 2
    }
    const key = `${this.#name}-${this.#objects.length}.losers`
    await this.#exchange.put(key, new Uint8Array(pairs.buffer), options)
    this.#objects.push({ key, offsets })
    this.#length = 0
  }

  async close(options: AbortableOptions): Promise<readonly LoserObject[]> {
    await this.flush(options)
    return this.#objects
  }
}

/** One bit per row of each run of a range, by the run's number; set: the row is left out. */
export async function loserBits(
  exchange: Exchange,
  objects: readonly LoserObject[],
  range: number,
  runs: readonly Pick<SpilledRun, 'number' | 'rows'>[],
  options: AbortableOptions,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const rowsOf = new Map(runs.map(({ number, rows }) => [number, rows]))
  const bits = new Map<number, Uint8Array>()
  for (const { key, offsets } of objects) {
    const end = offsets[range + 1]!
    for (let start = offsets[range]!; start < end; start += READ_BYTES) {
      const bytes = await exchange.get(key, { start, end: Math.min(end, start + READ_BYTES) }, options)
      const pairs = new Uint32Array(new Uint8Array(bytes).buffer)
      for (let at = 0; at < pairs.length; at += 2) {
        const run = pairs[at]!
        const row = pairs[at + 1]!
        let set = bits.get(run)
        if (set === undefined) {
          set = new Uint8Array(((rowsOf.get(run) ?? 0) + 7) >> 3)
          bits.set(run, set)
        }
        set[row >> 3]! |= 1 << (row & 7)
      }
    }
  }
  return bits
}
