/**
 * Which snapshots and refs a table may let go. Pure. Spec: "Snapshot Retention Policy".
 *
 * A branch keeps its newest snapshots until both their number and their age are past the limits; a tag keeps one; what
 * no ref leads to is kept while it is young, since somebody may be about to use it.
 */
import { ancestorsOf } from '../../commit/refs.ts'
import { FirnError } from '../../errors.ts'
import type { EpochMillis, SnapshotId } from '../../ids.ts'
import { type SnapshotRef, snapshotById, type TableMetadata } from '../../spec/metadata.ts'

export interface RetentionRules {
  /** Snapshots before this time may go. Default: now - `history.expire.max-snapshot-age-ms` (5 days). */
  readonly olderThan?: EpochMillis | undefined
  /** Snapshots that each branch keeps whatever their age. Default: `history.expire.min-snapshots-to-keep` (1). */
  readonly retainLast?: number | undefined
  /** Exactly these instead of what the rules say; none that a ref names. */
  readonly snapshotIds?: readonly SnapshotId[] | undefined
}

export interface Retention {
  /** In the order of the table's snapshots. */
  readonly expired: readonly SnapshotId[]
  /** Refs that are older than they may become. Never `main`. */
  readonly expiredRefs: readonly string[]
}

const MAX_SNAPSHOT_AGE_MILLIS = 5 * 86_400_000
const MIN_SNAPSHOTS_TO_KEEP = 1

/** @throws {FirnError} `FIRN_INVALID_OPTION`, `FIRN_SNAPSHOT_IN_USE` (invalid); `FIRN_SNAPSHOT_NOT_FOUND` (not-found). */
export function applyRetention(metadata: TableMetadata, rules: RetentionRules, now: EpochMillis): Retention {
  const maxAge = numberProperty(metadata, 'history.expire.max-snapshot-age-ms', MAX_SNAPSHOT_AGE_MILLIS)
  const cutoff = rules.olderThan ?? now - maxAge
  const minimum =
    rules.retainLast ?? numberProperty(metadata, 'history.expire.min-snapshots-to-keep', MIN_SNAPSHOTS_TO_KEEP)
  if (!Number.isSafeInteger(minimum) || minimum < 1) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `snapshots to keep: expected 1 or more, got ${minimum}`)
  }
  if (!Number.isFinite(cutoff)) {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `expire before: expected a time in ms, got ${cutoff}`)
  }
  if (rules.snapshotIds !== undefined) return exactly(metadata, rules.snapshotIds)
  const expiredRefs = Object.entries(metadata.refs).flatMap(([name, ref]) =>
    name !== 'main' && isTooOld(metadata, ref, now) ? [name] : [],
  )
  const refs = Object.entries(metadata.refs).flatMap(([name, ref]) => (expiredRefs.includes(name) ? [] : [ref]))
  const kept = new Set<SnapshotId>()
  const referenced = new Set<SnapshotId>()
  for (const ref of refs) {
    kept.add(ref.snapshotId)
    referenced.add(ref.snapshotId)
    if (ref.type === 'tag') continue
    const branchCutoff = ref.maxSnapshotAgeMillis === undefined ? cutoff : now - ref.maxSnapshotAgeMillis
    const branchMinimum = ref.minSnapshotsToKeep ?? minimum
    let within = true
    let position = 0
    for (const id of ancestorsOf(metadata, ref.snapshotId)) {
      referenced.add(id)
      within &&= position++ < branchMinimum || snapshotById(metadata, id)!.timestampMillis >= branchCutoff
      if (within) kept.add(id)
    }
  }
  const expired = metadata.snapshots.flatMap(({ snapshotId, timestampMillis }) => {
    const isYoung = !referenced.has(snapshotId) && timestampMillis >= cutoff
    return kept.has(snapshotId) || isYoung ? [] : [snapshotId]
  })
  return { expired, expiredRefs }
}

function exactly(metadata: TableMetadata, ids: readonly SnapshotId[]): Retention {
  const names = new Map(Object.entries(metadata.refs).map(([name, ref]) => [ref.snapshotId, name]))
  // Of several refs the one that cannot be removed.
  if (metadata.refs['main'] !== undefined) names.set(metadata.refs['main'].snapshotId, 'main')
  for (const id of ids) {
    if (snapshotById(metadata, id) === undefined) {
      throw new FirnError(
        'not-found',
        'FIRN_SNAPSHOT_NOT_FOUND',
        `snapshot ${id} is not in table ${metadata.location}`,
        {
          help: 'List them with: firn inspect snapshots <table>',
        },
      )
    }
    const ref = names.get(id)
    if (ref !== undefined) {
      const message = `snapshot ${id} of ${metadata.location} cannot expire: ref ${ref} names it`
      throw new FirnError('invalid', 'FIRN_SNAPSHOT_IN_USE', message, {
        help: ref === 'main' ? 'The newest snapshot of the table always stays: name others.' : 'Remove the ref first.',
      })
    }
  }
  const wanted = new Set(ids)
  const expired = metadata.snapshots.flatMap(({ snapshotId }) => (wanted.has(snapshotId) ? [snapshotId] : []))
  return { expired, expiredRefs: [] }
}

/** A ref is as old as its snapshot; one that names none is of no use to anybody. */
function isTooOld(metadata: TableMetadata, ref: SnapshotRef, now: EpochMillis): boolean {
  const snapshot = snapshotById(metadata, ref.snapshotId)
  const fallback = numberProperty(metadata, 'history.expire.max-ref-age-ms', Number.POSITIVE_INFINITY)
  return snapshot === undefined || now - snapshot.timestampMillis > (ref.maxRefAgeMillis ?? fallback)
}

function numberProperty(metadata: TableMetadata, key: string, fallback: number): number {
  const value = Number(metadata.properties[key] ?? fallback)
  return Number.isNaN(value) || value < 0 ? fallback : value
}
