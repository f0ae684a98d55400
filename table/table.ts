/** One table at one moment: its metadata as last read, and what can be done with it. */
import type { RecordBatch } from 'apache-arrow'
import type { TableOperations, TableState } from './catalog/catalog.ts'
import type { Clock } from './clock.ts'
import { type Change, commitChange } from './commit/commit.ts'
import {
  formatVersionChange,
  propertiesChange,
  schemaChange,
  sortOrderChange,
  specChange,
} from './commit/definition-changes.ts'
import {
  assertNotExpiring,
  changeRetention,
  createRef,
  dropRef,
  fastForwardRef,
  type RefRetention,
} from './commit/refs.ts'
import { FirnError } from './errors.ts'
import type { SnapshotId } from './ids.ts'
import type { AbortableOptions, ObjectStore } from './io/object-store.ts'
import type { StoreOptions } from './io/open-store.ts'
import type { DataFile } from './manifest/data-file.ts'
import type { Expression } from './scan/expression.ts'
import { changesBetween, type SnapshotChange } from './scan/incremental.ts'
import { openScan, type ScanOptions, type SnapshotSelector, schemaFor, type TableScan } from './scan/table-scan.ts'
import { selectSnapshot } from './snapshot-selector.ts'
import type { SortColumn } from './spec/evolve-sort.ts'
import type { SpecChange } from './spec/evolve-spec.ts'
import { normaliseLocation } from './spec/location.ts'
import { currentSnapshotOf, type SnapshotRef, snapshotById, type TableMetadata } from './spec/metadata.ts'
import type { Schema } from './spec/schema.ts'
import type { SchemaChange } from './spec/schema-change.ts'
import type { Snapshot } from './spec/snapshot.ts'
import { cherryPick } from './write/cherry-pick.ts'
import { commitSnapshot, planAndCommit, type SnapshotOutcome, type WriteContext } from './write/context.ts'
import { planDelete } from './write/delete.ts'
import { type AppendOptions, type FileChange, producedChange } from './write/file-change.ts'
import { type OverwriteOptions, planOverwrite } from './write/overwrite.ts'
import { type ProducedChange, type ProduceOptions, produceSnapshot } from './write/produce.ts'
import { rollbackChange } from './write/rollback.ts'
import type { SnapshotOptions } from './write/snapshot-options.ts'
import { openTransaction, type Transaction } from './write/transaction.ts'
import { prepareUpsert, type UpsertOptions } from './write/upsert.ts'

export type { ScanOptions, SnapshotSelector, TableScan }

export interface CommitResult {
  readonly table: Table
  /** What was committed; `undefined` when it has expired since. */
  readonly snapshot: Snapshot | undefined
  readonly attempts: number
  /** True when an earlier try of the same change had taken effect. */
  readonly recovered: boolean
}
export type AppendResult = CommitResult

export interface CreateTagOptions extends AbortableOptions {
  /** The tag may be dropped by expiry when it is older. */
  readonly maxRefAgeMillis?: number
}

/** How a table is reached again. */
export interface TableAccess {
  readonly operations: TableOperations
  readonly writable: boolean
  /** How a worker thread opens the table's store when the catalog decides that: plain data, credentials included. */
  readonly workerStoreOptions?: () => Promise<Omit<StoreOptions, 'clock'>>
}

export class Table {
  /** `namespace.name` in its catalog; `undefined` when opened by location. */
  readonly name: string | undefined
  /** Rooted at the table's folder. */
  readonly store: ObjectStore
  readonly metadata: TableMetadata
  readonly metadataLocation: string
  readonly #state: TableState
  readonly #access: TableAccess
  readonly #clock: Clock

  constructor(name: string | undefined, store: ObjectStore, state: TableState, clock: Clock, access: TableAccess) {
    this.name = name
    this.store = store
    this.metadata = state.metadata
    this.metadataLocation = state.metadataLocation
    this.#state = state
    this.#access = access
    this.#clock = clock
  }

  /** How a worker thread opens `store` itself; `undefined`: as the caller opened the warehouse. */
  async workerStoreOptions(): Promise<Omit<StoreOptions, 'clock'> | undefined> {
    return await this.#access.workerStoreOptions?.()
  }

  get location(): string {
    return this.metadata.location
  }

  currentSnapshot(): Snapshot | undefined {
    return currentSnapshotOf(this.metadata)
  }

  /**
   * The snapshot that the selector names, or the current one, or none in an empty table.
   * A time is looked up in the snapshot log, so that it gives what readers saw then. Spec: "Point in Time Reads".
   * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND`, `FIRN_REF_NOT_FOUND` (not-found); `FIRN_INVALID_OPTION` (invalid).
   */
  snapshotFor(selector: SnapshotSelector = {}): Snapshot | undefined {
    return selectSnapshot(this.metadata, selector)
  }

  /** The table as it is now; opened by one metadata file, it stays at that. */
  async refresh(options: AbortableOptions = {}): Promise<Table> {
    return this.#at(await this.#access.operations.load(options))
  }

  /** The schema that a scan of the selector reads with: the current one at a branch's head, else the snapshot's. */
  schemaFor(selector: SnapshotSelector = {}): Schema {
    return schemaFor(this.metadata, selector, this.snapshotFor(selector))
  }

  /** @throws {FirnError} as `snapshotFor`; `FIRN_COLUMN_NOT_FOUND` (invalid). */
  scan(options: ScanOptions = {}): TableScan {
    const report = { tableName: this.name, clock: this.#clock }
    return openScan(this.store, this.metadata, this.snapshotFor(options), options, report)
  }

  /**
   * What each snapshot after `from` up to the selected one added and removed, oldest first.
   * @param from exclusive; `undefined`: from the oldest that the table still has.
   * @throws {FirnError} `FIRN_SNAPSHOT_NOT_ANCESTOR` (invalid); as `snapshotFor`.
   */
  changes(
    from: SnapshotId | undefined,
    to: SnapshotSelector = {},
    options: AbortableOptions = {},
  ): AsyncIterable<SnapshotChange> {
    return changesBetween(this.store, this.metadata, from, this.snapshotFor(to), options)
  }

  /**
   * Commit `files`, written by `createDataFileWriter` for this table, as one new snapshot. No file is allowed, when
   * only properties move.
   * @throws {FirnError} `FIRN_REQUIREMENT_FAILED`, `FIRN_COMMIT_CONFLICT` (conflict); `FIRN_COMMIT_STATE_UNKNOWN`
   *   (unknown-commit): the files must not be deleted; `FIRN_TABLE_READ_ONLY` (invalid).
   */
  async append(files: readonly DataFile[], options: AppendOptions = {}): Promise<CommitResult> {
    return this.#produce({ operation: 'append', added: files, removed: [] }, options)
  }

  /**
   * The general change of files: all of `change` becomes visible with one snapshot, or nothing does. Committed on a
   * newer table than it was planned on only while every removed file is still there, no delete file came for one since
   * `startSnapshotId`, and no data file that may match `conflictFilter`.
   * @throws {FirnError} as `append`; `FIRN_COMMIT_CONFLICT` (conflict): plan anew; `FIRN_REPLACE_ADDS_ROWS` (failed).
   */
  async commitFiles(change: FileChange, options: ProduceOptions = {}): Promise<CommitResult> {
    return this.#produce(producedChange(change, this.metadata, options.branch), options)
  }

  /** `added` for `removed`, without a change of rows: what compaction commits. Appends never conflict with it. */
  async replaceFiles(
    removed: FileChange['removed'],
    added: readonly DataFile[],
    options: ProduceOptions & Pick<FileChange, 'startSnapshotId' | 'dataSequenceNumber'>,
  ): Promise<CommitResult> {
    const { startSnapshotId, dataSequenceNumber, ...rest } = options
    return this.commitFiles({ operation: 'replace', added, removed, startSnapshotId, dataSequenceNumber }, rest)
  }

  /**
   * `added` in the place of the rows for which `filter` is true, or of all rows in the partitions of `added`.
   * @throws {FirnError} as `deleteWhere`.
   */
  async overwrite(added: readonly DataFile[], options: OverwriteOptions): Promise<CommitResult> {
    const context = this.#context()
    return this.#result(await planAndCommit(context, (state) => planOverwrite(context, state, added, options), options))
  }

  /**
   * Remove the rows for which `filter` is true; a row for which it is unknown stays. Files that match as a whole are
   * dropped, files with some matching rows are written anew without them, all others stay as they are. Planned anew
   * when rows that may match came meanwhile.
   * @throws {FirnError} as `commitFiles` and as reading and writing data files.
   */
  async deleteWhere(filter: Expression, options: SnapshotOptions = {}): Promise<CommitResult> {
    const context = this.#context()
    return this.#result(
      await planAndCommit(context, (state) => planDelete(context, state, filter, [], options), options),
    )
  }

  /**
   * Rows of `batches` replace those with the same key, the others are added. The table's columns, in its order.
   * @param options.key top-level columns that identify a row.
   * @throws {FirnError} `FIRN_UPSERT_KEY_INVALID` (invalid) for a null key or one that comes twice; as `deleteWhere`.
   */
  async upsert(
    batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
    options: UpsertOptions,
  ): Promise<CommitResult> {
    const context = this.#context()
    const upsert = await prepareUpsert(context, batches, options)
    return this.#result(await planAndCommit(context, (state) => upsert.plan(state), options))
  }

  /**
   * A new snapshot with exactly the files of an older one of the same branch. Properties stay, other than those of
   * `options`.
   * @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND`; `FIRN_NOT_AN_ANCESTOR` (invalid); `FIRN_COMMIT_CONFLICT` (conflict)
   *   when files came or went since this table was read.
   */
  async rollbackTo(snapshotId: SnapshotId, options: SnapshotOptions = {}): Promise<CommitResult> {
    const context = this.#context()
    const change = rollbackChange(this.store, this.metadata, snapshotId, this.#clock, options)
    return this.#result(await commitSnapshot(context, change, options))
  }

  /** What another snapshot changed, on a branch that lacks it. @throws {FirnError} as `cherryPick`. */
  async cherryPick(snapshotId: SnapshotId, options: ProduceOptions = {}): Promise<CommitResult> {
    const context = this.#context()
    const change = await cherryPick(this.store, this.metadata, snapshotId, this.#clock, options)
    return this.#result(await commitSnapshot(context, change, options))
  }

  /** Several changes as one commit. */
  transaction(): Transaction<CommitResult> {
    const context = this.#context({ anyVersion: true })
    return openTransaction(context, async (plan, options, named) => {
      const result = this.#result(await planAndCommit(context, plan, options))
      if (named.length > 0) await result.table.#assertNamed(named, options)
      return result
    })
  }

  async updateSchema(changes: readonly SchemaChange[], options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(schemaChange(this.metadata, changes), options)
  }

  async updateSpec(changes: readonly SpecChange[], options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(specChange(this.metadata, changes), options)
  }

  /** Of files written from now on; no column: unsorted. */
  async setSortOrder(columns: readonly SortColumn[], options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(sortOrderChange(this.metadata, columns), options)
  }

  async setProperties(
    set: Readonly<Record<string, string>>,
    remove: readonly string[] = [],
    options: AbortableOptions = {},
  ): Promise<Table> {
    return this.commitUpdates(propertiesChange(this.metadata, set, remove), options)
  }

  /** From format version 1 to 2. Readers of version 1 alone cannot read it afterwards; there is no way back. */
  async upgradeFormatVersion(options: AbortableOptions = {}): Promise<Table> {
    const { operations } = this.#context({ anyVersion: true })
    return this.#at((await commitChange(operations, formatVersionChange(this.metadata), this.#clock, options)).state)
  }

  async #produce(change: ProducedChange, options: ProduceOptions): Promise<CommitResult> {
    const context = this.#context()
    const produced = await produceSnapshot(this.store, this.metadata, change, this.#clock, options)
    return this.#result(await commitSnapshot(context, produced, options))
  }

  #result({ attempts, recovered, snapshotId, state }: SnapshotOutcome): CommitResult {
    const snapshot = snapshotId === undefined ? undefined : snapshotById(state.metadata, snapshotId)
    return { table: this.#at(state), snapshot, attempts, recovered }
  }

  /**
   * Name a snapshot, so that it is kept and found by that name.
   * @param snapshotId default: the current one.
   * @throws {FirnError} `FIRN_REF_EXISTS` (invalid) when the name stands for another snapshot;
   *   `FIRN_SNAPSHOT_NOT_FOUND` (not-found), also when it expired meanwhile.
   */
  async createTag(name: string, snapshotId?: SnapshotId, options: CreateTagOptions = {}): Promise<Table> {
    const { maxRefAgeMillis, ...abort } = options
    return this.#createRef(name, 'tag', snapshotId, maxRefAgeMillis === undefined ? {} : { maxRefAgeMillis }, abort)
  }

  /** A line of snapshots of its own, to be written to by the option `branch`. @throws {FirnError} as `createTag`. */
  async createBranch(
    name: string,
    snapshotId?: SnapshotId,
    options: RefRetention & AbortableOptions = {},
  ): Promise<Table> {
    const { signal, ...retention } = options
    return this.#createRef(name, 'branch', snapshotId, retention, { signal })
  }

  /** @throws {FirnError} `FIRN_REF_NOT_FOUND` (not-found); `FIRN_INVALID_OPTION` (invalid) for main. */
  async removeRef(name: string, options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(dropRef(this.metadata, name), options)
  }

  /** Members that are not named stay. @throws {FirnError} `FIRN_REF_NOT_FOUND`; `FIRN_INVALID_OPTION` (invalid). */
  async setRefRetention(name: string, retention: RefRetention, options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(changeRetention(this.metadata, name, retention), options)
  }

  /** Move a branch to a snapshot, or to that of a ref, that stands on its newest one. */
  async fastForward(branch: string, to: string | SnapshotId, options: AbortableOptions = {}): Promise<Table> {
    return this.commitUpdates(fastForwardRef(this.metadata, branch, to), options)
  }

  async #createRef(
    name: string,
    type: SnapshotRef['type'],
    snapshotId: SnapshotId | undefined,
    retention: RefRetention,
    options: AbortableOptions,
  ): Promise<Table> {
    this.#context()
    const target = this.snapshotFor(snapshotId === undefined ? {} : { snapshotId })?.snapshotId
    if (target === undefined) {
      throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `table ${this.location} has no snapshot yet`)
    }
    const made = await this.commitUpdates(
      createRef(this.metadata, name, { snapshotId: target, type }, retention),
      options,
    )
    return made.#assertNamed([target], options)
  }

  /** Expiry may have listed a snapshot between the look and the commit: then it may not have seen the new ref. */
  async #assertNamed(snapshotIds: readonly SnapshotId[], options: AbortableOptions): Promise<Table> {
    const now = await this.refresh(options)
    for (const snapshotId of snapshotIds) assertNotExpiring(now.metadata, snapshotId)
    return now
  }

  /**
   * The general commit of metadata alone: refs, properties, schemas, removed snapshots.
   * @param change `prepare` is called on the newest metadata once a try and may return no update: then nothing is
   *   committed. `isOwn` tells whether metadata contains this very change already.
   * @throws {FirnError} as `append`, and what `prepare` throws.
   */
  async commitUpdates(change: Change, options: AbortableOptions = {}): Promise<Table> {
    return this.#at((await commitChange(this.#context().operations, change, this.#clock, options)).state)
  }

  #at(state: TableState): Table {
    return new Table(this.name, this.store, state, this.#clock, this.#access)
  }

  /** What a write needs, of a table that this package may write to, as it is and where it is. */
  #context({ anyVersion = false }: { readonly anyVersion?: boolean } = {}): WriteContext {
    const { formatVersion, location } = this.metadata
    if (!this.#access.writable) {
      throw new FirnError('invalid', 'FIRN_TABLE_READ_ONLY', `table ${location} was opened by location: read-only`, {
        help: 'Open it by its name in a warehouse: --warehouse URL <namespace.table>',
      })
    }
    if (formatVersion !== 2 && !(anyVersion && formatVersion === 1)) {
      const message = `table ${location} has format version ${formatVersion}; only version 2 is written`
      throw new FirnError('invalid', 'FIRN_FORMAT_VERSION_UNSUPPORTED', message, {
        help:
          formatVersion === 1 ? 'Upgrade it first: table.upgradeFormatVersion()' : 'Write to it with another engine.',
      })
    }
    if (normaliseLocation(location) !== normaliseLocation(this.store.url)) {
      const message = `the table at ${this.store.url} says that it lies at ${location}: it was copied or moved`
      throw new FirnError('invalid', 'FIRN_TABLE_MOVED', message, {
        help: 'Its files name each other by the old place. Write to it there, or make a new table here.',
      })
    }
    return { store: this.store, operations: this.#access.operations, state: this.#state, clock: this.#clock }
  }
}
