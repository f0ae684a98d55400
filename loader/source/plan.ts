/**
 * What a dataset reads, decided from metadata before any row is read: files, units, filter, split, and the hash by
 * which a resume token knows the same plan again.
 */
import type { Schema as ArrowSchema } from 'apache-arrow'
import type {
  DeleteFileTask,
  Expression,
  NameMapping,
  PartitionSpec,
  PartitionTuple,
  Schema,
  StoreOptions,
} from '../../table/index.ts'
import type { ResolvedCache, ResolvedTransform, RetryOptions, SplitRange } from '../options.ts'

/** What it takes to open a data file with the deletes that apply to it; plain data. */
export interface FileRef {
  readonly filePath: string
  readonly fileFormat: string
  readonly fileSizeBytes: number
  readonly recordCount: number
  /** For columns that the file itself does not have. */
  readonly partition: PartitionTuple
  readonly deletes: readonly DeleteFileTask[]
  readonly spec?: PartitionSpec
  readonly nameMapping?: NameMapping
  /** Of files that may be replaced under their names: those of a folder. */
  readonly etag?: string
}

/** The row groups of a file that begin in its bytes [start, end). */
export interface PlannedUnit {
  /** Index in the plan's files. */
  readonly file: number
  readonly start: number
  /** `Infinity` for the last unit of a file. */
  readonly end: number
  /** Decoded size of all columns, estimated. */
  readonly bytes: number
}

/** Everything that a worker needs to read units; plain data. */
export interface ReadSetup {
  /** URL of the folder of the table, or of the files. */
  readonly storeUrl: string
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  /** The metadata's `location`. */
  readonly location: string
  /** What the cache keeps is of this table only: another one may have had its place, or have it in another store. */
  readonly tableUuid?: string
  /** `printSchema` of all columns that can be read. */
  readonly schema: object
  /** Those that are read for the batches, in schema order. */
  readonly columns: readonly string[]
  /** Left for the row groups and rows; `undefined`: the files that are left match as a whole. */
  readonly where?: Expression
  /** Left for the rows; `undefined`: the partitions of the files prove it. */
  readonly split?: SplitRange
  readonly cache?: ResolvedCache
  readonly retry: RetryOptions
  readonly transform?: ResolvedTransform
}

export interface LoaderPlan {
  /** Of a folder: from a hash of the names, sizes and ETags of its files, as the snapshot's id. */
  readonly tableUuid: string
  readonly snapshotId: bigint
  /** By path, in code point order; only those that may hold wanted rows. */
  readonly files: readonly FileRef[]
  /** By file, then start. */
  readonly units: readonly PlannedUnit[]
  /** 64 bits over all that the stream of batches depends on besides snapshot, seed and epoch. */
  readonly hash: bigint
  /** Exact number of rows of an epoch, where metadata proves it. */
  readonly rowCount: number | undefined
  readonly read: ReadSetup
  /** What is read for the batches, before a transform. */
  readonly schema: Schema
  readonly arrow: ArrowSchema
  readonly origin: PlanOrigin
}

/** How the plan came to be, for people. */
export interface PlanOrigin {
  /** `namespace.table`, or where it lies. */
  readonly name: string
  /** Files that filter, split or range leave out without reading them. */
  readonly filesSkipped: number
  /** Canonical text of the filter, the range of a delta included; `undefined` without. */
  readonly filter: string | undefined
  readonly split: SplitRange | undefined
  /** Data files whose footers were read for the plan. */
  readonly footersRead: number
  /** Of the files, compressed. */
  readonly fileBytes: number
  /** Of the columns that are read, those of filter and split included, compressed; as the manifests say. */
  readonly columnBytes: number
  readonly deleteFiles: number
}
