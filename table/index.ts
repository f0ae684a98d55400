/** The door of `firnlake/table`: Apache Iceberg tables on an object store. */
export type { Proposal, SwapOutcome, TableOperations, TableState } from './catalog/catalog.ts'
export type { TableDefinition } from './catalog/definition.ts'
export {
  type Catalog,
  type CatalogOptions,
  type LoadTableOptions,
  type OpenTableOptions,
  openCatalog,
  openTableAt,
  tableFolder,
} from './catalog/open.ts'
export { openRestCatalog, type RestCatalog, type RestCatalogOptions, type SigV4Options } from './catalog/rest.ts'
export { untilAborted } from './catalog/until-aborted.ts'
export { type Clock, newRunId, newSnapshotId, newUuid, systemClock } from './clock.ts'
export type { Change } from './commit/commit.ts'
export {
  ancestorsOf,
  EXPIRING_PROPERTY,
  isAncestor,
  lineOf,
  predecessorOf,
  type RefRetention,
  ROLLED_BACK_FROM,
  ROLLED_BACK_TO,
  stoodOn,
} from './commit/refs.ts'
export type { TableRequirement } from './commit/requirements.ts'
export type { TableUpdate } from './commit/updates.ts'
export type {
  CommitMessage,
  CompactionMessage,
  IngestMessage,
  LoaderMessage,
  ScanMessage,
  StoreMessage,
} from './diagnostics.ts'
export { type ErrorCode, type ErrorKind, FirnError } from './errors.ts'
export { arrowField, arrowSchema, arrowType } from './format/arrow-schema.ts'
export { bytesAt, type IcebergValue, isValidAt, valueAt } from './format/arrow-values.ts'
export { parseJson, printJson } from './format/json.ts'
export { describeParquet, type RowGroupInfo } from './format/parquet-reader.ts'
export { describeParquetFile, nameMappingFor, type ParquetDescription } from './format/parquet-schema.ts'
export type { ReadMemory } from './format/read-memory.ts'
export {
  type EpochMicros,
  type EpochMillis,
  epochMicros,
  epochMillis,
  type RunId,
  runId,
  type SnapshotId,
  snapshotId,
} from './ids.ts'
export {
  allEntries,
  diffSnapshots,
  type InspectRow,
  inspectAllDataFiles,
  inspectAllDeleteFiles,
  inspectAllEntries,
  inspectAllFiles,
  inspectAllManifests,
  inspectDataFiles,
  inspectDeleteFiles,
  inspectEntries,
  inspectFiles,
  inspectHistory,
  inspectManifests,
  inspectMetadataLogEntries,
  inspectPartitions,
  inspectRefs,
  inspectSnapshots,
  type SnapshotDiff,
} from './inspect.ts'
export {
  type Fault,
  type FaultRates,
  type FaultyStore,
  type FaultyStoreOptions,
  faultyStore,
  type StoreCall,
  type StoreOperation,
} from './io/faulty.ts'
export {
  type ByteRange,
  type DeleteOptions,
  type ObjectInfo,
  type ObjectStore,
  type StoredObject,
  subStore,
} from './io/object-store.ts'
export { openStore, type StoreOptions } from './io/open-store.ts'
export { type AllowedLocations, routedStore } from './io/routed.ts'
export {
  type CopiedObject,
  type CopyOptions,
  type CopyPlan,
  type CopyResult,
  type CopySnapshots,
  checkCopyTarget,
  copyTable,
  planCopy,
  type RowCheck,
  type SnapshotDigest,
} from './maintenance/copy.ts'
export {
  type ExpireOptions,
  type ExpirePlan,
  type ExpirePreview,
  type ExpireResult,
  type ExpireRunOptions,
  planExpire,
  previewExpire,
  runExpire,
} from './maintenance/expire.ts'
export {
  type ManifestGroup,
  type ManifestPlan,
  type ManifestPlanOptions,
  planManifests,
} from './maintenance/manifests/plan.ts'
export { type ManifestResult, type ManifestRunOptions, runManifests } from './maintenance/manifests.ts'
export type { Foundling } from './maintenance/orphans/listing.ts'
export {
  type OrphanPlan,
  type OrphanPlanOptions,
  type OrphanResult,
  type OrphanRunOptions,
  planOrphans,
  runOrphans,
} from './maintenance/orphans.ts'
export {
  DEFAULT_MEMORY_LIMIT_BYTES,
  type PlannedGroup,
  type PlannedInput,
  planRewrite,
  type RewriteGroupResult,
  type RewritePlan,
  type RewritePlanOptions,
  type RewriteReason,
  type RewriteResult,
  type RewriteRunOptions,
  type RewriteSettings,
  type RewriteStrategy,
  runRewrite,
  type UpcomingRewrite,
} from './maintenance/rewrite.ts'
export { decodeBound, encodeBound, truncateLower, truncateUpper } from './manifest/bounds.ts'
export {
  type DataFile,
  type DataFileJson,
  dataFileFromJson,
  dataFileToJson,
  type FileContent,
} from './manifest/data-file.ts'
export type { ResolvedEntry } from './manifest/entries.ts'
export type { ManifestEntry } from './manifest/manifest-entry.ts'
export type { ManifestFile, PartitionSummary } from './manifest/manifest-list.ts'
export { snapshotManifests } from './manifest/snapshot-manifests.ts'
export type { DeleteFileTask } from './scan/delete-index.ts'
export { createDeleteReader, type DeleteReader } from './scan/deletes.ts'
export { type ColumnReference, columnsOf as filterColumns, type Expression } from './scan/expression.ts'
export type { SnapshotChange } from './scan/incremental.ts'
export {
  type DataFileReader,
  openDataFile,
  type PlannedFile,
  type ReadRowGroupOptions,
  type RowGroupSizes,
} from './scan/open-file.ts'
export type { FileScanTask } from './scan/plan.ts'
export { prefetch } from './scan/prefetch.ts'
export { printWhere } from './scan/print-where.ts'
export { fileMayMatch, fileMustMatch } from './scan/prune.ts'
export {
  type OpenableTask,
  type OpenTaskOptions,
  openFileTask,
  type ReadInOrderOptions,
  type ReadTaskOptions,
  type TaskReader,
} from './scan/read.ts'
export type { OrderedRows, RowTest } from './scan/row-group.ts'
export type { ScanOptions, SnapshotSelector, TableScan } from './scan/table-scan.ts'
export { parseWhere } from './scan/where.ts'
export { type MergeOptions, type MergeRunsOptions, mergeBatches, mergeRuns } from './sort/merge.ts'
export { packBatch, unpackBatch } from './sort/packed-batch.ts'
export { partitionedKeyMaker, type RowPartition, rowPartition } from './sort/partition-rows.ts'
export { batchBytes, pickRows } from './sort/pick-rows.ts'
export { KeyBuffer, type KeyMaker, sortKeyMaker } from './sort/sort-key.ts'
export { compareStrings, compareValues } from './spec/compare.ts'
export { evolveSort, type SortColumn } from './spec/evolve-sort.ts'
export type { SpecChange } from './spec/evolve-spec.ts'
export { keyOfPath, normaliseLocation } from './spec/location.ts'
export {
  currentSchema,
  defaultSortOrder,
  defaultSpec,
  type SnapshotRef,
  schemaById,
  schemaForSpec,
  snapshotById,
  specById,
  statisticsPaths,
  type TableMetadata,
} from './spec/metadata.ts'
export { type NameMapping, nameMappingOf } from './spec/name-mapping.ts'
export {
  type PartitionField,
  type PartitionSpec,
  type PartitionTuple,
  parsePartitionSpec,
  partitionPath,
  partitionTypes,
  printPartitionSpec,
} from './spec/partition.ts'
export {
  fieldByName,
  fieldByPath,
  fieldsById,
  parseSchema,
  primitiveTypeOf,
  printSchema,
  projectSchema,
  type Schema,
} from './spec/schema.ts'
export type { NewColumn, SchemaChange } from './spec/schema-change.ts'
export type { Snapshot } from './spec/snapshot.ts'
export { parseSortOrder, printSortOrder, type SortField, type SortOrder, UNSORTED } from './spec/sort.ts'
export { isoMicros, parseDateDays, parseTimestampMicros } from './spec/timestamp.ts'
export { applyTransform, canApply, type Transform, transformResultType } from './spec/transform.ts'
export {
  type IcebergType,
  isPrimitive,
  type NestedField,
  type PrimitiveType,
  type PrimitiveValue,
} from './spec/types.ts'
export {
  type AppendResult,
  type CommitResult,
  type CreateTagOptions,
  Table,
} from './table.ts'
export { type FileRewrite, type RowSelection, type TakeOutOptions, takeOutRows } from './write/copy-on-write.ts'
export type { AppendOptions, FileChange } from './write/file-change.ts'
export type { RemovedFile } from './write/filter-manifests.ts'
export type { OverwriteOptions } from './write/overwrite.ts'
export type { SnapshotOptions, UpcomingSnapshot } from './write/snapshot-options.ts'
export type { Transaction } from './write/transaction.ts'
export type { UpsertOptions } from './write/upsert.ts'
export {
  createDataFileWriter,
  type DataFileWriter,
  type DataFileWriterOptions,
  DEFAULT_ROW_GROUP_ROWS,
  type WrittenFile,
} from './write/writer.ts'
