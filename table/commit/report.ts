/** One message on `firn:commit` for each commit, however many tries it took and however it ended. */
import type { TableOperations, TableState } from '../catalog/catalog.ts'
import type { Clock } from '../clock.ts'
import { type CommitCounts, type CommitMessage, commitChannel, type TableTotals } from '../diagnostics.ts'
import { FirnError } from '../errors.ts'
import { currentSnapshotOf, snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { Snapshot } from '../spec/snapshot.ts'
import type { Change, CommitOutcome } from './commit.ts'
import type { TableUpdate } from './updates.ts'

/** What the loop tells about its tries. */
export interface Tries {
  on(base: TableState, attempt: number): void
  made(updates: readonly TableUpdate[]): void
}

const UNHEARD: Tries = { on: () => {}, made: () => {} }

/** `commit`, told of on `firn:commit` when it ends. A change that turns out to have nothing to commit is not told of. */
export async function reportedCommit(
  operations: TableOperations,
  change: Change,
  clock: Clock,
  commit: (tries: Tries) => Promise<CommitOutcome>,
): Promise<CommitOutcome> {
  if (!commitChannel.hasSubscribers) return await commit(UNHEARD)
  const started = clock.monotonicMillis()
  let attempts = 0
  let base: TableMetadata | undefined
  let planned: Snapshot | undefined
  let hasUpdates = false
  const tries: Tries = {
    on: ({ metadata }, attempt) => {
      attempts = attempt
      base = metadata
    },
    made: (updates) => {
      hasUpdates = true
      planned = updates.findLast((update) => update.action === 'add-snapshot')?.snapshot
    },
  }
  const tell = (
    end: Pick<CommitMessage, 'outcome' | 'recovered' | 'totals' | 'errorCode'>,
    snapshot?: Snapshot,
  ): void =>
    commitChannel.publish({
      table: operations.table ?? base?.location ?? 'unknown',
      operation: operationOf(snapshot),
      durationMillis: clock.monotonicMillis() - started,
      attempts,
      snapshotId: snapshot === undefined ? undefined : String(snapshot.snapshotId),
      sequenceNumber: snapshot?.sequenceNumber,
      counts: snapshot === undefined ? undefined : countsOf(snapshot),
      ...end,
    })
  let outcome: CommitOutcome
  try {
    outcome = await commit(tries)
  } catch (error) {
    const errorCode = FirnError.is(error) ? error.code : undefined
    tell({ outcome: outcomeOf(error), recovered: false, totals: undefined, errorCode }, planned)
    throw error
  }
  const { recovered, state } = outcome
  const made = change.snapshotId === undefined ? undefined : snapshotById(state.metadata, change.snapshotId)
  const end = { outcome: 'ok' as const, recovered, totals: totalsOf(state.metadata), errorCode: undefined }
  if (hasUpdates || recovered) tell(end, made ?? planned)
  return outcome
}

function outcomeOf(error: unknown): CommitMessage['outcome'] {
  if (!FirnError.is(error)) return 'failed'
  if (error.kind === 'unknown-commit') return 'unknown'
  return error.kind === 'conflict' ? 'conflict' : 'failed'
}

function operationOf(snapshot: Snapshot | undefined): CommitMessage['operation'] {
  const operation = snapshot?.summary['operation']
  switch (operation) {
    case 'append':
    case 'replace':
    case 'overwrite':
    case 'delete':
      return operation
    default:
      return 'metadata'
  }
}

/** `undefined` where the summary has no such number. */
function numberIn({ summary }: Snapshot, name: string): number | undefined {
  const text = summary[name]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function countsOf(snapshot: Snapshot): CommitCounts {
  // a counter of zero is left out of a summary
  const count = (name: string): number => numberIn(snapshot, name) ?? 0
  return {
    addedDataFiles: count('added-data-files'),
    removedDataFiles: count('deleted-data-files'),
    addedDeleteFiles: count('added-delete-files'),
    removedDeleteFiles: count('removed-delete-files'),
    addedRecords: count('added-records'),
    removedRecords: count('deleted-records'),
    addedFilesSizeBytes: count('added-files-size'),
    removedFilesSizeBytes: count('removed-files-size'),
    addedPositionDeletes: count('added-position-deletes'),
    addedEqualityDeletes: count('added-equality-deletes'),
  }
}

/** Of main, whichever branch the commit was on. */
function totalsOf(metadata: TableMetadata): TableTotals {
  const snapshot = currentSnapshotOf(metadata)
  const total = (name: string): number | undefined => (snapshot === undefined ? 0 : numberIn(snapshot, name))
  return {
    dataFiles: total('total-data-files'),
    deleteFiles: total('total-delete-files'),
    positionDeletes: total('total-position-deletes'),
    equalityDeletes: total('total-equality-deletes'),
    records: total('total-records'),
    filesSizeBytes: total('total-files-size'),
    snapshots: metadata.snapshots.length,
    timestampMillis: metadata.lastUpdatedMillis,
  }
}
