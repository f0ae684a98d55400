/**
 * The compare-and-set loop that every change of a table goes through.
 *
 * A try: load the newest metadata; look for our own earlier try in it; check the requirements; build the successor;
 * swap. Only a try that is known not to have taken effect is followed by another, and a try that nobody can tell about
 * is looked for first. Nothing is ever deleted here: a late try of ours may still be the winner.
 */
import type { TableOperations, TableState } from '../catalog/catalog.ts'
import { type Clock, fullJitterMillis } from '../clock.ts'
import { FirnError } from '../errors.ts'
import type { EpochMillis } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'
import { checkRequirement, type TableRequirement } from './requirements.ts'
import { applyUpdates, nextTimestamp, type TableUpdate } from './updates.ts'

export interface Change {
  /** Whether `metadata` already contains this change: an earlier try of ours took effect. */
  isOwn(metadata: TableMetadata): boolean
  readonly requirements: readonly TableRequirement[]
  /** The updates on top of `base`. Called once a try; may write objects that only this try uses. */
  prepare(base: TableMetadata, attempt: number, timestampMillis: EpochMillis): Promise<readonly TableUpdate[]>
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
 *   `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit) when the last word is not known.
 */
export async function commitChange(
  operations: TableOperations,
  change: Change,
  clock: Clock,
  options: AbortableOptions = {},
): Promise<CommitOutcome> {
  const started = clock.monotonicMillis()
  let unknown: unknown
  for (let attempt = 1; ; attempt++) {
    const base = await operations.load(options).catch((cause: unknown) => {
      throw unknown === undefined ? cause : stateUnknown(cause)
    })
    if (change.isOwn(base.metadata)) return { state: base, attempts: attempt, recovered: true }
    // Not ours, and ours can no longer take the place of what is there: the earlier try is known to have failed.
    for (const requirement of change.requirements) checkRequirement(base.metadata, requirement)
    const timestampMillis = nextTimestamp(base.metadata, clock.nowMillis())
    const updates = await change.prepare(base.metadata, attempt, timestampMillis)
    const next = applyUpdates(base.metadata, base.metadataLocation, updates, timestampMillis)
    const outcome = await operations.swap(base, next, options)
    if (outcome.kind === 'committed') return { state: outcome.state, attempts: attempt, recovered: false }
    unknown = outcome.kind === 'unknown' ? (outcome.cause ?? new Error('no cause given')) : undefined
    const late = clock.monotonicMillis() - started >= numberProperty(base.metadata, TOTAL_MILLIS)
    if (attempt > numberProperty(base.metadata, RETRIES) || late) {
      if (unknown === undefined) throw conflict(base, attempt)
      // One last look: the try may have been seen by now.
      const last = await operations.load(options).catch(() => undefined)
      if (last !== undefined && change.isOwn(last.metadata)) return { state: last, attempts: attempt, recovered: true }
      throw stateUnknown(unknown)
    }
    const minimum = numberProperty(base.metadata, MIN_WAIT_MILLIS)
    await clock.sleep(
      minimum / 2 + fullJitterMillis(clock, attempt - 1, minimum, numberProperty(base.metadata, MAX_WAIT_MILLIS)),
      options.signal,
    )
  }
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
