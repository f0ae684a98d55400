/** Branches and tags: made, moved and dropped. Spec: "Snapshot References". */
import { FirnError } from '../errors.ts'
import { type SnapshotId, snapshotId } from '../ids.ts'
import { type SnapshotRef, snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Change } from './commit.ts'
import { refOf, sameTable } from './requirements.ts'

/** Property by which expiry tells which snapshots it is about to remove: their ids. */
export const EXPIRING_PROPERTY = 'firn.expiring'

/** Member of a rollback's summary: the snapshot whose files it restored, which is its parent too. */
export const ROLLED_BACK_TO = 'firn.rolled-back-to'
/** Member of a rollback's summary: the newest snapshot of the branch before it, which is no ancestor any more. */
export const ROLLED_BACK_FROM = 'firn.rolled-back-from'

/** How long a ref and the snapshots of a branch are kept; `null`: as the table's properties say. */
export interface RefRetention {
  /** The ref itself may be dropped by expiry when its snapshot is older. */
  readonly maxRefAgeMillis?: number | null
  /** Branches only. */
  readonly maxSnapshotAgeMillis?: number | null
  /** Branches only. */
  readonly minSnapshotsToKeep?: number | null
}

/**
 * A new ref. The same ref again is no change; another snapshot or kind under the name is refused.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); from its tries `FIRN_REF_EXISTS` (invalid),
 *   `FIRN_SNAPSHOT_NOT_FOUND` (not-found), `FIRN_SNAPSHOT_EXPIRING` (conflict).
 */
export function createRef(
  planned: TableMetadata,
  name: string,
  ref: Pick<SnapshotRef, 'snapshotId' | 'type'>,
  retention: RefRetention = {},
): Change {
  if (name === '' || name === 'main') {
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `"${name}" cannot name a ${ref.type}`)
  }
  const wanted = withRetention(ref, retention)
  const { location } = planned
  return {
    isOwn: (metadata) => {
      const held = refOf(metadata, name)
      if (held?.snapshotId !== ref.snapshotId || held.type !== ref.type) return false
      // Retention that the caller did not name is not asked for.
      return RETENTION.every((key) => retention[key] === undefined || held[key] === wanted[key])
    },
    requirements: [sameTable(planned), { type: 'assert-ref-snapshot-id', ref: name, snapshotId: undefined }],
    prepare: (base) => {
      assertNotExpiring(base, ref.snapshotId)
      return [{ action: 'set-snapshot-ref', name, ref: wanted }]
    },
    refused: (base) => {
      const held = refOf(base, name)
      if (held === undefined) return
      const same = held.snapshotId === ref.snapshotId && held.type === ref.type
      const what = same ? 'has another retention' : `is a ${held.type} of snapshot ${held.snapshotId}`
      throw new FirnError('invalid', 'FIRN_REF_EXISTS', `ref ${name} of ${location} exists and ${what}`, {
        help: same
          ? 'Change the retention of the ref instead (--update, Table.setRefRetention).'
          : 'Choose another name, or remove the ref first.',
      })
    },
  }
}

/**
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) for `main`; from its tries `FIRN_REF_NOT_FOUND` (not-found).
 */
export function dropRef(planned: TableMetadata, name: string): Change {
  if (name === 'main') throw new FirnError('invalid', 'FIRN_INVALID_OPTION', 'main is never removed')
  let tried: SnapshotRef | undefined
  return {
    // Before the first try its absence is not our doing.
    isOwn: (metadata) => tried !== undefined && refOf(metadata, name) === undefined,
    requirements: [sameTable(planned)],
    prepare: (base) => {
      const held = existing(base, name)
      // A branch may go on under our tries; anything else has been made anew since one of them took effect.
      if (tried !== undefined && !isLater(base, tried, held)) {
        const message = `ref ${name} of ${base.location} was made anew meanwhile`
        throw new FirnError('conflict', 'FIRN_REQUIREMENT_FAILED', message, { help: 'Look whether it is still to go.' })
      }
      tried = held
      return [{ action: 'remove-snapshot-ref', name }]
    },
  }
}

const isLater = (base: TableMetadata, ref: SnapshotRef, later: SnapshotRef): boolean =>
  later.snapshotId === ref.snapshotId
    ? later.type === ref.type
    : ref.type === 'branch' && later.type === 'branch' && stoodOn(base, ref.snapshotId, later.snapshotId)

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); from its tries `FIRN_REF_NOT_FOUND` (not-found). */
export function changeRetention(planned: TableMetadata, name: string, retention: RefRetention): Change {
  let tried = false
  const wanted = (ref: SnapshotRef): SnapshotRef => withRetention(ref, { ...ref, ...retention })
  return {
    isOwn: (metadata) => {
      const held = refOf(metadata, name)
      return tried && held !== undefined && sameRef(held, wanted(held))
    },
    requirements: (base) => [
      sameTable(planned),
      { type: 'assert-ref-snapshot-id', ref: name, snapshotId: refOf(base, name)?.snapshotId },
    ],
    prepare: (base) => {
      tried = true
      return [{ action: 'set-snapshot-ref', name, ref: wanted(existing(base, name)) }]
    },
  }
}

/**
 * Move a branch forward to a descendant of its newest snapshot.
 * @param to a ref or a snapshot.
 * @throws {FirnError} from its tries `FIRN_REF_NOT_FOUND`, `FIRN_SNAPSHOT_NOT_FOUND` (not-found);
 *   `FIRN_NOT_AN_ANCESTOR` (invalid): the branch has commits that `to` has not.
 */
export function fastForwardRef(planned: TableMetadata, branch: string, to: string | SnapshotId): Change {
  let moved: SnapshotId | undefined
  const target = (base: TableMetadata): SnapshotId => (typeof to === 'string' ? existing(base, to).snapshotId : to)
  return {
    isOwn: (metadata) => moved !== undefined && stoodOn(metadata, moved, refOf(metadata, branch)?.snapshotId),
    requirements: (base) => [
      sameTable(planned),
      { type: 'assert-ref-snapshot-id', ref: branch, snapshotId: refOf(base, branch)?.snapshotId },
    ],
    prepare: (base) => {
      const snapshotId = target(base)
      const held = refOf(base, branch)
      if (held?.type === 'tag') throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${branch} is a tag`)
      if (held === undefined && branch !== 'main') existing(base, branch)
      if (held?.snapshotId === snapshotId) return []
      assertNotExpiring(base, snapshotId)
      if (held !== undefined && !isAncestor(base, held.snapshotId, snapshotId)) {
        const message = `branch ${branch} of ${base.location} has commits that ${to} does not have`
        throw new FirnError('invalid', 'FIRN_NOT_AN_ANCESTOR', message, {
          help: 'Cherry-pick the snapshots that it lacks.',
        })
      }
      moved = snapshotId
      return [{ action: 'set-snapshot-ref', name: branch, ref: { ...held, snapshotId, type: 'branch' } }]
    },
  }
}

function existing(metadata: TableMetadata, name: string): SnapshotRef {
  const ref = refOf(metadata, name)
  if (ref !== undefined) return ref
  const names = Object.keys(metadata.refs).join(', ') || 'none'
  throw new FirnError('not-found', 'FIRN_REF_NOT_FOUND', `ref ${name} is not in table ${metadata.location}`, {
    help: `The refs are: ${names}`,
  })
}

const RETENTION = ['maxRefAgeMillis', 'maxSnapshotAgeMillis', 'minSnapshotsToKeep'] as const

/** `ref` with exactly the retention of `retention`. */
function withRetention(
  { snapshotId, type }: Pick<SnapshotRef, 'snapshotId' | 'type'>,
  retention: RefRetention,
): SnapshotRef {
  const kept: Record<string, number> = {}
  for (const key of RETENTION) {
    const value = retention[key]
    if (value === undefined || value === null) continue
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${key}: expected a positive whole number, got ${value}`)
    }
    if (type === 'tag' && key !== 'maxRefAgeMillis') {
      throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `${key}: a tag keeps one snapshot, only a branch has this`)
    }
    kept[key] = value
  }
  return { snapshotId, type, ...kept }
}

const sameRef = (a: SnapshotRef, b: SnapshotRef): boolean =>
  a.snapshotId === b.snapshotId && a.type === b.type && RETENTION.every((key) => a[key] === b[key])

/**
 * The snapshot is there and nobody is about to remove it.
 * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND` (not-found), `FIRN_SNAPSHOT_EXPIRING` (conflict).
 */
export function assertNotExpiring(metadata: TableMetadata, snapshotId: SnapshotId): void {
  const { location, properties } = metadata
  if (snapshotById(metadata, snapshotId) === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `snapshot ${snapshotId} is gone from ${location}`, {
      help: 'List them with: firn inspect snapshots <table>',
    })
  }
  const listed = Object.hasOwn(properties, EXPIRING_PROPERTY) ? (properties[EXPIRING_PROPERTY] ?? '') : ''
  if (!listed.split(/\D+/).includes(String(snapshotId))) return
  throw new FirnError(
    'conflict',
    'FIRN_SNAPSHOT_EXPIRING',
    `snapshot ${snapshotId} of ${location} is being expired, a ref may come too late to keep it`,
    {
      detail: { location, snapshotId: String(snapshotId) },
      help: 'Try again once expiry has ended. One that was announced over an hour ago has died: run firn expire <table>, which withdraws it or ends it.',
    },
  )
}

/** The snapshot and those it stands on, newest first, as far as the table still has them. */
export function* ancestorsOf(metadata: TableMetadata, from: SnapshotId | undefined): Generator<SnapshotId, void> {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]))
  const seen = new Set<SnapshotId>()
  for (let id = from; id !== undefined && !seen.has(id); id = byId.get(id)?.parentSnapshotId) {
    if (!byId.has(id)) return
    seen.add(id)
    yield id
  }
}

/**
 * What a branch stood on one after the other, newest first, with what was undone; ends where one has expired. Unlike
 * `ancestorsOf` it follows time: before a rollback comes what it undid.
 */
export function* lineOf(metadata: TableMetadata, from: SnapshotId | undefined): Generator<SnapshotId, void> {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]))
  const seen = new Set<SnapshotId>()
  for (let id = from; id !== undefined && !seen.has(id); ) {
    const snapshot = byId.get(id)
    if (snapshot === undefined) return
    seen.add(id)
    yield id
    id = predecessorOf(snapshot)
  }
}

/** The snapshot that its branch stood on before it: the parent's, other than of a rollback. */
export function predecessorOf({ summary, parentSnapshotId }: Snapshot): SnapshotId | undefined {
  const undone = Object.hasOwn(summary, ROLLED_BACK_FROM) ? summary[ROLLED_BACK_FROM] : undefined
  return undone !== undefined && /^-?\d{1,19}$/.test(undone) ? snapshotId(BigInt(undone)) : parentSnapshotId
}

/** Whether a branch that stands on `head` ever stood on `snapshotId`, as far as the table still knows. */
export function stoodOn(metadata: TableMetadata, id: SnapshotId, head: SnapshotId | undefined): boolean {
  if (isAncestor(metadata, id, head)) return true
  for (const each of lineOf(metadata, head)) if (each === id) return true
  return false
}

/** Whether `ancestor` is `of` or one that it stands on. */
export function isAncestor(metadata: TableMetadata, ancestor: SnapshotId, of: SnapshotId | undefined): boolean {
  for (const id of ancestorsOf(metadata, of)) if (id === ancestor) return true
  return false
}
