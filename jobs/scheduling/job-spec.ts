/** Which jobs there are, from settings and flags. Pure. */
import { FirnError } from '../../table/errors.ts'
import type { Config } from '../config.ts'
import { leaseTtlMillis } from '../settings/run.ts'
import { checkedCron } from './cron.ts'

export type JobSpec =
  | { readonly kind: 'land'; readonly cron: string; readonly stream: string; readonly start: string }
  | {
      readonly kind: 'compact'
      readonly cron: string
      readonly table: string
      readonly dataset: string | undefined
      readonly streams: readonly string[] | undefined
    }
  | { readonly kind: 'maintain'; readonly cron: string; readonly table: string }

export type JobKind = JobSpec['kind']

const KINDS: readonly JobKind[] = ['land', 'compact', 'maintain']

/** Flags of `firn run`; each beats the setting of the same meaning. */
export interface RunFlags {
  readonly stream?: readonly string[]
  readonly table?: readonly string[]
  readonly dataset?: string
  readonly start?: string
  readonly landCron?: string
  readonly compactCron?: string
  readonly maintainCron?: string
  readonly leaseTtl?: string
}

/** `firn run … compact news.articles`: these jobs and no others. */
export interface JobChoice {
  readonly kind?: string | undefined
  /** Streams or tables; none: all of the kind. One that is not configured is taken all the same. */
  readonly names?: readonly string[]
}

/** What a job works on. */
export const subjectOf = (job: JobSpec): string => (job.kind === 'land' ? job.stream : job.table)

export const nameOf = (job: JobSpec): string => `${job.kind} ${subjectOf(job)}`

/** A job is under one lease, whoever runs it. */
export const leaseNameOf = (job: JobSpec): string => `${job.kind}.${subjectOf(job)}`

/**
 * Every job of the settings, landing first, then what works on tables.
 * @throws {FirnError} `FIRN_NOTHING_CONFIGURED`, `FIRN_CRON_INVALID`, `FIRN_USAGE` (invalid).
 */
export function planJobs(config: Config, flags: RunFlags, choice: JobChoice = {}): JobSpec[] {
  const { names = [] } = choice
  const kind = kindOf(choice.kind)
  const all = allJobs(config, flags)
  if (kind === undefined) return checkedSome(all)
  const ofKind = all.filter((job) => job.kind === kind)
  if (names.length === 0) return checkedSome(ofKind, kind)
  return [...new Set(names)].flatMap((name) => {
    const known = ofKind.filter((job) => subjectOf(job) === name)
    if (known.length > 0) return known
    const only = kind === 'land' ? { ...flags, stream: [name] } : { ...flags, table: [name] }
    return allJobs(config, only, kind === 'maintain').filter((job) => job.kind === kind && subjectOf(job) === name)
  })
}

/** @throws {FirnError} `FIRN_CONFIG_INVALID` (invalid). */
export function leaseTtlOf(config: Config, flags: RunFlags): number {
  const text = flags.leaseTtl ?? config.run.leaseTtl
  const millis = leaseTtlMillis(text)
  if (millis !== undefined) return millis
  throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `the lease time is ${JSON.stringify(text)}`, {
    help: 'give 2s to 15m, like --lease-ttl 60s',
  })
}

function kindOf(text: string | undefined): JobKind | undefined {
  const kind = KINDS.find((each) => each === text)
  if (kind !== undefined || text === undefined) return kind
  throw new FirnError('invalid', 'FIRN_USAGE', `there is no job ${JSON.stringify(text)}`, {
    help: `name one of ${KINDS.join(', ')}, and after it streams or tables: firn run --once compact news.articles`,
  })
}

function checkedSome(jobs: JobSpec[], kind?: JobKind): JobSpec[] {
  if (jobs.length > 0) return jobs
  if (kind === 'maintain') {
    throw new FirnError('invalid', 'FIRN_NOTHING_CONFIGURED', 'run has nothing to do: no maintenance is scheduled', {
      help: 'add --maintain-cron "23 3 * * *", or "run.maintain.cron" in firn.config.json, or name the tables',
    })
  }
  throw new FirnError(
    'invalid',
    'FIRN_NOTHING_CONFIGURED',
    'run has nothing to do: no stream and no table is configured',
    {
      help: 'add --stream NAME and --table namespace.name, or "run" in firn.config.json',
    },
  )
}

/** When maintenance that is asked for by name has no schedule: daily. */
const MAINTAIN_CRON = '23 3 * * *'

function allJobs(config: Config, flags: RunFlags, maintainAnyway = false): JobSpec[] {
  const { land, compact, maintain } = config.run
  const ownStream = config.stream === undefined ? [] : [config.stream]
  const streams = flags.stream ?? (land.streams.length > 0 ? land.streams : ownStream)
  const landCron = checkedCron('land', flags.landCron ?? land.cron)
  const compactCron = checkedCron('compact', flags.compactCron ?? compact.cron)
  const start = flags.start ?? land.start ?? 'TRIM_HORIZON'
  const tables = tablesOf(config, flags, streams)
  // a schedule of its own: what deletes does not come by default
  const asked = flags.maintainCron ?? maintain.cron ?? (maintainAnyway ? MAINTAIN_CRON : undefined)
  const maintainCron = asked === undefined ? undefined : checkedCron('maintain', asked)
  const named = flags.table === undefined && maintain.tables.length > 0 ? maintain.tables : undefined
  const maintained = maintainCron === undefined ? [] : (named ?? tables.map(({ table }) => table))
  return withoutRepeats([
    ...streams.map((stream): JobSpec => ({ kind: 'land', cron: landCron, stream, start })),
    ...tables.map((table): JobSpec => ({ kind: 'compact', cron: compactCron, ...table })),
    ...maintained.map((table): JobSpec => ({ kind: 'maintain', cron: maintainCron!, table })),
  ])
}

/**
 * What is named twice is one job: the second would only wait for the lease of the first.
 * @throws {FirnError} `FIRN_CONFIG_INVALID` (invalid) when the two differ.
 */
function withoutRepeats(jobs: readonly JobSpec[]): JobSpec[] {
  const known = new Map<string, JobSpec>()
  for (const job of jobs) {
    const name = nameOf(job)
    const first = known.get(name) ?? job
    known.set(name, first)
    if (JSON.stringify(first) === JSON.stringify(job)) continue
    throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `${name} is configured twice, and not in the same way`, {
      help: 'leave one of the two; a table reads several streams when "streams" names them',
    })
  }
  return [...known.values()]
}

type CompactTarget = Omit<Extract<JobSpec, { kind: 'compact' }>, 'kind' | 'cron'>

function tablesOf(config: Config, flags: RunFlags, streams: readonly string[]): CompactTarget[] {
  const { tables } = config.run.compact
  const dataset = flags.dataset ?? config.dataset
  if (flags.table === undefined && tables.length > 0) {
    return tables.map((each) => ({ table: each.table, dataset: each.dataset ?? dataset, streams: each.streams }))
  }
  const names = flags.table ?? (config.table === undefined ? [] : [config.table])
  return names.map((table) => ({ table, dataset, streams: streams.length === 0 ? undefined : streams }))
}
