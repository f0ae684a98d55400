/** Main's history, for what one run leaves to the next. */
import { lineOf, type Snapshot, snapshotById, type TableMetadata } from '../../table/index.ts'

/**
 * The snapshots that main stood on, oldest first, undone ones with them, as far back as none of them has expired: what a tag keeps from
 * before a gap says nothing about the runs after it.
 */
export function unbrokenHistory(metadata: TableMetadata): readonly Snapshot[] {
  return [...lineOf(metadata, metadata.refs['main']?.snapshotId)].map((id) => snapshotById(metadata, id)!).reverse()
}
