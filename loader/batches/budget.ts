/** Counts the bytes that one iteration holds: decoded segments, and units that are on their way. */

/** What a unit takes while it is decoded, beside its decoded size: its compressed bytes, and the page at hand. */
const SCRATCH = 0.6
/** The decoded sizes of this many units outweigh what the plan estimated. */
const TRUSTED_UNITS = 4

export interface MemoryBudget {
  readonly limitBytes: number
  /** Decoded and not yet given out. */
  readonly residentBytes: number
  /** The most that was resident at a time. */
  readonly peakBytes: number
  /** Units on their way. */
  readonly inFlight: number
  /** Decoded bytes over estimated ones, as far as known; 1 before anything arrived. */
  readonly scale: number
  /** Whether a unit of `estimatedBytes` can come on top of everything else, as far as reading goes ahead. */
  fits(estimatedBytes: number): boolean
  /** Within the whole limit, without room for the work of decoding: for a unit that everything waits for. */
  fitsBarely(estimatedBytes: number): boolean
  request(estimatedBytes: number): void
  /** What was requested is here. */
  arrive(estimatedBytes: number, actualBytes: number): void
  /** What was requested does not come. */
  fail(estimatedBytes: number): void
  free(bytes: number): void
}

/**
 * Estimates are corrected by what arrives: with few columns, or a transform, a unit is far smaller than its rows.
 * @param decodedAtOnce units that are decoded at the same time; the others on their way are only queued.
 * @param aheadBytes how much is read ahead, in estimated bytes where units are larger than that.
 */
export function memoryBudget(limitBytes: number, decodedAtOnce: number, aheadBytes: number = limitBytes): MemoryBudget {
  let resident = 0
  let peak = 0
  let requested = 0
  let inFlight = 0
  let arrived = 0
  let estimated = 0
  let actual = 0
  const scale = (): number => {
    if (arrived === 0 || estimated === 0) return 1
    if (actual > estimated) return actual / estimated // what turned out larger is believed at once
    const prior = (estimated / arrived) * TRUSTED_UNITS
    return (actual + prior) / (estimated + prior)
  }
  const used = (bytes: number, units: number, scratch: number): number => {
    const share = units === 0 ? 0 : Math.min(1, decodedAtOnce / units)
    return resident + bytes * scale() + bytes * scratch * share
  }
  return {
    limitBytes,
    get residentBytes() {
      return resident
    },
    get peakBytes() {
      return peak
    },
    get inFlight() {
      return inFlight
    },
    get scale() {
      return scale()
    },
    fits(bytes) {
      const ahead = Math.min(limitBytes, aheadBytes * Math.max(1, scale()))
      return used(requested + bytes, inFlight + 1, SCRATCH) <= ahead
    },
    fitsBarely: (bytes) => used(requested + bytes, inFlight + 1, 0) <= limitBytes,
    request(bytes) {
      requested += bytes
      inFlight++
    },
    arrive(bytes, actualBytes) {
      requested -= bytes
      inFlight--
      arrived++
      estimated += bytes
      actual += actualBytes
      resident += actualBytes
      peak = Math.max(peak, resident)
    },
    fail(bytes) {
      requested -= bytes
      inFlight--
    },
    free(bytes) {
      resident -= bytes
    },
  }
}
