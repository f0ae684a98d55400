/** What `firn tag` and `firn branch` share: finding the snapshot, printing, removing. */
import type { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import type { SnapshotRef, Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { type ApprovalFlags, approveAndRun } from './approve.ts'

export interface RefFlags extends ApprovalFlags {
  readonly snapshot?: SnapshotId
  readonly maxAge?: number
  readonly update: boolean
  readonly delete: boolean
}

export type RefKind = SnapshotRef['type']

/** The snapshot that a new ref is to name. @throws {FirnError} `FIRN_TABLE_EMPTY` (invalid); `FIRN_SNAPSHOT_NOT_FOUND`. */
export function snapshotToName(table: Table, name: string, kind: RefKind, wanted: SnapshotId | undefined): SnapshotId {
  const snapshot = table.snapshotFor(wanted === undefined ? {} : { snapshotId: wanted })
  if (snapshot !== undefined) return snapshot.snapshotId
  throw new FirnError('invalid', 'FIRN_TABLE_EMPTY', `${name} has no snapshot to ${kind}`, {
    help: `compact records into it first: firn compact ${name}`,
  })
}

/** @throws {FirnError} `FIRN_REF_NOT_FOUND` (not-found), also for a ref of the other kind. */
export function existingRef({ metadata }: Table, tableName: string, kind: RefKind, name: string): SnapshotRef {
  const ref = Object.hasOwn(metadata.refs, name) ? metadata.refs[name] : undefined
  if (ref?.type === kind) return ref
  const what = ref === undefined ? 'is not in' : `is a ${ref.type} of`
  throw new FirnError('not-found', 'FIRN_REF_NOT_FOUND', `${kind} ${name} ${what} ${tableName}`, {
    help: `list them: firn inspect refs ${tableName}`,
  })
}

/** Not both: what would the other do? @throws {FirnError} `FIRN_USAGE` (invalid). */
export function checkOneAction(command: Command, names: readonly string[]): void {
  const given = names.filter(
    (name) => command.getOptionValue(name) !== undefined && command.getOptionValue(name) !== false,
  )
  if (given.length < 2) return
  const flags = given.map((name) => command.options.find((option) => option.attributeName() === name)?.long ?? name)
  throw new FirnError('invalid', 'FIRN_USAGE', `${flags.join(' and ')} exclude each other`, {
    help: 'give one of them',
  })
}

/** Snapshots that only the ref leads to go with the next expiry. */
export async function deleteRef(
  ctx: CommandContext,
  table: Table,
  tableName: string,
  kind: RefKind,
  name: string,
  flags: RefFlags,
): Promise<void> {
  const ref = existingRef(table, tableName, kind, name)
  const planned = {
    schema: `firn.${kind}/1`,
    table: tableName,
    plan: { [kind]: name, snapshot_id: String(ref.snapshotId), delete: true },
    text: `would remove ${kind} ${name} of ${tableName}, which names snapshot ${ref.snapshotId}\n`,
    nothingToDo: false,
    question: 'Remove it?',
  }
  await approveAndRun(ctx, flags, planned, async () => {
    await table.removeRef(name, { signal: ctx.signal })
    return { result: { removed: true }, text: `removed ${kind} ${name} of ${tableName} (snapshot ${ref.snapshotId})\n` }
  })
}
