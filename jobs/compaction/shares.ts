/** The inputs of a run in shares of about the same size, in their order, for tasks that read them at once. */
import { inputObjects } from './inputs.ts'
import type { PlannedInput } from './plan.ts'

export interface Share {
  /** Number of its first object among those of the run. */
  readonly firstObject: number
  readonly inputs: readonly PlannedInput[]
}

/** What a quarantined record is taken to weigh: a plan knows their number only. */
const BYTES_PER_REFUSED = 1024

/** Objects `[from, to)` of the plan, in the numbers of `inputObjects`. */
export function objectsBetween(inputs: readonly PlannedInput[], from: number, to: number): readonly PlannedInput[] {
  const part: PlannedInput[] = []
  let first = 0
  for (const input of inputs) {
    const count = input.kind === 'quarantine' ? 1 : input.chunks.length
    const start = Math.max(0, from - first)
    const end = Math.min(count, to - first)
    first += count
    if (start >= end) continue
    if (input.kind === 'quarantine') part.push(input)
    else {
      const chunks = input.chunks.slice(start, end)
      const position = start === 0 ? input.from : chunks[0]!.after
      part.push({ ...input, from: position, chunks, to: input.chunks[end]?.after ?? input.to })
    }
  }
  return part
}

/** Staged bytes of each object of a plan. */
export const objectBytes = (inputs: readonly PlannedInput[]): readonly number[] =>
  inputObjects(inputs).map((object) =>
    object.kind === 'chunk' ? object.ref.sizeBytes : object.input.rows * BYTES_PER_REFUSED,
  )

/** At most `count` shares, none empty. */
export function sharesOf(inputs: readonly PlannedInput[], count: number): readonly Share[] {
  const sizes = objectBytes(inputs)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const shares: Share[] = []
  let start = 0
  let before = 0
  for (const [index, size] of sizes.entries()) {
    before += size
    const isLast = index === sizes.length - 1
    const isFull = before >= (total * (shares.length + 1)) / count
    if (!isLast && !(isFull && shares.length < count - 1)) continue
    shares.push({ firstObject: start, inputs: objectsBetween(inputs, start, index + 1) })
    start = index + 1
  }
  return shares
}

/** Numbers of at most `count` objects, evenly spread. */
export function spread(objects: number, count: number): readonly number[] {
  const picked = Math.min(objects, count)
  return Array.from({ length: picked }, (_, index) => Math.floor(((index + 0.5) * objects) / picked))
}
