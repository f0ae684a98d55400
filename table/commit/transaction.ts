/** Several changes as one commit: all of them are in the table, or none is. */
import { printJson } from '../format/json.ts'
import type { SnapshotId } from '../ids.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import type { Change } from './commit.ts'
import type { TableRequirement } from './requirements.ts'
import { applyUpdate, type TableUpdate } from './updates.ts'

/**
 * Each change is prepared on what those before it made of the base.
 * @param changes at least one.
 */
export function combineChanges(
  changes: readonly (Change & { readonly snapshotId?: SnapshotId | undefined })[],
): Change {
  // A snapshot names its commit beyond doubt; without one, all must hold that hold of what the whole makes: a later
  // change may have changed again what an earlier one made.
  const proofs = changes.filter((change) => change.snapshotId !== undefined)
  let made: TableMetadata | undefined
  const lasting = (): readonly Change[] =>
    made === undefined ? changes : changes.filter((change) => change.isOwn(made!))
  return {
    isOwn: (metadata) =>
      proofs.length > 0
        ? proofs.some((change) => change.isOwn(metadata))
        : lasting().every((change) => change.isOwn(metadata)),
    refused: (base) => {
      for (const change of changes) change.refused?.(base)
    },
    requirements: (base) => {
      const all = new Map<string, TableRequirement>()
      for (const { requirements } of changes) {
        const some = typeof requirements === 'function' ? requirements(base) : requirements
        for (const requirement of some) all.set(printJson(requirement), requirement)
      }
      return [...all.values()]
    },
    prepare: async (base, attempt, timestampMillis) => {
      const updates: TableUpdate[] = []
      let current = base
      for (const change of changes) {
        const some = await change.prepare(current, attempt, timestampMillis, base)
        current = some.reduce((metadata, update) => applyUpdate(metadata, update, timestampMillis), current)
        updates.push(...some)
      }
      made = current
      return updates
    },
  }
}
