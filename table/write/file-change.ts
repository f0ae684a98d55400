/** Changes of a table's files that the caller names: appended, replaced, removed. */
import type { Validation } from '../commit/conflicts.ts'
import type { SnapshotOperation } from '../commit/summary.ts'
import type { SnapshotId } from '../ids.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { Expression } from '../scan/expression.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { checkOperation } from './check-files.ts'
import type { RemovedFile } from './filter-manifests.ts'
import type { ProducedChange, ProduceOptions } from './produce.ts'
import { headOf } from './snapshot-options.ts'

export type AppendOptions = ProduceOptions

/** Files that go out and in with one snapshot. */
export interface FileChange {
  readonly operation: SnapshotOperation
  readonly added: readonly DataFile[]
  /** Paths of data files and delete files, or the files themselves, which spares reading manifests. Each must be live. */
  readonly removed: readonly RemovedFile[]
  /** Of the added files. `replace` keeps the starting snapshot's, so that later deletes still apply to them. */
  readonly dataSequenceNumber?: number | undefined
  /**
   * The branch's snapshot that this was planned on: what came after it is looked at. Default, when files are removed, a
   * filter is given or no file may have come: the branch's newest in the table at hand.
   */
  readonly startSnapshotId?: SnapshotId | undefined
  /** No data file may have come since that may hold a matching row. */
  readonly conflictFilter?: Expression | undefined
  /** No file at all may have come or gone since. */
  readonly sameFiles?: boolean | undefined
}

/**
 * What the producer is to do for `change`, planned on the branch of `metadata`.
 * @throws {FirnError} `FIRN_DATA_FILE_INVALID` (invalid).
 */
export function producedChange(
  change: FileChange,
  metadata: TableMetadata,
  branch: string | undefined,
): ProducedChange {
  checkOperation(change)
  const { operation, added, removed, dataSequenceNumber, startSnapshotId, conflictFilter, sameFiles } = change
  const validation: Validation | undefined =
    removed.length === 0 && conflictFilter === undefined && sameFiles !== true
      ? undefined
      : {
          startSnapshotId: startSnapshotId ?? headOf(metadata, branch)?.snapshotId ?? 'empty',
          filter: conflictFilter,
          sameFiles,
          deletes: removed.length > 0,
          ignoreEqualityDeletes: operation === 'replace' && dataSequenceNumber !== undefined,
        }
  return { operation, added, removed, dataSequenceNumber, validation }
}
