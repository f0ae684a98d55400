/**
 * Metadata tables: what a table says about itself, one row per thing. Names, columns and meaning are PyIceberg's; ids
 * are bigint, times `Date`, bounds bytes; `readable_metrics` has the bounds decoded.
 */
export { diffSnapshots, type SnapshotDiff } from './inspect/diff.ts'
export { allEntries } from './inspect/entries.ts'
export {
  inspectAllDataFiles,
  inspectAllDeleteFiles,
  inspectAllEntries,
  inspectAllFiles,
  inspectDataFiles,
  inspectDeleteFiles,
  inspectEntries,
  inspectFiles,
} from './inspect/files.ts'
export { inspectHistory, inspectMetadataLogEntries, inspectRefs, inspectSnapshots } from './inspect/history.ts'
export { inspectAllManifests, inspectManifests } from './inspect/manifests.ts'
export { inspectPartitions } from './inspect/partitions.ts'
export type { InspectRow } from './inspect/rows.ts'
