/** What a catalog owes a table: the newest metadata, and one atomic change of it. */
import type { TableRequirement } from '../commit/requirements.ts'
import type { TableUpdate } from '../commit/updates.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'

/** One version of a table's metadata and where it was read. */
export interface TableState {
  readonly metadata: TableMetadata
  /** URL of the metadata file. */
  readonly metadataLocation: string
  /** N of `vN.metadata.json`. */
  readonly version: number
  /** When the state was read, by the reader's monotonic clock; `undefined` when nobody looked. */
  readonly loadedAtMillis?: number
}

/** A change as both kinds of catalog take it: as requirements and updates, and as the whole document that follows. */
export interface Proposal {
  readonly requirements: readonly TableRequirement[]
  readonly updates: readonly TableUpdate[]
  /** `updates` applied to the base. */
  readonly next: TableMetadata
}

export type SwapOutcome =
  /** The proposal is the table's metadata, or was and has been built upon. */
  | { readonly kind: 'committed'; readonly state: TableState }
  /** Another writer's metadata took the place; ours is not in the table and cannot come into it. */
  | { readonly kind: 'conflict' }
  /** The store did not say. Ours may be in the table, or may still arrive. */
  | { readonly kind: 'unknown'; readonly cause: unknown }

/** Access to the pointer of one table. */
export interface TableOperations {
  /** `namespace.table`, for reports of what was done. */
  readonly table?: string | undefined
  /** @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found), `FIRN_METADATA_CORRUPT`, `FIRN_STORE_UNAVAILABLE`. */
  load(options?: AbortableOptions): Promise<TableState>
  /** Make the proposal the successor of `base`, or do nothing. */
  commit(base: TableState, proposal: Proposal, options?: AbortableOptions): Promise<SwapOutcome>
  /** What follows a commit, when it was found in the table rather than answered. Never fails. */
  recovered?(state: TableState): Promise<void>
  /** Whether a try on `base` whose outcome was unknown can no longer take effect, judged from the newer `current`. */
  isSettled(base: TableState, proposal: Proposal, current: TableState): boolean
}
