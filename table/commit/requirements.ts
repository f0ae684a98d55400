/** What must still hold of a table when a commit is tried. Names as in the REST specification's TableRequirement. */
import { assertNever, FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { SnapshotRef, TableMetadata } from '../spec/metadata.ts'

export type TableRequirement =
  | { readonly type: 'assert-create' }
  | { readonly type: 'assert-table-uuid'; readonly uuid: string }
  /** `undefined`: there is no such ref. */
  | { readonly type: 'assert-ref-snapshot-id'; readonly ref: string; readonly snapshotId: SnapshotId | undefined }
  | { readonly type: 'assert-last-assigned-field-id'; readonly lastAssignedFieldId: number }
  | { readonly type: 'assert-current-schema-id'; readonly currentSchemaId: number }
  | { readonly type: 'assert-last-assigned-partition-id'; readonly lastAssignedPartitionId: number }
  | { readonly type: 'assert-default-spec-id'; readonly defaultSpecId: number }
  | { readonly type: 'assert-default-sort-order-id'; readonly defaultSortOrderId: number }
  /**
   * Ours, `value: undefined` means "not set". A REST catalog cannot carry it; there the `assert-ref-snapshot-id` of the
   * same commit makes it hold, since such properties move only together with a snapshot.
   */
  | { readonly type: 'assert-property'; readonly key: string; readonly value: string | undefined }

/** A name like `constructor` is a ref only where there is one. */
export const refOf = ({ refs }: Pick<TableMetadata, 'refs'>, name: string): SnapshotRef | undefined =>
  Object.hasOwn(refs, name) ? refs[name] : undefined

export const sameTable = ({ tableUuid }: TableMetadata): TableRequirement => ({
  type: 'assert-table-uuid',
  uuid: tableUuid,
})

/** What the requirement is about, as it must be and as it is. */
function compare(
  metadata: TableMetadata,
  requirement: TableRequirement,
): readonly [what: string, expected: unknown, got: unknown] {
  switch (requirement.type) {
    case 'assert-create':
      return ['table', undefined, metadata.tableUuid]
    case 'assert-table-uuid':
      return ['table-uuid', requirement.uuid, metadata.tableUuid]
    case 'assert-ref-snapshot-id': {
      const { ref } = requirement
      return [`ref ${ref}`, requirement.snapshotId, refOf(metadata, ref)?.snapshotId]
    }
    case 'assert-last-assigned-field-id':
      return ['last-column-id', requirement.lastAssignedFieldId, metadata.lastColumnId]
    case 'assert-current-schema-id':
      return ['current-schema-id', requirement.currentSchemaId, metadata.currentSchemaId]
    case 'assert-last-assigned-partition-id':
      return ['last-partition-id', requirement.lastAssignedPartitionId, metadata.lastPartitionId]
    case 'assert-default-spec-id':
      return ['default-spec-id', requirement.defaultSpecId, metadata.defaultSpecId]
    case 'assert-default-sort-order-id':
      return ['default-sort-order-id', requirement.defaultSortOrderId, metadata.defaultSortOrderId]
    case 'assert-property': {
      const { key } = requirement
      const got = Object.hasOwn(metadata.properties, key) ? metadata.properties[key] : undefined
      return [`property ${key}`, requirement.value, got]
    }
    default:
      return assertNever(requirement)
  }
}

export function requirementHolds(metadata: TableMetadata, requirement: TableRequirement): boolean {
  const [, expected, got] = compare(metadata, requirement)
  return expected === got
}

/** @throws {FirnError} `FIRN_REQUIREMENT_FAILED` (conflict): plan again on the table as it is now. */
export function checkRequirement(metadata: TableMetadata, requirement: TableRequirement): void {
  const [what, expected, got] = compare(metadata, requirement)
  if (expected === got) return
  const message = `table ${metadata.location} has changed: ${what} was ${expected ?? 'not set'}, is ${got ?? 'not set'}`
  throw new FirnError('conflict', 'FIRN_REQUIREMENT_FAILED', message, {
    detail: { location: metadata.location, requirement: requirement.type },
    help: 'Another writer was faster. Run the same command again.',
  })
}
