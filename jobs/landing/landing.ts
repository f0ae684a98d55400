/** One landing run as the command line and the scheduler know it: source chosen, result in wire names. */
import {
  fileSource,
  type KinesisOptions,
  kinesisSource,
  type LandBudget,
  type LandResult,
  land,
  type RecordSource,
} from '../../ingest/index.ts'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import type { Config } from '../config.ts'
import { formatBytes, formatCount, plural, renderTable } from '../render.ts'
import type { WorkResult } from '../runs.ts'
import type { LandingSettings } from '../settings/landing.ts'
import { afterGrace } from '../signals.ts'
import { sizeArgument } from '../sizes.ts'
import type { Logger } from '../telemetry.ts'
import { durationArgument, parseTime } from '../times.ts'
import { type ObjectTarget, objectTargetSource } from './objects.ts'

/** Where a landing run reads. */
export type LandTarget =
  | {
      readonly kind: 'stream'
      readonly stream: string
      readonly start: LandStart
      /** True: asked for by this very command, so a stream that began elsewhere is refused. Else for a first run. */
      readonly startAsked?: boolean
    }
  | { readonly kind: 'files'; readonly paths: readonly string[]; readonly as: string }
  | ({ readonly kind: 'objects' } & ObjectTarget)

/** Where a stream begins that has not been landed yet. */
export type LandStart =
  | { readonly type: 'TRIM_HORIZON' }
  | { readonly type: 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMillis: EpochMillis }

/** `TRIM_HORIZON`, `LATEST` or an ISO time. @throws {FirnError} `FIRN_USAGE`. */
export function parseStart(text: string): LandStart {
  const word = text.toUpperCase().replaceAll('-', '_')
  if (word === 'TRIM_HORIZON' || word === 'LATEST') return { type: word }
  const timestampMillis = parseTime(text)
  if (timestampMillis !== undefined) return { type: 'AT_TIMESTAMP', timestampMillis: epochMillis(timestampMillis) }
  throw new FirnError('invalid', 'FIRN_USAGE', `not a place to start: ${JSON.stringify(text)}`, {
    help: 'use TRIM_HORIZON, LATEST or a time like 2026-01-31T00:00:00Z',
  })
}

export interface LandOptions {
  readonly store: ObjectStore
  readonly target: LandTarget
  readonly config: Config
  readonly clock: Clock
  readonly log: Logger
  /** Its abort ends reading; what was gathered is written, for 8 s at most. */
  readonly signal?: AbortSignal | undefined
  /** Each beats the setting `run.land.…` of the same meaning. */
  readonly budget?: LandBudget | undefined
  readonly failOnDataLoss?: boolean | undefined
  readonly shardConcurrency?: number | undefined
  /** Record losses as gaps in this run, and go on. Never a setting: it is a decision about one loss. */
  readonly acceptGap?: boolean | undefined
}

/** Writing what was gathered when a signal comes; a container runtime gives 10 s, or 30 s, until it kills. */
const SAFE_POINT_MILLIS = 8_000

/** @throws {FirnError} what `land` throws; the reason of `signal` when nothing was read yet, or not written in time. */
export async function runLanding(options: LandOptions): Promise<LandResult> {
  const { store, target, config, clock, log, signal, acceptGap = false } = options
  const settings = config.run.land
  const shardConcurrency = options.shardConcurrency ?? settings.shardConcurrency
  const hard = afterGrace(signal ?? new AbortController().signal, SAFE_POINT_MILLIS, clock)
  try {
    return await land({
      store,
      source: sourceOf(target, config, clock),
      clock,
      stop: signal,
      signal: hard.signal,
      budget: { ...budgetOf(settings), ...options.budget },
      failOnDataLoss: options.failOnDataLoss ?? settings.failOnDataLoss,
      acceptGap,
      ...(shardConcurrency === undefined ? {} : { shardConcurrency }),
      onProgress: (progress) => log.debug({ ...progress }, 'landing'),
    })
  } finally {
    hard.release()
  }
}

const budgetOf = ({ maxRecords, maxBytes, maxDuration }: LandingSettings): LandBudget => ({
  ...(maxRecords === undefined ? {} : { maxRecords }),
  ...(maxBytes === undefined ? {} : { maxBytes: sizeArgument(maxBytes) }),
  ...(maxDuration === undefined ? {} : { maxMillis: durationArgument(maxDuration) }),
})

function sourceOf(target: LandTarget, config: Config, clock: Clock): RecordSource {
  if (target.kind === 'objects') return objectTargetSource(target, config, clock)
  if (target.kind === 'files') return fileSource({ paths: target.paths, as: target.as, clock })
  const { stream, start, startAsked = false } = target
  const begin = startAsked ? { start } : { defaultStart: start }
  return kinesisSource({ stream, client: kinesisOptions(config), clock, ...begin })
}

/** How to reach Kinesis, as the settings say. */
export const kinesisOptions = ({ kinesis: { endpoint, region } }: Config): KinesisOptions => ({
  ...(endpoint === undefined ? {} : { endpoint }),
  ...(region === undefined ? {} : { region }),
})

/** `runLanding` as `recordRun` wants it. */
export async function landingWork(options: LandOptions): Promise<WorkResult<LandResult>> {
  const value = await runLanding(options)
  // A gap that was recorded, or a run that was cut, is news even without a record.
  const isNothing = value.chunks === 0 && value.endedBy === 'tip'
  const outcome = isNothing ? 'nothing-to-do' : 'ok'
  return { value, json: landJson(value), outcome, text: landText(value), isCut: value.endedBy === 'stop' }
}

/** The JSON result of `firn land`. */
export function landJson(result: LandResult): Record<string, unknown> {
  return {
    schema: 'firn.land/1',
    stream: result.stream,
    created: result.created,
    records: result.records,
    bytes: result.bytes,
    chunks: result.chunks,
    ended_by: result.endedBy,
    throttled: result.throttled,
    expired_iterators: result.expiredIterators,
    gaps: result.gaps.map(({ shardId, after }) => ({ shard_id: shardId, after })),
    shards: result.shards.map((shard) => ({
      shard_id: shard.shardId,
      records: shard.records,
      last_sequence_number: shard.lastSequenceNumber,
      millis_behind_latest: shard.millisBehindLatest,
      ended: shard.ended,
      pending_bytes: shard.pendingBytes ?? 0,
    })),
  }
}

const MAX_LINES = 20

const END_NOTES: Readonly<Record<LandResult['endedBy'], string>> = {
  tip: '',
  budget: 'note: the budget of the run ended it before the tip: the next run goes on\n',
  stop: 'note: interrupted before the tip: the next run goes on\n',
}

/** What a person reads after `firn land`. */
export function landText(result: LandResult, { dryRun = false }: { readonly dryRun?: boolean } = {}): string {
  const landed = dryRun ? 'would land' : 'landed'
  const end = dryRun ? 'dry run: nothing was stored\n' : ''
  const gaps = result.gaps.map(
    ({ shardId, after }) =>
      `warning: records after ${after} of shard ${readable(shardId)} were lost before they could be read\n`,
  )
  const notes = gaps.join('') + pendingText(result) + END_NOTES[result.endedBy]
  const shards = plural(result.shards.length, 'shard')
  if (result.records === 0 && result.endedBy !== 'tip')
    return `${notes}${landed} nothing of ${result.stream} (${shards})\n${end}`
  if (result.records === 0) return `${notes}nothing to do: ${result.stream} has nothing new (${shards})\n${end}`
  const read = result.shards.filter((shard) => shard.records > 0)
  const rows = read.slice(0, MAX_LINES).map((shard) => ({
    shard: readable(shard.shardId),
    records: formatCount(shard.records),
    last_sequence_number: shard.lastSequenceNumber,
    behind: shard.millisBehindLatest === null ? null : `${shard.millisBehindLatest} ms`,
    ended: shard.ended,
  }))
  const more = read.length > rows.length ? `and ${plural(read.length - rows.length, 'more shard')}\n` : ''
  const head = `${landed} ${plural(result.records, 'record')} (${formatBytes(result.bytes)}) of ${result.stream} in ${plural(result.chunks, 'chunk')}, ${shards}\n`
  return head + notes + renderTable(rows) + more + end
}

/** A last line without its end is not a record yet: a writer may be in the middle of it. */
function pendingText({ shards }: LandResult): string {
  const pending = shards.filter(({ pendingBytes = 0 }) => pendingBytes > 0)
  const lines = pending
    .slice(0, MAX_LINES)
    .map(
      ({ shardId, pendingBytes = 0 }) =>
        `note: the last line of ${readable(shardId)} is not ended (${plural(pendingBytes, 'byte')}): left for a later run\n`,
    )
  const left = pending.length - lines.length
  return lines.join('') + (left > 0 ? `note: and of ${plural(left, 'more file')}\n` : '')
}

/** The shard of a file or an object is its percent-encoded URL. */
const readable = (shardId: string): string => (/^[a-z0-9]+%3A/.test(shardId) ? decodeURIComponent(shardId) : shardId)
