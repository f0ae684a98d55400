/**
 * What a key may look like, and the order keys come in. The rules are the intersection of what S3, a file system
 * and an XML listing can carry, so that a warehouse can be copied between them object by object.
 */
import { FirnError } from '../errors.ts'
import type { ByteRange } from './object-store.ts'
import { outsideTable } from './store-errors.ts'

/** S3's limit on a whole key, in UTF-8 bytes. */
export const MAX_KEY_BYTES = 1024

/** Folder of the file adapter's temporary files and locks. No store accepts a key with this segment. */
export const RESERVED_SEGMENT = '.firn-tmp'

/** Why `key` is refused, or `undefined` when it is fine. */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'it is empty'
  if (!key.isWellFormed()) return 'it is not well-formed Unicode'
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    // XML 1.0 has no way to write these, so no S3 listing could return such a key.
    if (unit < 0x20 || unit === 0x7f || unit >= 0xfffe) return 'it contains a control character'
  }
  return segmentProblem(key.split('/'))
}

function segmentProblem(segments: readonly string[]): string | undefined {
  for (const segment of segments) {
    if (segment === '') return 'it has an empty segment (a leading, trailing or doubled slash)'
    if (segment === '.' || segment === '..') return `it has the segment '${segment}'`
    if (segment === RESERVED_SEGMENT) return `it has the reserved segment '${RESERVED_SEGMENT}'`
  }
  return undefined
}

/** A URL in place of a key: how `keyOfPath` names an object that lies outside of the table. */
export const isOutsideKey = (key: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(key)

/** @throws {FirnError} `FIRN_INVALID_KEY`, `FIRN_PATH_OUTSIDE_TABLE` (invalid). */
export function assertKey(key: string, storeUrl: string): void {
  const problem = keyProblem(key)
  if (problem === undefined) return
  if (isOutsideKey(key)) throw outsideTable(key, storeUrl)
  throw new FirnError(
    'invalid',
    'FIRN_INVALID_KEY',
    `Key ${JSON.stringify(key)} is refused in ${storeUrl}: ${problem}.`,
    {
      detail: { store: storeUrl, key },
      help: 'Use segments joined by single slashes, without "." or "..", at most 1,024 UTF-8 bytes in all.',
    },
  )
}

/** @throws {FirnError} `FIRN_INVALID_RANGE` (invalid) unless `0 <= start <= end`, both safe integers. */
export function assertRange(range: ByteRange, key: string): void {
  const { start, end } = range
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return
  throw new FirnError('invalid', 'FIRN_INVALID_RANGE', `Byte range [${start}, ${end}) of ${key} is not a range.`, {
    detail: { key, start, end },
  })
}

/** The part of `range` that an object of `sizeBytes` has; empty when it starts at or behind the end. */
export function clampRange(range: ByteRange | undefined, sizeBytes: number): ByteRange {
  if (range === undefined) return { start: 0, end: sizeBytes }
  const end = Math.min(range.end, sizeBytes)
  return { start: Math.min(range.start, end), end }
}

/**
 * UTF-8 byte order, the order of S3 listings. JavaScript's `<` compares UTF-16 code units, which puts characters
 * above U+FFFF (surrogates, 0xD800..0xDFFF) before U+E000..U+FFFF; here they are moved behind them.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

const codePointRank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)
