/**
 * What a commit asserts to the catalog, beyond what its planner asked for: everything that the updates were computed
 * from must still be as in the base. The same rules as the Java library's.
 */
import { refOf, requirementHolds, type TableRequirement } from '../../commit/requirements.ts'
import type { TableUpdate } from '../../commit/updates.ts'
import type { TableMetadata } from '../../spec/metadata.ts'

/** Without the ones of our own, which the protocol cannot say and the commit loop has checked on the base. */
export function assertionsOf(
  base: TableMetadata,
  requirements: readonly TableRequirement[],
  updates: readonly TableUpdate[],
): readonly TableRequirement[] {
  const all: TableRequirement[] = [
    { type: 'assert-table-uuid', uuid: base.tableUuid },
    ...requirements.filter(({ type }) => type !== 'assert-property'),
    ...updates.flatMap((update) => assertionsFor(base, update)),
  ]
  const keys = new Map(all.map((each) => [keyOf(each), each]))
  return [...keys.values()]
}

const keyOf = (each: TableRequirement): string =>
  each.type === 'assert-ref-snapshot-id' ? `ref ${each.ref}` : each.type

function assertionsFor(base: TableMetadata, update: TableUpdate): readonly TableRequirement[] {
  const ref = (name: string): TableRequirement => ({
    type: 'assert-ref-snapshot-id',
    ref: name,
    snapshotId: refOf(base, name)?.snapshotId,
  })
  const currentSchema: TableRequirement = { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId }
  const defaultSpec: TableRequirement = { type: 'assert-default-spec-id', defaultSpecId: base.defaultSpecId }
  const refs = Object.keys(base.refs)
  switch (update.action) {
    case 'add-schema':
      return [{ type: 'assert-last-assigned-field-id', lastAssignedFieldId: base.lastColumnId }]
    case 'set-current-schema':
      return [currentSchema]
    case 'add-spec':
      return [{ type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: base.lastPartitionId }]
    case 'set-default-spec':
      return [defaultSpec]
    case 'set-default-sort-order':
      return [{ type: 'assert-default-sort-order-id', defaultSortOrderId: base.defaultSortOrderId }]
    case 'set-snapshot-ref':
    case 'remove-snapshot-ref':
      return [ref(update.name)]
    case 'remove-snapshots':
      return refs.map(ref)
    case 'remove-schemas':
      return [currentSchema, ...refs.map(ref)]
    case 'remove-partition-specs':
      return [defaultSpec, ...refs.map(ref)]
    default:
      return []
  }
}

/**
 * Whether a try with these assertions can no longer take effect. A ref that moved away and back leaves its mark in the
 * sequence number: a catalog refuses a snapshot that is not newer than all others.
 */
export function isRuledOut(
  current: TableMetadata,
  assertions: readonly TableRequirement[],
  updates: readonly TableUpdate[],
): boolean {
  if (assertions.some((assertion) => !requirementHolds(current, assertion))) return true
  return updates.some(
    (update) =>
      update.action === 'add-snapshot' &&
      update.snapshot.parentSnapshotId !== undefined &&
      update.snapshot.sequenceNumber <= current.lastSequenceNumber,
  )
}
