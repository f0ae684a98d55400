/** Main's history, for what one run leaves to the next. */
import { ancestorsOf, type Snapshot, snapshotById, type TableMetadata } from '../../table/index.ts'

/**
 * The snapshots that main stands on, oldest first, as far back as none of them has expired: what a tag keeps from
 * before a gap says nothing about the runs after it.
 */
export function unbrokenHistory(metadata: TableMetadata): readonly Snapshot[] {
  return [...ancestorsOf(metadata, metadata.refs['main']?.snapshotId)]
    .map((id) => snapshotById(metadata, id)!)
    .reverse()
}
