/**
 * The compare-and-set loop that every change of a table goes through.
 *
 * A try: load the newest metadata; look for our own earlier try in it; check the requirements; build the successor;
 * swap. Only a try that is known not to have taken effect is followed by another, and a try that nobody can tell about
 * is looked for first. Nothing is ever deleted here: a late try of ours may still be the winner.
 */
import type { Proposal, TableOperations, TableState } from '../catalog/catalog.ts'
import { type Clock, fullJitterMillis } from '../clock.ts'
import { FirnError } from '../errors.ts'
import type { EpochMillis, SnapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { reportedCommit, type Tries } from './report.ts'
import { checkRequirement, type TableRequirement } from './requirements.ts'
import { applyUpdates, nextTimestamp, type TableUpdate } from './updates.ts'

export interface Change {
  /** Of the snapshot that it makes, if it makes one. */
  readonly snapshotId?: SnapshotId | undefined
  /** Whether `metadata` already contains this change: an earlier try of ours took effect. */
  isOwn(metadata: TableMetadata): boolean
  /** Throws where the caller is owed a better answer than "a requirement failed". Called before they are checked. */
  refused?(base: TableMetadata): void
  /** What must hold of the base of every try; computed from it where a catalog is to check that it did not move. */
  readonly requirements: readonly TableRequirement[] | ((base: TableMetadata) => readonly TableRequirement[])
  /** The updates on top of `base`; none: there is nothing to commit. May write objects that only this try uses. */
  prepare(
    base: TableMetadata,
    attempt: number,
    timestampMillis: EpochMillis,
    /** The table's own metadata, where `base` has earlier changes of the same transaction in it. */
    committed?: TableMetadata,
  ): readonly TableUpdate[] | Promise<readonly TableUpdate[]>
}

export interface CommitOutcome {
  readonly state: TableState
  /** Tries made, from 1. */
  readonly attempts: number
  /** True when an earlier try of the same change was found in the table. */
  readonly recovered: boolean
}

/** Iceberg's own defaults: property, fallback. */
const RETRIES = ['commit.retry.num-retries', 4] as const
const MIN_WAIT_MILLIS = ['commit.retry.min-wait-ms', 100] as const
const MAX_WAIT_MILLIS = ['commit.retry.max-wait-ms', 60_000] as const
const TOTAL_MILLIS = ['commit.retry.total-timeout-ms', 1_800_000] as const

function numberProperty(metadata: TableMetadata, [name, fallback]: readonly [string, number]): number {
  const value = Number(metadata.properties[name] ?? fallback)
  return Number.isFinite(value) && value >= 0 ? value : fallback
}

/**
 * @throws {FirnError} `FIRN_REQUIREMENT_FAILED` (conflict) when the table is no longer what the change was planned on;
 *   `FIRN_COMMIT_CONFLICT` (conflict) after all retries lost their race;
 *   `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit) whenever it ends, for whatever reason, while a try may still be or
 *   become the winner.
 */
export function commitChange(
  operations: TableOperations,
  change: Change,
  clock: Clock,
  options: AbortableOptions = {},
): Promise<CommitOutcome> {
  return reportedCommit(operations, change, clock, (tries) => commitInTries(operations, change, clock, options, tries))
}

async function commitInTries(
  operations: TableOperations,
  change: Change,
  clock: Clock,
  options: AbortableOptions,
  tries: Tries,
): Promise<CommitOutcome> {
  const started = clock.monotonicMillis()
  let open: readonly OpenTry[] = []
  /** The last look judges the open tries itself. */
  let judged = false
  for (let attempt = 1; ; attempt++) {
    try {
      const base = await operations.load(options)
      tries.on(base, attempt)
      if (change.isOwn(base.metadata)) return await found(operations, base, attempt)
      open = stillOpen(operations, open, base)
      change.refused?.(base.metadata)
      const { requirements: wanted } = change
      const requirements = typeof wanted === 'function' ? wanted(base.metadata) : wanted
      for (const requirement of requirements) checkRequirement(base.metadata, requirement)
      const timestampMillis = nextTimestamp(base.metadata, clock.nowMillis())
      const updates = await change.prepare(base.metadata, attempt, timestampMillis)
      if (updates.length === 0 && open.length === 0) return { state: base, attempts: attempt, recovered: false }
      tries.made(updates)
      const next = applyUpdates(base.metadata, base.metadataLocation, updates, timestampMillis)
      const proposal = { requirements, updates, next }
      const outcome = await operations.commit(base, proposal, options)
      if (outcome.kind === 'committed') return { state: outcome.state, attempts: attempt, recovered: false }
      if (outcome.kind === 'unknown') open = [...open, { base, proposal, cause: outcome.cause }]
      const late = clock.monotonicMillis() - started >= numberProperty(base.metadata, TOTAL_MILLIS)
      if (attempt > numberProperty(base.metadata, RETRIES) || late) {
        judged = true
        return await found(operations, await lastLook(operations, change, base, attempt, open), attempt)
      }
      const minimum = numberProperty(base.metadata, MIN_WAIT_MILLIS)
      const jitter = fullJitterMillis(clock, attempt - 1, minimum, numberProperty(base.metadata, MAX_WAIT_MILLIS))
      await clock.sleep(minimum / 2 + jitter, options.signal)
    } catch (error) {
      if (judged || open.length === 0 || FirnError.is(error, 'FIRN_COMMIT_STATE_UNKNOWN')) throw error
      throw stateUnknown(error)
    }
  }
}

async function found(operations: TableOperations, state: TableState, attempts: number): Promise<CommitOutcome> {
  await operations.recovered?.(state)
  return { state, attempts, recovered: true }
}

/** A try that nobody could tell about: it may still take effect. */
interface OpenTry {
  readonly base: TableState
  readonly proposal: Proposal
  readonly cause: unknown
}

/** Those that `current`, which does not contain this change, does not rule out. */
const stillOpen = (operations: TableOperations, open: readonly OpenTry[], current: TableState): readonly OpenTry[] =>
  open.filter(({ base, proposal }) => !operations.isSettled(base, proposal, current))

/** After the last try: what looks lost may be our own earlier try that took effect late. */
async function lastLook(
  operations: TableOperations,
  change: Change,
  base: TableState,
  attempts: number,
  open: readonly OpenTry[],
): Promise<TableState> {
  const last = await operations.load().catch((cause: unknown) => {
    throw open.length === 0 ? conflict(base, attempts) : stateUnknown(cause)
  })
  if (change.isOwn(last.metadata)) return last
  const [unsettled] = stillOpen(operations, open, last)
  throw unsettled === undefined ? conflict(base, attempts) : stateUnknown(unsettled.cause)
}

function conflict(base: TableState, attempts: number): FirnError {
  const message = `table ${base.metadata.location}: other writers won all ${attempts} tries of this commit`
  return new FirnError('conflict', 'FIRN_COMMIT_CONFLICT', message, {
    detail: { location: base.metadata.location, attempts },
    help: 'Run the same command again, or raise the table property commit.retry.num-retries.',
  })
}

function stateUnknown(cause: unknown): FirnError {
  return new FirnError(
    'unknown-commit',
    'FIRN_COMMIT_STATE_UNKNOWN',
    'the store did not say whether the commit took effect',
    {
      cause,
      help: 'Run: firn verify <table>. Then run the same command again: a commit that took effect is found, not repeated.',
    },
  )
}
