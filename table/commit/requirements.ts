/** What must still hold of a table when a commit is tried. Names as in the REST specification's TableRequirement. */
import { assertNever, FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { TableMetadata } from '../spec/metadata.ts'

export type TableRequirement =
  | { readonly type: 'assert-table-uuid'; readonly uuid: string }
  /** `value: undefined` means "not set". */
  | { readonly type: 'assert-property'; readonly key: string; readonly value: string | undefined }
  | { readonly type: 'assert-ref-snapshot-id'; readonly ref: string; readonly snapshotId: SnapshotId | undefined }

/** @throws {FirnError} `FIRN_REQUIREMENT_FAILED` (conflict): plan again on the table as it is now. */
export function checkRequirement(metadata: TableMetadata, requirement: TableRequirement): void {
  const fail = (what: string, expected: unknown, got: unknown): never => {
    const message = `table ${metadata.location} has changed: ${what} was ${expected ?? 'not set'}, is ${got ?? 'not set'}`
    throw new FirnError('conflict', 'FIRN_REQUIREMENT_FAILED', message, {
      detail: { location: metadata.location, requirement: requirement.type },
      help: 'Another writer was faster. Run the same command again.',
    })
  }
  switch (requirement.type) {
    case 'assert-table-uuid':
      if (metadata.tableUuid !== requirement.uuid) fail('table-uuid', requirement.uuid, metadata.tableUuid)
      return
    case 'assert-property': {
      const value = metadata.properties[requirement.key]
      if (value !== requirement.value) fail(`property ${requirement.key}`, requirement.value, value)
      return
    }
    case 'assert-ref-snapshot-id': {
      const found = metadata.refs[requirement.ref]?.snapshotId
      if (found !== requirement.snapshotId) fail(`ref ${requirement.ref}`, requirement.snapshotId, found)
      return
    }
    default:
      assertNever(requirement)
  }
}
