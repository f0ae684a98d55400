/** What a catalog owes a table: the newest metadata, and one conditional swap of it. */
import type { AbortableOptions } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'

/** One version of a table's metadata and where it was read. */
export interface TableState {
  readonly metadata: TableMetadata
  /** URL of the metadata file. */
  readonly metadataLocation: string
  /** N of `vN.metadata.json`. */
  readonly version: number
}

export type SwapOutcome =
  /** `next` is the table's metadata, or was and has been built upon. */
  | { readonly kind: 'committed'; readonly state: TableState }
  /** Another writer's metadata took the place; ours is not in the table and cannot come into it. */
  | { readonly kind: 'conflict' }
  /** The store did not say. Ours may be in the table, or may still arrive. */
  | { readonly kind: 'unknown'; readonly cause: unknown }

/** Access to the pointer of one table. */
export interface TableOperations {
  /** @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found), `FIRN_METADATA_CORRUPT`, `FIRN_STORE_UNAVAILABLE`. */
  load(options?: AbortableOptions): Promise<TableState>
  /** Make `next` the successor of `base`, or do nothing. */
  swap(base: TableState, next: TableMetadata, options?: AbortableOptions): Promise<SwapOutcome>
}
