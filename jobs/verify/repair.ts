/**
 * `verify --repair`: what can be mended without a guess is planned, shown and then mended. No data file, manifest or
 * metadata file is touched: readers of the table see the same before and after, those that trust a wrong hint excepted.
 */
import { hash } from 'node:crypto'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { snapshotId } from '../../table/ids.ts'
import { predecessorOf, snapshotById, type Table } from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore, putOnce } from '../../table/io/object-store.ts'
import { type JsonManifest, manifestKey, readManifest } from '../compaction/manifest.ts'
import { type LeftProblem, nextStep } from './next-steps.ts'
import { Findings, type Problem, type ProblemCode } from './problems.ts'
import { rebuildManifest } from './rebuild-manifest.ts'
import { type KnownManifests, readSnapshot, type SnapshotContents } from './snapshots.ts'
import { mendVersionHint } from './version-hint.ts'

export interface RepairOptions extends AbortableOptions {
  readonly table: Table
  /** When the table was opened by its name there. */
  readonly warehouse?: ObjectStore | undefined
  readonly clock: Clock
}

export interface RepairStep {
  readonly code: ProblemCode
  /** URL. */
  readonly object: string
  readonly action: string
  /** What the repair cannot bring back. */
  readonly lost: readonly string[]
}

interface PlannedStep extends RepairStep {
  readonly apply: (options: AbortableOptions) => Promise<void>
}

export interface RepairPlan {
  readonly steps: readonly PlannedStep[]
  readonly left: readonly LeftProblem[]
}

/** What a second check still finds. */
export const stillLeft = (problems: readonly Problem[]): readonly LeftProblem[] => problems.map(nextStep)

const MANIFEST_CODES: readonly ProblemCode[] = ['json-manifest-missing', 'json-manifest-mismatch']

/** @param problems that `verifyTable` found. */
export async function planRepair(problems: readonly Problem[], options: RepairOptions): Promise<RepairPlan> {
  const { table, warehouse, signal } = options
  const steps: PlannedStep[] = []
  const left: LeftProblem[] = []
  const known: KnownManifests = new Map()
  const seen = new Set<string>()
  for (const problem of problems) {
    signal?.throwIfAborted()
    if (problem.code === 'version-hint-stale') {
      steps.push(hintStep(problem, table))
    } else if (MANIFEST_CODES.includes(problem.code) && warehouse !== undefined) {
      // several faults of one manifest are one repair
      if (seen.has(problem.object)) continue
      seen.add(problem.object)
      const step = await manifestStep(problem, known, { ...options, warehouse })
      if (step === undefined) left.push(nextStep(problem))
      else steps.push(step)
    } else left.push(nextStep(problem))
  }
  return { steps, left }
}

/** @returns codes of what was mended. */
export async function runRepair(
  { steps }: RepairPlan,
  options: AbortableOptions = {},
): Promise<readonly ProblemCode[]> {
  const repaired: ProblemCode[] = []
  for (const { code, apply } of steps) {
    await apply(options)
    repaired.push(code)
  }
  return repaired
}

const hintStep = ({ code, object }: Problem, table: Table): PlannedStep => ({
  code,
  object,
  action: 'make it name the newest metadata file',
  lost: [],
  apply: async (options) => {
    await mendVersionHint(table, options)
  },
})

async function manifestStep(
  { code, object }: Problem,
  known: KnownManifests,
  options: RepairOptions & { readonly warehouse: ObjectStore },
): Promise<PlannedStep | undefined> {
  const { table, warehouse, signal } = options
  const digits = /\/(\d{1,19})\.json$/.exec(object)?.[1]
  if (digits === undefined || table.name === undefined) return undefined
  const contents = await contentsOf(table, snapshotId(BigInt(digits)), known, { signal })
  if (contents === undefined) return undefined
  // For a rollback what it undid: the difference to that is what it did.
  const parent = predecessorOf(contents.snapshot)
  const before = parent === undefined ? undefined : await contentsOf(table, parent, known, { signal })
  const key = manifestKey(table.name, contents.snapshot.snapshotId)
  const stored = await getIfExists(warehouse, key, { signal })
  const damaged = await readable(warehouse, table.name, contents, { signal })
  const { manifest, lost } = await rebuildManifest(contents, before, damaged, { ...options, warehouse })
  const body = Buffer.from(`${JSON.stringify({ ...manifest, rebuilt: { lost } }, null, 2)}\n`)
  if (stored === undefined) {
    const action = 'make it again from the Avro manifests'
    return { code, object, action, lost, apply: (abort) => putOnce(warehouse, key, body, abort) }
  }
  const backup = `${key}.damaged-${hash('sha256', stored.bytes, 'hex').slice(0, 12)}`
  return {
    code,
    object,
    action: `make it again from the Avro manifests; what is there now stays as ${backup}`,
    lost,
    apply: async (abort) => {
      await putOnce(warehouse, backup, stored.bytes, abort)
      await warehouse.put(key, body, { ifMatch: stored.etag, signal: abort.signal })
    },
  }
}

/** @returns `undefined` when the snapshot is gone or its manifests cannot be read. */
async function contentsOf(
  table: Table,
  id: SnapshotContents['snapshot']['snapshotId'],
  known: KnownManifests,
  options: AbortableOptions,
): Promise<SnapshotContents | undefined> {
  const snapshot = snapshotById(table.metadata, id)
  return snapshot === undefined ? undefined : readSnapshot(table, snapshot, known, new Findings(), options)
}

async function readable(
  warehouse: ObjectStore,
  tableName: string,
  { snapshot }: SnapshotContents,
  options: AbortableOptions,
): Promise<JsonManifest | undefined> {
  try {
    return await readManifest(warehouse, tableName, snapshot.snapshotId, options)
  } catch (error) {
    if (FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) return undefined
    throw error
  }
}
