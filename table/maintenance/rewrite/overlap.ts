/**
 * How many files of a partition a reader of one sort key has to open: the overlap depth.
 *
 * A file covers the range of its sort keys, taken from its column bounds. Bounds of text are cut, so a range is only
 * what surely is covered: a cut upper bound counts as the prefix that it was raised from, a cut lower bound as the
 * least text past its prefix. Files that only touch at equal keys do not overlap: they are neighbours. When all rows
 * of a file have one value of the first field, the next field goes on telling where they lie.
 */
import { BOUND_LENGTH } from '../../manifest/bounds.ts'
import type { DataFile } from '../../manifest/data-file.ts'
import { DEFAULT_METRICS_MODE, type MetricsMode } from '../../manifest/metrics-mode.ts'
import { usableBound } from '../../scan/column-facts.ts'
import { KeyBuffer, writeFieldValue } from '../../sort/sort-key.ts'
import { primitiveTypeOf, type Schema } from '../../spec/schema.ts'
import type { SortField, SortOrder } from '../../spec/sort.ts'
import { applyTransform, canApply, transformResultType } from '../../spec/transform.ts'
import type { PrimitiveType, PrimitiveValue } from '../../spec/types.ts'

/** Sort keys as bytes in their order; `lower` is above `upper` when nothing is surely covered. */
export interface KeyRange {
  readonly lower: Buffer
  readonly upper: Buffer
}

/** Above every key that continues the bytes before it: a field begins with 0, 1 or 2. */
const AFTER_ALL = 0xff

/**
 * What a file surely covers, or `undefined` when its metadata does not tell.
 * @param modes of the columns' metrics, by field id: how much of a text its bounds keep.
 */
export function keyRange(
  file: DataFile,
  schema: Schema,
  order: SortOrder,
  modes: (fieldId: number) => MetricsMode = () => DEFAULT_METRICS_MODE,
): KeyRange | undefined {
  const lower = new KeyBuffer()
  const upper = new KeyBuffer()
  for (const [index, field] of order.fields.entries()) {
    const ends = fieldRange(file, schema, field, keptLength(modes(field.sourceId)))
    if (ends === undefined) {
      if (index === 0) return undefined
      break
    }
    ends.lower(lower)
    ends.upper(upper)
    if (Buffer.compare(bytesOf(lower), bytesOf(upper)) !== 0) {
      // Rows of the first value lie somewhere among its keys, those of the last one too.
      lower.byte(AFTER_ALL)
      break
    }
  }
  return { lower: Buffer.from(bytesOf(lower)), upper: Buffer.from(bytesOf(upper)) }
}

const bytesOf = (buffer: KeyBuffer): Buffer => buffer.bytes.subarray(0, buffer.length)

type Write = (out: KeyBuffer) => void

/** Bounds of at least so many characters or bytes may be cut. Older files may have other modes: often the default. */
const keptLength = (mode: MetricsMode): number =>
  typeof mode === 'string' ? BOUND_LENGTH : Math.min(mode.truncate, BOUND_LENGTH)

function fieldRange(
  file: DataFile,
  schema: Schema,
  field: SortField,
  kept: number,
): { lower: Write; upper: Write } | undefined {
  const source = primitiveTypeOf(schema, field.sourceId)
  if (!isMonotone(field.transform) || !canApply(field.transform, source)) return undefined
  const type = transformResultType(field.transform, source)
  const nulls = file.nullValueCounts.get(field.sourceId)
  const values = file.valueCounts.get(field.sourceId)
  const write =
    (value: PrimitiveValue): Write =>
    (out) =>
      writeFieldValue(field, type, value, out)
  if (nulls !== undefined && nulls === values) return { lower: write(null), upper: write(null) }
  const low = file.lowerBounds.get(field.sourceId)
  const high = file.upperBounds.get(field.sourceId)
  if (low === undefined || high === undefined) return undefined
  const [lowest, highest] = [surelyAtMost(source, low, kept), surelyAtLeast(source, high, kept)]
  if (lowest === undefined || highest === undefined) return undefined
  const isNan = (file.nanValueCounts.get(field.sourceId) ?? 0) > 0
  const least = applyTransform(field.transform, source, lowest)
  const most = isNan ? Number.NaN : applyTransform(field.transform, source, highest)
  const [first, last] = field.direction === 'asc' ? [write(least), write(most)] : [write(most), write(least)]
  if (nulls === undefined || nulls === 0) return { lower: first, upper: last }
  return field.nullOrder === 'nulls-first' ? { lower: write(null), upper: last } : { lower: first, upper: write(null) }
}

/** Rising with its source, so that the ends of a range stay its ends. */
const isMonotone = (transform: string): boolean => transform !== 'void' && !transform.startsWith('bucket')

/** A value that the least one of a column surely does not exceed; none when the bound is no value of the type. */
function surelyAtMost(type: PrimitiveType, bound: Uint8Array, kept: number): PrimitiveValue | undefined {
  const value = usableBound(type, bound)
  if (type === 'string' && isCut(value as string, kept)) return `${value as string}\u{10ffff}`
  if (type === 'binary' && bound.length >= kept) return Uint8Array.from([...bound, ...LAST_BYTES])
  return value
}

const LAST_BYTES: readonly number[] = new Array<number>(BOUND_LENGTH).fill(0xff)

/** A value that the greatest one of a column surely reaches. */
function surelyAtLeast(type: PrimitiveType, bound: Uint8Array, kept: number): PrimitiveValue | undefined {
  const value = usableBound(type, bound)
  if (type === 'string' && isCut(value as string, kept)) {
    const points = Array.from(value as string)
    const last = points.at(-1)!.codePointAt(0)!
    if (last === 0) return value
    const before = last === 0xe000 ? 0xd7ff : last - 1
    return points.slice(0, -1).join('') + String.fromCodePoint(before)
  }
  if (type === 'binary' && bound.length >= kept && bound.at(-1)! > 0) {
    return Uint8Array.from([...bound.subarray(0, -1), bound.at(-1)! - 1])
  }
  return value
}

/**
 * Whether a bound may be a prefix. A raised prefix can be shorter, when its last characters could not be raised:
 * those of such text are beyond all scripts.
 */
const isCut = (text: string, kept: number): boolean => Array.from(text).length >= kept

/** Files of one partition by their place on the sort key. */
export interface Overlap {
  /** Files that surely lie over one point of the key, at most. 0 without files of known ranges. */
  readonly depth: number
  /** Sets of files that overlap, directly or through others, with the depth of each; in key order. */
  readonly components: readonly { readonly members: readonly number[]; readonly depth: number }[]
}

/** @param ranges of the files, by their number. */
export function measureOverlap(ranges: readonly (KeyRange | undefined)[]): Overlap {
  const order = ranges
    .flatMap((range, index) => (range === undefined ? [] : [{ index, ...inOrder(range) }]))
    .sort((a, b) => Buffer.compare(a.lower, b.lower) || Buffer.compare(a.upper, b.upper))
  const components: { members: number[]; depth: number }[] = []
  let current: (typeof order)[number][] = []
  let reach: Buffer | undefined
  const close = (): void => {
    if (current.length > 0) components.push({ members: current.map(({ index }) => index), depth: depthOf(current) })
    current = []
  }
  for (const file of order) {
    // a file that begins where all before it end only touches them
    if (reach !== undefined && Buffer.compare(file.lower, reach) >= 0) {
      close()
      reach = undefined
    }
    current.push(file)
    if (reach === undefined || Buffer.compare(file.upper, reach) > 0) reach = file.upper
  }
  close()
  return { depth: components.reduce((most, { depth }) => Math.max(most, depth), 0), components }
}

/** A range that is surely nothing counts as the one point where it would begin. */
const inOrder = ({ lower, upper }: KeyRange): KeyRange =>
  Buffer.compare(lower, upper) > 0 ? { lower: upper, upper } : { lower, upper }

/** Open ranges over one point; files of one single key stand side by side there, each over those that span it. */
function depthOf(files: readonly KeyRange[]): number {
  const isPoint = ({ lower, upper }: KeyRange): boolean => Buffer.compare(lower, upper) === 0
  // at one key: ranges end, then single keys stand, then ranges begin
  const events = files
    .flatMap((file) =>
      isPoint(file)
        ? [{ key: file.lower, rank: 1 }]
        : [
            { key: file.lower, rank: 2 },
            { key: file.upper, rank: 0 },
          ],
    )
    .sort((a, b) => Buffer.compare(a.key, b.key) || a.rank - b.rank)
  let open = 0
  let most = 0
  for (const { rank } of events) {
    if (rank === 0) open--
    if (rank === 2) open++
    most = Math.max(most, rank === 1 ? open + 1 : open)
  }
  return most
}
