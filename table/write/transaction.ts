/** Changes collected one by one and committed at once. */
import type { TableState } from '../catalog/catalog.ts'
import {
  formatVersionChange,
  propertiesChange,
  schemaChange,
  sortOrderChange,
  specChange,
} from '../commit/definition-changes.ts'
import { createRef } from '../commit/refs.ts'
import { combineChanges } from '../commit/transaction.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { Expression } from '../scan/expression.ts'
import type { SortColumn } from '../spec/evolve-sort.ts'
import type { SpecChange } from '../spec/evolve-spec.ts'
import type { SnapshotRef } from '../spec/metadata.ts'
import type { SchemaChange } from '../spec/schema-change.ts'
import type { PlannedChange, WriteContext } from './context.ts'
import { planDelete } from './delete.ts'
import { type AppendOptions, type FileChange, producedChange } from './file-change.ts'
import { produceSnapshot } from './produce.ts'
import type { SnapshotOptions } from './snapshot-options.ts'

/**
 * Each call adds a change; `commit` makes all of them one version of the table, or none. Changes see the definition that
 * those before them made; `deleteWhere` sees the rows that were there before the transaction.
 */
export interface Transaction<Result> {
  append(files: readonly DataFile[], options?: Omit<AppendOptions, 'signal'>): Transaction<Result>
  commitFiles(change: FileChange, options?: Omit<AppendOptions, 'signal'>): Transaction<Result>
  /** Several of one branch are one delete, with the options of the first. */
  deleteWhere(filter: Expression, options?: Omit<SnapshotOptions, 'signal'>): Transaction<Result>
  updateSchema(changes: readonly SchemaChange[]): Transaction<Result>
  updateSpec(changes: readonly SpecChange[]): Transaction<Result>
  setSortOrder(columns: readonly SortColumn[]): Transaction<Result>
  setProperties(set: Readonly<Record<string, string>>, remove?: readonly string[]): Transaction<Result>
  upgradeFormatVersion(): Transaction<Result>
  createTag(name: string, snapshotId: SnapshotId): Transaction<Result>
  createBranch(name: string, snapshotId: SnapshotId): Transaction<Result>
  /** @throws {FirnError} as the operations themselves; `FIRN_INVALID_OPTION` (invalid) without a change, or twice. */
  commit(options?: { readonly signal?: AbortSignal | undefined }): Promise<Result>
}

/** One change, planned on the table as it is when the transaction is. */
type Planner = (state: TableState, signal: AbortSignal | undefined) => Promise<PlannedChange | undefined>

export type RunPlan<Result> = (
  plan: (state: TableState) => Promise<PlannedChange | undefined>,
  options: { readonly signal?: AbortSignal | undefined },
  /** Snapshots that got a ref: expiry may have listed one between the look and the commit. */
  named: readonly SnapshotId[],
) => Promise<Result>

/** @param run plans and commits. */
export function openTransaction<Result>(
  context: Pick<WriteContext, 'store' | 'clock' | 'operations'>,
  run: RunPlan<Result>,
): Transaction<Result> {
  const { store, clock } = context
  const planners: Planner[] = []
  const deletes = new Map<string, { filter: Expression }>()
  const named: SnapshotId[] = []
  let done = false
  const add = (planner: Planner): Transaction<Result> => {
    planners.push(planner)
    return transaction
  }
  const files = (change: FileChange, options: Omit<AppendOptions, 'signal'> = {}): Transaction<Result> =>
    add(({ metadata }, signal) =>
      produceSnapshot(store, metadata, producedChange(change, metadata, options.branch), clock, { ...options, signal }),
    )
  const ref = (name: string, to: Pick<SnapshotRef, 'snapshotId' | 'type'>): Transaction<Result> => {
    named.push(to.snapshotId)
    return add(async ({ metadata }) => createRef(metadata, name, to))
  }
  const transaction: Transaction<Result> = {
    append: (added, options) => files({ operation: 'append', added, removed: [] }, options),
    commitFiles: files,
    deleteWhere: (filter, options = {}) => {
      const branch = options.branch ?? 'main'
      const known = deletes.get(branch)
      if (known !== undefined) {
        if (Object.keys(options).some((name) => name !== 'branch')) {
          throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `a second delete of ${branch} has options of its own`, {
            help: 'Deletes of one branch are one snapshot: give its options to the first.',
          })
        }
        // Each sees the rows from before the transaction, and one file cannot be written anew twice.
        known.filter = { kind: 'or', left: known.filter, right: filter }
        return transaction
      }
      const one = { filter }
      deletes.set(branch, one)
      return add((state, signal) => planDelete(context, state, one.filter, [], { ...options, signal }))
    },
    updateSchema: (changes) => add(async ({ metadata }) => schemaChange(metadata, changes)),
    updateSpec: (changes) => add(async ({ metadata }) => specChange(metadata, changes)),
    setSortOrder: (columns) => add(async ({ metadata }) => sortOrderChange(metadata, columns)),
    setProperties: (set, remove) => add(async ({ metadata }) => propertiesChange(metadata, set, remove)),
    upgradeFormatVersion: () => add(async ({ metadata }) => formatVersionChange(metadata)),
    createTag: (name, snapshotId) => ref(name, { snapshotId, type: 'tag' }),
    createBranch: (name, snapshotId) => ref(name, { snapshotId, type: 'branch' }),
    commit: async (options = {}) => {
      if (done || planners.length === 0) {
        const what = done ? 'this transaction was committed before' : 'a transaction needs at least one change'
        throw new FirnError('invalid', 'FIRN_INVALID_OPTION', what)
      }
      done = true
      return run(
        async (state) => {
          const changes: PlannedChange[] = []
          for (const planner of planners) {
            const change = await planner(state, options.signal)
            if (change !== undefined) changes.push(change)
          }
          if (changes.every((change) => change.isEmpty === true)) return undefined
          const snapshotId = changes.findLast((change) => change.snapshotId !== undefined)?.snapshotId
          return { ...combineChanges(changes), snapshotId }
        },
        options,
        named,
      )
    },
  }
  return transaction
}
