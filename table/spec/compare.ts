/** Order of values as bounds and sort orders mean it. Spec: "Sorting", Appendix D. */
import type { PrimitiveType, PrimitiveValue } from './types.ts'

/**
 * Negative, zero or positive. Strings compare by their UTF-8 bytes, not by UTF-16 code units as `<` does: the two
 * differ beyond U+FFFF. Floats: -0.0 equals 0.0, NaN is above everything. Nulls are the caller's business.
 */
export function compareValues(type: PrimitiveType, a: PrimitiveValue, b: PrimitiveValue): number {
  if (type === 'string') return compareStrings(a as string, b as string)
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  if (typeof a === 'number' && typeof b === 'number' && (Number.isNaN(a) || Number.isNaN(b))) {
    return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  }
  const left = a as number | bigint | boolean
  const right = b as number | bigint | boolean
  return left < right ? -1 : left > right ? 1 : 0
}

/** Code point order, which is UTF-8 byte order, without encoding. */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) {
      // A surrogate stands for a code point above every other code unit.
      const leftHigh = left >= 0xd800 && left <= 0xdfff
      const rightHigh = right >= 0xd800 && right <= 0xdfff
      return leftHigh === rightHigh ? left - right : leftHigh ? 1 : -1
    }
  }
  return a.length - b.length
}
