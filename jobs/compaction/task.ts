/**
 * One compaction task: what one machine does. Input and output are plain JSON; everything else goes through the
 * store. `runCompactionTask` is what every executor calls, wherever it runs.
 */
import { assertNever, FirnError } from '../../table/errors.ts'
import type { DataFileJson } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
import { type AveragesState, NO_AVERAGES } from './averages.ts'
import { type Exchange, type ExchangePlace, openExchange } from './exchange/exchange.ts'
import type { KeyObject } from './exchange/key-entries.ts'
import type { LoserObject } from './exchange/losers.ts'
import type { SpilledRun } from './exchange/runs.ts'
import type { Gap } from './inputs.ts'
import type { TaskBudget } from './memory.ts'
import type { PlannedInput } from './plan.ts'
import type { QuarantineObject } from './refused/quarantine.ts'
import { dedupStage } from './stages/dedup.ts'
import { readStage } from './stages/read.ts'
import { sampleStage } from './stages/sample.ts'
import { createSpiller, type SpilledShare } from './stages/spill-rows.ts'
import { runWhole } from './stages/whole.ts'
import { writeStage } from './stages/write.ts'

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
  readonly budget: TaskBudget
  /** Where stages leave what the next one reads. */
  readonly exchange: ExchangePlace
  /** Number of the first object of `inputs` among those of the whole run. Default 0. */
  readonly firstObject?: number
  readonly inputs: readonly PlannedInput[]
  /** Left out: everything, from inputs to data files. */
  readonly stage?: TaskStage
}

/** A part of a run that several tasks share. `number` is that of the task within its stage. */
export type TaskStage =
  /** Keys of some records, from which ranges of even size are made. */
  | { readonly kind: 'sample'; readonly objects: readonly number[] }
  /** Inputs to sorted runs, one per range; the upper ends of all ranges but the last, base64. */
  | {
      readonly kind: 'read'
      readonly number: number
      readonly boundaries: readonly string[]
      readonly keyPoints?: readonly string[]
    }
  /** Which rows of buckets `[from, to)` lose to another one of their key. */
  | {
      readonly kind: 'dedup'
      readonly number: number
      readonly keys: readonly KeyObject[]
      readonly buckets: readonly [number, number]
      readonly ranges: number
      /** Groups of files of the table, whose rows are among the keys. */
      readonly fileGroups?: number
    }
  /** The runs of a range to data files. */
  | {
      readonly kind: 'write'
      readonly range: number
      readonly runs: readonly SpilledRun[]
      readonly losers: readonly LoserObject[]
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
  /** Of stage `sample`: keys in order, base64. */
  readonly sample?: readonly string[]
  /** Of stage `read`. */
  readonly spilled?: SpilledShare
  /** Of stage `dedup`. */
  readonly losers?: readonly LoserObject[]
  /** Of stage `dedup`: rows of the table that others replace. */
  readonly replaced?: { readonly rows: number; readonly lists: readonly LoserObject[] }
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
  /** Called often; numbers of this task only grow. */
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined
}

export interface TaskProgress {
  readonly stage: string
  /** Records read, and their bytes as they came. */
  readonly records: number
  readonly bytes: number
  /** Rows that came out of the stage. */
  readonly rows: number
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
  const { stage } = task
  if (stage === undefined) return await runWhole(task, context)
  const exchange = openExchange(task.exchange, context.store)
  const { signal } = context
  switch (stage.kind) {
    case 'sample':
      return { ...EMPTY_RESULT, sample: await sampleStage(task, context, stage.objects) }
    case 'read':
      return await readShare(task, context, exchange, stage)
    case 'dedup': {
      const found = await dedupStage(task, { ...stage, exchange, signal })
      const replaced = { rows: found.replacedRows, lists: found.replaced }
      return { ...EMPTY_RESULT, duplicates: found.duplicates, losers: found.losers, replaced }
    }
    case 'write': {
      const prefix = `${task.filePrefix}-${stage.range}`
      const { rows, averages, files } = await writeStage(task, context, { ...stage, exchange, prefix, signal })
      return { ...EMPTY_RESULT, rowsAdded: rows, averages, files }
    }
    default:
      return assertNever(stage)
  }
}

async function readShare(
  task: CompactionTask,
  context: TaskContext,
  exchange: Exchange,
  { number, boundaries, keyPoints }: Extract<TaskStage, { kind: 'read' }>,
): Promise<CompactionTaskResult> {
  const bytes = boundaries.map((text) => Buffer.from(text, 'base64'))
  const points = keyPoints?.map((text) => Buffer.from(text, 'base64'))
  const spill = { exchange, number, boundaries: bytes, keyPoints: points, signal: context.signal }
  const spiller = createSpiller(task, spill)
  const { kinesisRecords, records, gaps, quarantined, rest } = await readStage(task, context, {
    limitBytes: () => task.budget.runBytes,
    take: (rows) => spiller.spill(rows),
  })
  await spiller.spill(rest)
  return { ...EMPTY_RESULT, kinesisRecords, recordsRead: records, gaps, quarantined, spilled: spiller.share }
}
