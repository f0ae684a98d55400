/** Ages of objects in the warehouse by the store's own clock: this machine's may be ahead. */
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'

/** One name for all; it stays, so that nothing has to be deleted for it. */
const PROBE = '_runs/clock-probe'
const MAX_AHEAD_MILLIS = 5 * 60_000

/** A cutoff, and the time that it was counted from, both by the clock of this machine. */
export interface PlannedCutoff {
  readonly plannedAtMillis: EpochMillis
  /** Nothing that was written at or after this time goes. */
  readonly olderThanMillis: EpochMillis
}

/**
 * The planned cutoff, or an earlier one where this machine is ahead of the store. Writes an object and looks when the
 * store says that it was written.
 * @throws {FirnError} `FIRN_CLOCK_SKEW` (invalid): more than 5 minutes ahead.
 */
export async function cutoffByStoreClock(
  store: ObjectStore,
  { plannedAtMillis, olderThanMillis }: PlannedCutoff,
  options: AbortableOptions = {},
): Promise<EpochMillis> {
  await store.put(PROBE, Buffer.from('what time is it?\n'), options)
  const now = await writtenAt(store, options)
  const aheadMillis = plannedAtMillis - now
  if (aheadMillis <= MAX_AHEAD_MILLIS) {
    return epochMillis(Math.min(olderThanMillis, now - (plannedAtMillis - olderThanMillis)))
  }
  const seconds = Math.round(aheadMillis / 1000)
  const message = `the clock of this machine is ${seconds} s ahead of the store's (${store.url}): ages of objects cannot be told`
  throw new FirnError('invalid', 'FIRN_CLOCK_SKEW', message, {
    detail: { plannedAtMillis, storeMillis: now },
    help: 'Set the clock of this machine, then plan again.',
  })
}

/** By the listing: to write run records and to list is all that a job needs for it. */
async function writtenAt(store: ObjectStore, options: AbortableOptions): Promise<number> {
  for await (const { key, lastModifiedMillis } of store.list(PROBE, options)) {
    if (key === PROBE) return lastModifiedMillis
  }
  return 0
}
