/**
 * One compaction task: what one machine does. Input and output are plain JSON; everything else goes through the
 * store. `runCompactionTask` is what every executor calls, wherever it runs.
 */
import { FirnError } from '../../table/errors.ts'
import type { DataFileJson } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
import { type AveragesState, NO_AVERAGES } from './averages.ts'
import type { Gap } from './inputs.ts'
import type { PlannedInput } from './plan.ts'
import type { QuarantineObject } from './quarantine.ts'
import { runWhole } from './stages/whole.ts'

export type { Gap } from './inputs.ts'

/** Wire form of one task. Readers refuse another `schema`. */
export interface CompactionTask {
  readonly schema: 'firn.compaction-task/1'
  readonly runId: string
  /** `namespace.name`. */
  readonly table: string
  /** URL of the table's folder. */
  readonly location: string
  /** The catalog says where the table lies; else it lies below the warehouse. */
  readonly ownStore?: true
  readonly dataset: DatasetDefinition
  /** File URL of the user's enrichment module. */
  readonly enrichment?: string
  /** Iceberg JSON of the schema, partition spec and sort order to write with. */
  readonly tableSchema: unknown
  readonly partitionSpec: unknown
  readonly sortOrder: unknown
  /** Those properties of the table that say what is recorded of each column. */
  readonly metricsProperties: Readonly<Record<string, string>>
  readonly targetFileSizeBytes: number
  readonly rowGroupRows: number
  /** Microseconds since the epoch, decimal. */
  readonly compactedAt: string
  /** Data files are named after it; unique among all tasks of all runs. */
  readonly filePrefix: string
  /** Number of the first quarantine object. */
  readonly firstQuarantine: number
  /** Write no data files when more than this share of the records is bad; null when the task cannot tell alone. */
  readonly maxBadRatio: number | null
  readonly inputs: readonly PlannedInput[]
}

export interface WrittenFileJson {
  readonly dataFile: DataFileJson
  readonly sha256: string
  readonly rowGroups: readonly { readonly rows: number; readonly bytes: number }[]
}

/** Counts of different tasks of a run add up, whatever each of them did. */
export interface CompactionTaskResult {
  readonly schema: 'firn.compaction-result/1'
  /** Records of the stream. */
  readonly kinesisRecords: number
  /** Records after aggregates are opened. */
  readonly recordsRead: number
  readonly rowsAdded: number
  readonly duplicates: number
  readonly quarantined: readonly QuarantineObject[]
  readonly gaps: readonly Gap[]
  readonly averages: AveragesState
  readonly files: readonly WrittenFileJson[]
  /** The task wrote no data files because of `maxBadRatio`. */
  readonly refused: boolean
}

/** What a task that has nothing else to say reports. */
export const EMPTY_RESULT: CompactionTaskResult = {
  schema: 'firn.compaction-result/1',
  kinesisRecords: 0,
  recordsRead: 0,
  rowsAdded: 0,
  duplicates: 0,
  quarantined: [],
  gaps: [],
  averages: NO_AVERAGES,
  files: [],
  refused: false,
}

export interface TaskContext extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** The store of a table elsewhere, for tasks that say so. */
  readonly openTableStore?: ((location: string) => ObjectStore) | undefined
}

/**
 * @throws {FirnError} `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT` (corrupt); what the store throws. Objects that were
 *   written before stay; nothing refers to them.
 */
export async function runCompactionTask(task: CompactionTask, context: TaskContext): Promise<CompactionTaskResult> {
  if (task.schema !== 'firn.compaction-task/1') {
    throw new FirnError(
      'invalid',
      'FIRN_TASK_UNSUPPORTED',
      `task of version ${String(task.schema)}, expected firn.compaction-task/1`,
    )
  }
  return await runWhole(task, context)
}
