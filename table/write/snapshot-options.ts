/** What every operation that makes a snapshot takes, and where on which branch the snapshot goes. */

import { refOf } from '../commit/requirements.ts'
import type { SnapshotOperation } from '../commit/summary.ts'
import { FirnError } from '../errors.ts'
import type { EpochMillis, SnapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { currentSchema, type SnapshotRef, snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { WrittenFile } from './writer.ts'

/** A snapshot before the first try of its commit. */
export interface UpcomingSnapshot {
  readonly snapshotId: SnapshotId
  readonly operation: SnapshotOperation
  /** With digest and row groups where this package wrote the file as part of the operation. */
  readonly added: readonly (Pick<WrittenFile, 'dataFile'> & Partial<WrittenFile>)[]
  /** Paths. */
  readonly removed: readonly string[]
}

export interface SnapshotOptions extends AbortableOptions {
  /** Chosen by the caller when it must know the id before the commit; fresh otherwise. */
  readonly snapshotId?: SnapshotId | undefined
  /** Extra members of the snapshot's summary. */
  readonly summary?: Readonly<Record<string, string>> | undefined
  /** Table properties that change with this snapshot and only with it. */
  readonly setProperties?: Readonly<Record<string, string>> | undefined
  /** Properties that must have these values (`undefined`: not be set) at every try. */
  readonly requireProperties?: Readonly<Record<string, string | undefined>> | undefined
  /**
   * A property of `setProperties` whose value names this run: it proves that an earlier try took effect even after the
   * snapshot has expired.
   */
  readonly runMarker?: { readonly property: string; readonly value: string } | undefined
  /** Default: `main`. */
  readonly branch?: string | undefined
  /**
   * Called once for each plan of the change, when its files are written and before the first try of its commit, which
   * its failure prevents. Not for a rollback. A change that is planned anew has another snapshot id unless the caller
   * chose one.
   */
  readonly beforeCommit?: ((upcoming: UpcomingSnapshot) => Promise<void>) | undefined
}

/**
 * The newest snapshot of a branch; `undefined` for a main without any.
 * @throws {FirnError} `FIRN_REF_NOT_FOUND` (not-found); `FIRN_INVALID_OPTION` (invalid) for a tag.
 */
export function headOf(metadata: TableMetadata, branch = 'main'): Snapshot | undefined {
  const ref = refOf(metadata, branch)
  if (ref === undefined) {
    if (branch === 'main') return undefined
    throw new FirnError('not-found', 'FIRN_REF_NOT_FOUND', `branch ${branch} is not in table ${metadata.location}`, {
      help: 'Create it first: firn branch <table> <name>',
    })
  }
  if (ref.type !== 'branch') {
    const message = `${branch} of table ${metadata.location} is a tag, which is never written to`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message)
  }
  return snapshotById(metadata, ref.snapshotId)
}

/** Whether an earlier try of the change that makes the snapshot took effect. */
export function isOwnSnapshot(
  metadata: TableMetadata,
  snapshotId: SnapshotId | undefined,
  { runMarker }: Pick<SnapshotOptions, 'runMarker'>,
): boolean {
  if (snapshotId !== undefined && snapshotById(metadata, snapshotId) !== undefined) return true
  return runMarker !== undefined && metadata.properties[runMarker.property] === runMarker.value
}

/** The ref of the branch once `snapshotId` is its newest snapshot; its retention stays. */
export function ownRef(
  metadata: TableMetadata,
  branch: string | undefined,
  snapshotId: SnapshotId,
): { readonly name: string; readonly ref: SnapshotRef } {
  const name = branch ?? 'main'
  return { name, ref: { ...refOf(metadata, name), snapshotId, type: 'branch' } }
}

/** A snapshot on top of the branch, with the table's current schema. */
export function nextSnapshot(
  base: TableMetadata,
  branch: string | undefined,
  of: {
    readonly snapshotId: SnapshotId
    readonly parentSnapshotId?: SnapshotId
    readonly timestampMillis: EpochMillis
    readonly manifestList: string
    readonly summary: Readonly<Record<string, string>>
  },
): Snapshot {
  const parent = of.parentSnapshotId ?? headOf(base, branch)?.snapshotId
  return {
    snapshotId: of.snapshotId,
    ...(parent === undefined ? {} : { parentSnapshotId: parent }),
    sequenceNumber: base.lastSequenceNumber + 1,
    timestampMillis: of.timestampMillis,
    manifestList: of.manifestList,
    summary: of.summary,
    schemaId: currentSchema(base).schemaId,
  }
}
