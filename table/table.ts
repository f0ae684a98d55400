/** One table at one moment: its metadata as last read, and what can be done with it. */
import type { TableOperations, TableState } from './catalog/catalog.ts'
import type { Clock } from './clock.ts'
import { type Change, commitChange } from './commit/commit.ts'
import { FirnError } from './errors.ts'
import type { EpochMillis, SnapshotId } from './ids.ts'
import type { AbortableOptions, ObjectStore } from './io/object-store.ts'
import type { StoreOptions } from './io/open-store.ts'
import type { DataFile } from './manifest/data-file.ts'
import { changesBetween, type SnapshotChange } from './scan/incremental.ts'
import { openScan, type ScanOptions, type SnapshotSelector, schemaFor, type TableScan } from './scan/table-scan.ts'
import { normaliseLocation } from './spec/location.ts'
import { currentSnapshotOf, type SnapshotRef, snapshotById, type TableMetadata } from './spec/metadata.ts'
import type { Schema } from './spec/schema.ts'
import type { Snapshot } from './spec/snapshot.ts'
import { type AppendOptions, commitProduced, type FileChange, producedChange } from './write/append.ts'
import type { ProducedChange, ProduceOptions } from './write/produce.ts'

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
    const { snapshotId, asOf, ref } = selector
    if ([snapshotId, asOf, ref].filter((value) => value !== undefined).length > 1) {
      throw new FirnError(
        'invalid',
        'FIRN_INVALID_OPTION',
        'name a snapshot by its id, a time or a ref, not by several',
      )
    }
    if (snapshotId !== undefined) return this.#existing(snapshotId)
    if (ref !== undefined) return this.#byRef(ref)
    if (asOf !== undefined) return this.#byTime(asOf)
    return this.currentSnapshot()
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
    return openScan(this.store, this.metadata, this.snapshotFor(options), options)
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
    return this.#produce(producedChange(change), options)
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

  async #produce(change: ProducedChange, options: ProduceOptions): Promise<CommitResult> {
    const operations = this.#writable()
    const outcome = await commitProduced(this.store, operations, this.#state, change, this.#clock, options)
    const { attempts, recovered, snapshotId, state } = outcome
    return { table: this.#at(state), snapshot: snapshotById(state.metadata, snapshotId), attempts, recovered }
  }

  /**
   * Name a snapshot, so that it is kept and found by that name.
   * @param snapshotId default: the current one.
   * @throws {FirnError} `FIRN_REF_EXISTS` (conflict) when the name stands for another snapshot;
   *   `FIRN_SNAPSHOT_NOT_FOUND` (not-found), also when it expired meanwhile.
   */
  async createTag(name: string, snapshotId?: SnapshotId, options: CreateTagOptions = {}): Promise<Table> {
    const operations = this.#writable()
    if (name === '' || name === 'main') {
      throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `"${name}" cannot name a tag`)
    }
    const target = this.snapshotFor(snapshotId === undefined ? {} : { snapshotId })?.snapshotId
    if (target === undefined) throw notFound(`table ${this.location} has no snapshot to tag yet`)
    const { maxRefAgeMillis, ...abort } = options
    const ref: SnapshotRef = {
      snapshotId: target,
      type: 'tag',
      ...(maxRefAgeMillis === undefined ? {} : { maxRefAgeMillis }),
    }
    const held = ({ refs }: TableMetadata): SnapshotRef | undefined =>
      Object.hasOwn(refs, name) ? refs[name] : undefined
    const change: Change = {
      isOwn: (metadata) => held(metadata)?.snapshotId === target && held(metadata)?.type === 'tag',
      requirements: [{ type: 'assert-table-uuid', uuid: this.metadata.tableUuid }],
      prepare: async (base) => {
        if (held(base) !== undefined) {
          throw new FirnError('conflict', 'FIRN_REF_EXISTS', `ref ${name} of ${this.location} names another snapshot`)
        }
        // It may have expired since the table was read.
        if (snapshotById(base, target) === undefined) throw notFound(`snapshot ${target} is gone from ${this.location}`)
        return [{ action: 'set-snapshot-ref', name, ref }]
      },
    }
    return this.#at((await commitChange(operations, change, this.#clock, abort)).state)
  }

  /**
   * The general commit of metadata alone: refs, properties, schemas, removed snapshots.
   * @param change `prepare` is called on the newest metadata once a try and may return no update: then nothing is
   *   committed. `isOwn` tells whether metadata contains this very change already.
   * @throws {FirnError} as `append`, and what `prepare` throws.
   */
  async commitUpdates(change: Change, options: AbortableOptions = {}): Promise<Table> {
    return this.#at((await commitChange(this.#writable(), change, this.#clock, options)).state)
  }

  #at(state: TableState): Table {
    return new Table(this.name, this.store, state, this.#clock, this.#access)
  }

  /** Operations of a table that this package may write to, as it is and where it is. */
  #writable(): TableOperations {
    const { formatVersion, location } = this.metadata
    if (!this.#access.writable) {
      throw new FirnError('invalid', 'FIRN_TABLE_READ_ONLY', `table ${location} was opened by location: read-only`, {
        help: 'Open it by its name in a warehouse: --warehouse URL <namespace.table>',
      })
    }
    if (formatVersion !== 2) {
      const message = `table ${location} has format version ${formatVersion}; only version 2 is written`
      throw new FirnError('invalid', 'FIRN_FORMAT_VERSION_UNSUPPORTED', message, {
        help: 'Upgrade it with the engine that made it: set the table property format-version to 2.',
      })
    }
    if (normaliseLocation(location) !== normaliseLocation(this.store.url)) {
      const message = `the table at ${this.store.url} says that it lies at ${location}: it was copied or moved`
      throw new FirnError('invalid', 'FIRN_TABLE_MOVED', message, {
        help: 'Its files name each other by the old place. Write to it there, or make a new table here.',
      })
    }
    return this.#access.operations
  }

  #existing(id: SnapshotId): Snapshot {
    const snapshot = snapshotById(this.metadata, id)
    if (snapshot === undefined) throw notFound(`snapshot ${id} is not in table ${this.location}`)
    return snapshot
  }

  #byRef(name: string): Snapshot | undefined {
    const { refs } = this.metadata
    if (Object.hasOwn(refs, name)) return this.#existing(refs[name]!.snapshotId)
    if (name === 'main') return undefined
    const names = Object.keys(this.metadata.refs).join(', ') || 'none'
    throw new FirnError('not-found', 'FIRN_REF_NOT_FOUND', `ref ${name} is not in table ${this.location}`, {
      help: `The refs are: ${names}`,
    })
  }

  #byTime(asOf: EpochMillis): Snapshot {
    const entry = this.metadata.snapshotLog.findLast((candidate) => candidate.timestampMillis <= asOf)
    if (entry === undefined) {
      throw notFound(`table ${this.location} had no snapshot at ${new Date(asOf).toISOString()}`)
    }
    return this.#existing(entry.snapshotId)
  }
}

const notFound = (message: string): FirnError =>
  new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', message, {
    help: 'List them with: firn inspect snapshots <table>',
  })
