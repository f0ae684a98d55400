/**
 * Units from metadata alone: the byte ranges between a file's split offsets. Ranges are half open, the first begins at
 * 0 and the last has no end, so that every row group begins in exactly one of them whatever the offsets say.
 */
import { FirnError } from '../../table/errors.ts'
import { type ObjectStore, openFileTask, prefetch, type RowGroupSizes, type Schema } from '../../table/index.ts'
import type { FileRef, PlannedUnit } from './plan.ts'

/** A file in canonical order with where the manifest says that its row groups begin. */
export interface CutFile {
  readonly ref: FileRef
  readonly splitOffsets: readonly number[]
  /** Where its footer has been read already. */
  readonly rowGroups?: readonly RowGroupSizes[]
}

export interface CutContext {
  /** Rooted at the table's folder. */
  readonly store: ObjectStore
  /** The metadata's `location`. */
  readonly location: string
  readonly schema: Schema
  /** `'skip'`: a footer that is damaged says nothing, and its file is one unit where nothing else cuts it. */
  readonly onError?: 'raise' | 'skip' | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CutUnits {
  readonly units: readonly PlannedUnit[]
  readonly footersRead: number
}

/** Footers that say how much larger rows are than their bytes in the file. */
const SAMPLED_FILES = 4
/** Footers read at once. */
const FOOTER_DEPTH = 16
/** Offsets and pointers that a decoded row takes besides its values. */
const ROW_OVERHEAD_BYTES = 16

/**
 * @param files in canonical order. Footers are read of at most four of them, and of those without split offsets.
 * @throws {FirnError} as `openFileTask`.
 */
export async function cutUnits(files: readonly CutFile[], context: CutContext): Promise<CutUnits> {
  const live = files.flatMap((file, index) =>
    file.ref.recordCount > 0 ? [{ ...file, index, given: boundsOf(file.splitOffsets, file.ref) }] : [],
  )
  const sampled = sampleOf(live.length)
  const needed = live.flatMap(({ given }, position) => (sampled.has(position) || given.length === 0 ? [position] : []))
  const footers = await readFooters(needed, live, context)
  const ratio = ratioOf([...sampled].map((position) => footers.get(position)!))
  const units = live.flatMap(({ ref, index, given }, position) => {
    const footer = footers.get(position) ?? []
    // The manifest's offsets stand even where the footer is known: the cut must not hang on what was sampled.
    const bounds =
      given.length > 0
        ? given
        : boundsOf(
            footer.filter(({ rows }) => rows > 0).map(({ offset }) => offset),
            ref,
          )
    return unitsOf(index, ref, bounds, ratio)
  })
  return { units, footersRead: needed.length }
}

/** Spread evenly; files of a small table count more than once, as one. */
const sampleOf = (count: number): ReadonlySet<number> =>
  new Set(
    count === 0 ? [] : Array.from({ length: SAMPLED_FILES }, (_, index) => Math.floor((index * count) / SAMPLED_FILES)),
  )

/** Ascending, each once, inside of the file. */
function boundsOf(offsets: readonly number[], { fileSizeBytes }: FileRef): readonly number[] {
  const isInside = (offset: number): boolean => Number.isSafeInteger(offset) && offset >= 0 && offset < fileSizeBytes
  // As writers have them: nothing to put right, for a hundred thousand units.
  if (offsets.every((offset, index) => isInside(offset) && (index === 0 || offset > offsets[index - 1]!)))
    return offsets
  return [...new Set(offsets)].filter(isInside).sort((x, y) => x - y)
}

/** By position in `files`. */
async function readFooters(
  needed: readonly number[],
  files: readonly CutFile[],
  { store, location, schema, onError, signal }: CutContext,
): Promise<ReadonlyMap<number, readonly RowGroupSizes[]>> {
  const footers = new Map<number, readonly RowGroupSizes[]>()
  for (const position of needed) {
    const known = files[position]!.rowGroups
    if (known !== undefined) footers.set(position, known)
  }
  const unread = needed.filter((position) => !footers.has(position))
  const read = async (position: number, abort: AbortSignal): Promise<readonly [number, readonly RowGroupSizes[]]> => {
    const { partition, spec, nameMapping, ...file } = files[position]!.ref
    const task = {
      file: { ...file, partition },
      deletes: [],
      ...(spec === undefined ? {} : { spec }),
      ...(nameMapping === undefined ? {} : { nameMapping }),
    }
    try {
      return [position, (await openFileTask(store, location, task, schema, { signal: abort })).rowGroups]
    } catch (error) {
      if (onError !== 'skip' || !FirnError.is(error) || error.kind !== 'corrupt') throw error
      return [position, []]
    }
  }
  for await (const [position, rowGroups] of prefetch(unread, read, { depth: FOOTER_DEPTH, signal })) {
    footers.set(position, rowGroups)
  }
  return footers
}

/** Uncompressed for compressed bytes. */
interface Ratio {
  readonly compressed: number
  readonly uncompressed: number
}

function ratioOf(footers: readonly (readonly RowGroupSizes[])[]): Ratio {
  const groups = footers.flat()
  const compressed = groups.reduce((sum, group) => sum + group.compressedBytes, 0)
  const uncompressed = groups.reduce((sum, group) => sum + group.uncompressedBytes, 0)
  return compressed > 0 ? { compressed, uncompressed } : { compressed: 1, uncompressed: 1 }
}

/** @param bounds where row groups begin. */
function unitsOf(file: number, ref: FileRef, bounds: readonly number[], ratio: Ratio): readonly PlannedUnit[] {
  const first = bounds[0] ?? 0
  const whole = Math.max(1, ref.fileSizeBytes - first)
  return (bounds.length === 0 ? [0] : bounds).map((bound, index): PlannedUnit => {
    const next = bounds[index + 1]
    const compressed = (next ?? ref.fileSizeBytes) - bound
    return {
      file,
      start: index === 0 ? 0 : bound,
      end: next ?? Number.POSITIVE_INFINITY,
      bytes:
        scaled(compressed, ratio.uncompressed, ratio.compressed) +
        ROW_OVERHEAD_BYTES * scaled(ref.recordCount, compressed, whole),
    }
  })
}

/** `value * times / by`, rounded down, in integers: the order hangs on it, on every machine. */
function scaled(value: number, times: number, by: number): number {
  const product = value * times
  // Exact, and cheaper than with BigInt, up to 2^53.
  if (product <= Number.MAX_SAFE_INTEGER) return (product - (product % by)) / by
  return Number((BigInt(value) * BigInt(times)) / BigInt(by))
}
