/** The time as the store tells it: ages of objects are told by its clock, not by this machine's. */
import { FirnError } from '../../errors.ts'
import { type EpochMillis, epochMillis } from '../../ids.ts'
import type { AbortableOptions, ObjectStore } from '../../io/object-store.ts'

/** One name, so that the next run removes what a dead one left. */
const PROBE = 'metadata/clock-probe.tmp'
/** A clock that is further ahead of the store's is wrong. */
const MAX_AHEAD_MILLIS = 5 * 60_000

/** What a plan says of times, in ms. */
interface PlannedTimes {
  readonly location: string
  readonly plannedAtMillis: EpochMillis
  readonly olderThanMillis: EpochMillis
}

/**
 * The cutoff of the plan, or an earlier one where the clock that it was made with is ahead of the store's. Writes an
 * object, looks when the store says that it was written, and removes it. One that a death leaves behind goes with the next run.
 * @throws {FirnError} `FIRN_CLOCK_SKEW` (invalid): the plan was made more than 5 minutes from now.
 */
export async function cutoffByStore(
  store: ObjectStore,
  plan: PlannedTimes,
  options: AbortableOptions,
): Promise<EpochMillis> {
  const { location, plannedAtMillis, olderThanMillis } = plan
  const now = await storeNow(store, options)
  const aheadMillis = plannedAtMillis - now
  if (aheadMillis > MAX_AHEAD_MILLIS) {
    const seconds = Math.round(aheadMillis / 1000)
    const message = `the plan for ${location} was made ${seconds} s from now by the clock of the store: ages of files cannot be told`
    throw new FirnError('invalid', 'FIRN_CLOCK_SKEW', message, {
      detail: { location, plannedAtMillis, storeMillis: now },
      help: 'Set the clock of the machine that plans, then plan again.',
    })
  }
  return epochMillis(Math.min(olderThanMillis, now - (plannedAtMillis - olderThanMillis)))
}

async function storeNow(store: ObjectStore, options: AbortableOptions): Promise<number> {
  await store.put(PROBE, Buffer.from('what time is it?'), options)
  const info = await store.head(PROBE, options)
  await store.delete(PROBE, options)
  if (info !== undefined) return info.lastModifiedMillis
  const message = `${store.url}/${PROBE} was removed by somebody else at once: another removal of orphans is running`
  throw new FirnError('conflict', 'FIRN_REQUIREMENT_FAILED', message, {
    help: 'Wait for the other run, then plan again.',
  })
}
