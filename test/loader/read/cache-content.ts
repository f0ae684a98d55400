/** Bytes of an endless object, the same for every process. */
export const RANGE_BYTES = 20_000

export function contentOf(start: number, end: number): Uint8Array {
  return Uint8Array.from({ length: end - start }, (_, at) => (Math.imul(start + at, 2_654_435_761) >>> 24) & 0xff)
}
