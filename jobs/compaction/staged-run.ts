/**
 * A run of several tasks: ranges from a sample, then three stages, each of which waits for the one before. Between
 * them there are plain JSON and objects in the exchange.
 */
import { checkBadRatio, totalsOf } from './commit.ts'
import { BUCKETS } from './exchange/key-entries.ts'
import type { ExistingRows, Replacement } from './existing/existing-rows.ts'
import type { ProcessRequest } from './process.ts'
import { type Share, spread } from './shares.ts'
import type { CompactionTask, CompactionTaskResult, TaskStage } from './task.ts'

/** Quarantine objects of one task; those of a plan have numbers enough for the most tasks that there may be. */
const NUMBERS_PER_TASK = 10_000
const SAMPLED_OBJECTS = 48

export type RunTasks = (tasks: readonly CompactionTask[], stage: number) => Promise<readonly CompactionTaskResult[]>

export interface StagedOutcome {
  /** Of all stages; their counts add up to those of the run. */
  readonly results: readonly CompactionTaskResult[]
  /** Where rows of the table were compared as well. */
  readonly replacement: Replacement | undefined
}

/** @param existing rows of the table, among which a key has one row as well. */
export async function runStages(
  whole: CompactionTask,
  shares: readonly Share[],
  run: RunTasks,
  { maxBadRatio, tableName, signal }: Pick<ProcessRequest, 'maxBadRatio' | 'tableName' | 'signal'>,
  existing?: ExistingRows,
): Promise<StagedOutcome> {
  // only the coordinator can tell what share of all records is bad
  const task = { ...whole, maxBadRatio: null }
  const staged = (stage: TaskStage): CompactionTask => ({ ...task, inputs: [], stage })
  const boundaries = shares.length === 1 ? [] : await sampleBoundaries(task, shares, run)
  const keyPoints = existing === undefined ? {} : { keyPoints: existing.keyPoints }

  const reads = await run(
    shares.map(({ inputs, firstObject }, number) => ({
      ...task,
      inputs,
      firstObject,
      firstQuarantine: task.firstQuarantine + number * NUMBERS_PER_TASK,
      stage: { kind: 'read', number, boundaries, ...keyPoints },
    })),
    1,
  )
  if (maxBadRatio !== null) checkBadRatio(totalsOf(reads.map(asIfAdded)), maxBadRatio, tableName)

  const ranges = boundaries.length + 1
  const read = reads.map(({ spilled }) => spilled!)
  const added = read.flatMap((share) => share.keys)
  const marks = read.map(({ keyMarks = '' }) => keyMarks)
  const keys = [...added, ...((await existing?.find(added, marks, { signal })) ?? [])]
  const fileGroups = existing === undefined ? {} : { fileGroups: existing.fileGroups }
  const dedups = await run(
    shares.map((_share, number) =>
      staged({ kind: 'dedup', number, keys, ranges, ...fileGroups, buckets: part(BUCKETS, number, shares.length) }),
    ),
    2,
  )

  const runs = read.flatMap((share) => share.runs)
  const losers = dedups.flatMap((result) => result.losers!)
  const filled = Array.from({ length: ranges }, (_, range) => range).filter((range) =>
    runs.some((each) => each.range === range),
  )
  const writes = await run(
    filled.map((range) => staged({ kind: 'write', range, losers, runs: runs.filter((each) => each.range === range) })),
    3,
  )
  const replacement = await existing?.replace(
    dedups.map(({ replaced }) => replaced!),
    { signal },
  )
  return { results: [...reads, ...dedups, ...writes], replacement }
}

/** Upper ends of all ranges but the last, base64. */
async function sampleBoundaries(
  task: CompactionTask,
  shares: readonly Share[],
  run: RunTasks,
): Promise<readonly string[]> {
  const objects = shares.reduce((sum, { inputs }) => sum + countObjects(inputs), 0)
  const sampling = { ...task, stage: { kind: 'sample', objects: spread(objects, SAMPLED_OBJECTS) } } as const
  const [sampled] = await run([sampling], 0)
  return quantiles(sampled!.sample!, shares.length)
}

const countObjects = (inputs: Share['inputs']): number =>
  inputs.reduce((sum, input) => sum + (input.kind === 'quarantine' ? 1 : input.chunks.length), 0)

/** Upper ends of all ranges but the last, base64; keys are in order. Fewer where the sample is too small. */
function quantiles(keys: readonly string[], ranges: number): readonly string[] {
  const picked = Array.from(
    { length: ranges - 1 },
    (_, index) => keys[Math.floor(((index + 1) * keys.length) / ranges)],
  )
  return [...new Set(picked.filter((key) => key !== undefined))]
}

/** The whole numbers of part `number` of `[0, count)`. */
const part = (count: number, number: number, parts: number): readonly [number, number] => [
  Math.floor((count * number) / parts),
  Math.floor((count * (number + 1)) / parts),
]

/** What was read and not refused, as if it were in the table already: for the checks between stages. */
function asIfAdded(result: CompactionTaskResult): CompactionTaskResult {
  const refused = result.quarantined.reduce((sum, { rows }) => sum + rows, 0)
  return { ...result, rowsAdded: result.recordsRead - refused, refused: true }
}
