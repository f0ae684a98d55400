/**
 * Removal of what lies in a table's folder and nothing in the table leads to: files of tries that lost, of runs that
 * died, and what an expiry left behind.
 *
 * A file is written before the commit that names it, so the young are never touched. The plan lists what it found; the
 * run looks again: what is referenced by now, or is another object under the same key, stays.
 */
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { type EpochMillis, epochMillis } from '../ids.ts'
import type { AbortableOptions, ObjectInfo } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import type { Table } from '../table.ts'
import { newestToDeleteFrom, readWhileMoving } from './gc-guard.ts'
import { assertSamePrefixes, type Foundling, findUnreferenced, listTable } from './orphans/listing.ts'
import { assertOwnMetadata } from './orphans/neighbours.ts'
import { protectedVersions, type References, referencesOf } from './orphans/references.ts'
import { cutoffByStore } from './orphans/store-time.ts'

export const ORPHAN_MIN_AGE_MILLIS: number = 3 * 86_400_000
/** Share of the folder's bytes above which a run is refused unless it is forced. */
export const ORPHAN_MAX_SHARE = 0.5
/** Requests in flight. */
const DELETE_DEPTH = 16

export interface OrphanPlanOptions extends AbortableOptions {
  /** Only files older than this. Must exceed the longest commit, data files included. Default: 3 days. */
  readonly minAgeMillis?: number | undefined
  /** Why an age below 3 days is safe now, e.g. "no writer runs". Goes into the plan. */
  readonly allowYoung?: string | undefined
}

/** Plain JSON. */
export interface OrphanPlan {
  readonly location: string
  readonly tableUuid: string
  readonly plannedAtMillis: EpochMillis
  /** Nothing that was written later is listed. */
  readonly olderThanMillis: EpochMillis
  readonly allowYoung: string | null
  readonly orphans: readonly Foundling[]
  readonly totals: {
    /** In the table's folder. */
    readonly objects: number
    readonly bytes: number
    readonly orphans: number
    readonly orphanBytes: number
    /** Unreferenced, but too young to tell. */
    readonly young: number
    /** Hidden from readers (a name that begins with `.` or `_`): never touched. */
    readonly hidden: number
  }
}

/**
 * @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_GC_DISABLED`, `FIRN_TABLE_READ_ONLY` (invalid);
 *   `FIRN_LOCATION_SHARED`, `FIRN_PREFIX_MISMATCH` (invalid): what is whose cannot be told;
 *   as reading manifests: what a snapshot leads to must be known, or nothing is an orphan.
 */
export async function planOrphans(table: Table, options: OrphanPlanOptions, clock: Clock): Promise<OrphanPlan> {
  const { signal, minAgeMillis = ORPHAN_MIN_AGE_MILLIS, allowYoung } = options
  checkAge(minAgeMillis, allowYoung)
  const plannedAtMillis = clock.nowMillis()
  const olderThanMillis = epochMillis(plannedAtMillis - minAgeMillis)
  // The listing first: what is committed while it runs is then referenced by the table that it is compared with.
  const listing = await listTable(table.store, { signal })
  const { table: newest, references } = await currentReferences(table, { signal })
  const { metadata } = newest
  await assertOwnMetadata(newest, listing, references, { signal })
  const kept = protectedVersions(metadata, listing.objects)
  const { orphans, young, hidden } = findUnreferenced(metadata.location, listing, references, kept, olderThanMillis)
  assertSamePrefixes(metadata.location, orphans, references)
  return {
    location: metadata.location,
    tableUuid: metadata.tableUuid,
    plannedAtMillis,
    olderThanMillis,
    allowYoung: allowYoung ?? null,
    orphans,
    totals: {
      objects: listing.objects.length,
      bytes: listing.bytes,
      orphans: orphans.length,
      orphanBytes: orphans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      young,
      hidden,
    },
  }
}

function checkAge(minAgeMillis: number, allowYoung: string | undefined): void {
  if (!Number.isFinite(minAgeMillis) || minAgeMillis < 0) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `age of orphans: expected 0 or more ms, got ${minAgeMillis}`)
  }
  if (minAgeMillis >= ORPHAN_MIN_AGE_MILLIS || (allowYoung ?? '').trim() !== '') return
  const message = `orphans younger than 3 days may belong to a commit that is under way, got ${minAgeMillis} ms`
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, {
    help: 'Leave the age at 3 days, or give the reason why no writer can be that slow.',
  })
}

async function currentReferences(
  table: Table,
  options: AbortableOptions,
): Promise<{ readonly table: Table; readonly references: References }> {
  const newest = await newestToDeleteFrom(table, options)
  const found = await readWhileMoving(newest, (now) => referencesOf(now, options), options)
  return { table: found.table, references: found.value }
}

export interface OrphanRunOptions extends AbortableOptions {
  /** Share of the folder's bytes, from 0 to 1. Default: 0.5. */
  readonly maxShare?: number | undefined
  /** Delete whatever the share. */
  readonly force?: boolean | undefined
}

/** Plain JSON. */
export interface OrphanResult {
  readonly deleted: number
  readonly bytesFreed: number
  /** Nothing that was written later was deleted: the plan's cutoff, or an earlier one by the clock of the store. */
  readonly olderThanMillis: EpochMillis
  /** Keys of the plan that the table has come to reference, that it protects now, or that are too young after all. */
  readonly referenced: readonly string[]
  /** Keys under which another object lies by now. */
  readonly changed: readonly string[]
  /** Of the plan, but not there any more. */
  readonly gone: number
}

/**
 * Delete what `plan` lists, as far as it still is what the plan saw and still nothing leads to it. Idempotent.
 *
 * The times of objects are the store's, the plan's cutoff is by the clock of whoever planned. So the run asks the store
 * for its time, by an object that it writes and removes again; planning only reads.
 * @throws {FirnError} `FIRN_PLAN_STALE` (invalid): of another table; `FIRN_CLOCK_SKEW` (invalid): the clock that the plan
 *   was made with is minutes ahead of the store's; `FIRN_TOO_MANY_ORPHANS` (failed); as `planOrphans`.
 */
export async function runOrphans(
  table: Table,
  plan: OrphanPlan,
  options: OrphanRunOptions = {},
): Promise<{ readonly table: Table; readonly result: OrphanResult }> {
  const { signal } = options
  checkPlan(table, plan)
  checkShare(plan, options)
  const listing = await listTable(table.store, { signal })
  const { table: newest, references } = await currentReferences(table, { signal })
  const { metadata, store } = newest
  await assertOwnMetadata(newest, listing, references, { signal })
  assertSamePrefixes(metadata.location, plan.orphans, references)
  const olderThanMillis = await cutoffByStore(store, plan, { signal })
  const found = new Map(listing.objects.map((info) => [info.key, info]))
  const kept = protectedVersions(metadata, listing.objects)
  const still = findUnreferenced(metadata.location, listing, references, kept, olderThanMillis).orphans
  const unreferenced = new Set(still.map(({ key }) => key))
  const there = plan.orphans.filter(({ key }) => found.has(key))
  const same = there.filter((orphan) => isSame(orphan, found.get(orphan.key)!))
  const doomed = same.filter(({ key }) => unreferenced.has(key))
  const changed = there.filter((orphan) => !isSame(orphan, found.get(orphan.key)!)).map(({ key }) => key)
  let bytesFreed = 0
  let deleted = 0
  const remove = async (orphan: Foundling, abort: AbortSignal): Promise<Foundling | undefined> => {
    try {
      await store.delete(orphan.key, { ifMatch: orphan.etag, signal: abort })
      return orphan
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
      changed.push(orphan.key)
      return undefined
    }
  }
  for await (const orphan of prefetch(doomed, remove, { depth: DELETE_DEPTH, signal })) {
    if (orphan === undefined) continue
    deleted++
    bytesFreed += orphan.sizeBytes
  }
  const referenced = same.filter(({ key }) => !unreferenced.has(key)).map(({ key }) => key)
  const gone = plan.orphans.length - there.length
  return { table: newest, result: { deleted, bytesFreed, olderThanMillis, referenced, changed, gone } }
}

/** The time too: a run that was repeated may have written the very same bytes again. */
const isSame = (orphan: Foundling, { etag, sizeBytes, lastModifiedMillis }: ObjectInfo): boolean =>
  orphan.etag === etag && orphan.sizeBytes === sizeBytes && orphan.lastModifiedMillis === lastModifiedMillis

function checkPlan({ metadata }: Table, plan: OrphanPlan): void {
  if (plan.tableUuid !== metadata.tableUuid || plan.location !== metadata.location) {
    const message = `the plan is for ${plan.location} (${plan.tableUuid}), the table is ${metadata.location}`
    throw new FirnError('invalid', 'FIRN_PLAN_STALE', message, { help: 'Plan again.' })
  }
  checkAge(plan.plannedAtMillis - plan.olderThanMillis, plan.allowYoung ?? undefined)
}

function checkShare({ totals, location }: OrphanPlan, { maxShare = ORPHAN_MAX_SHARE, force }: OrphanRunOptions): void {
  if (force === true || totals.orphanBytes <= maxShare * totals.bytes) return
  const percent = Math.round((100 * totals.orphanBytes) / totals.bytes)
  const message = `${percent} % of the bytes of ${location} look orphaned: more than ${100 * maxShare} %`
  throw new FirnError('failed', 'FIRN_TOO_MANY_ORPHANS', message, {
    detail: { location, orphans: totals.orphans, bytes: totals.orphanBytes },
    help: 'Look through the plan. If all of it is garbage, force it.',
  })
}
