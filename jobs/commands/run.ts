/** `firn run`: the scheduler; `--once` does what is due now and ends. */
import { hostname } from 'node:os'
import { Command } from 'commander'
import { newRunId } from '../../table/clock.ts'
import type { CommandContext } from '../context.ts'
import { toJson } from '../render.ts'
import type { RunRecord } from '../runs.ts'
import type { JobSpec, RunFlags } from '../schedule.ts'
import { Interrupted } from '../signals.ts'
import { collectNames } from './names.ts'
import { addWorkOptions, type WorkFlags } from './work-flags.ts'

interface Flags extends RunFlags, WorkFlags {
  readonly once: boolean
  readonly listen?: string
  readonly dryRun: boolean
}

const HELP = `
Each job runs under a lease, so that any number of hosts may run the same command: one of them does a slot of the
schedule, the others stand by. Runs that were skipped for that reason are no failure.

Examples:
  $ firn run --stream MyStream --table news.articles
  $ firn run --once --stream MyStream --table news.articles --dataset articles
  $ firn run --once land
  $ firn run --once compact news.articles`

export function runCommand(ctx: CommandContext): Command {
  const command = new Command('run')
    .description('land, compact and maintain by schedule')
    .argument('[job]', 'only land, compact or maintain')
    .argument('[names...]', 'only these streams or tables')
    .option('--once', 'do what is due now, or the job that is named, and end', false)
    .option('--stream <names...>', 'streams to land', collectNames)
    .option('--table <names...>', 'tables to compact into', collectNames)
    .option('--dataset <name>', 'dataset of tables that do not exist yet')
    .option('--start <where>', 'first run of a stream: TRIM_HORIZON (default), LATEST, or a time')
    .option('--land-cron <cron>', 'when to land, UTC (default: every 5 minutes)')
    .option('--compact-cron <cron>', 'when to compact, UTC (default: 7 minutes past every hour)')
    .option('--maintain-cron <cron>', 'when to maintain, UTC (default: never)')
    .option('--lease-ttl <time>', 'how long a host that is gone keeps others from its jobs (default: 60s)')
    .option('--listen <address>', 'serve /metrics, /healthz, /readyz and /status there, like 127.0.0.1:9464')
    .option('--dry-run', 'print the jobs; run none', false)
  return addWorkOptions(command)
    .addHelpText('after', HELP)
    .action((job: string | undefined, names: readonly string[], flags: Flags) => run(ctx, job, names, flags))
}

async function run(
  ctx: CommandContext,
  kind: string | undefined,
  names: readonly string[],
  flags: Flags,
): Promise<void> {
  const [{ createSchedulerState, leaseTtlOf, planJobs, runForever, runOnce }, { jobRunner }] = await Promise.all([
    import('../schedule.ts'),
    import('../job-runner.ts'),
  ])
  const jobs = planJobs(ctx.config, flags, { kind, names })
  const leaseTtlMillis = leaseTtlOf(ctx.config, flags)
  if (flags.dryRun) {
    ctx.print({ json: jobs, rows: jobs.map(jobRow) })
    return
  }
  const { clock, log, signal, config } = ctx
  const records: RunRecord[] = []
  const onRecord = (record: RunRecord, text: string): void => {
    if (record.skipped !== undefined) ctx.telemetry.skipped(record.skipped)
    if (flags.once && config.output === 'json') records.push(record)
    // of the scheduler's ticks most may be skipped: whoever wants to know asks for its status
    else if (record.outcome === 'skipped' && !flags.once) logSkipped(ctx, record)
    else void ctx.write(config.output === 'table' ? recordText(record, text) : `${toJson(record)}\n`)
  }
  const state = createSchedulerState(jobs, clock, `${hostname()}-${process.pid}-${newRunId(clock)}`)
  const listen = flags.listen ?? config.listen
  if (listen !== undefined) await ctx.telemetry.serve(listen, () => ({ scheduler: state.snapshot() }))
  const store = ctx.warehouse()
  const options = { jobs, runner: jobRunner(ctx, flags), store, clock, log, signal, onRecord, state, leaseTtlMillis }
  if (!flags.once) {
    const { interrupted } = await runForever(options)
    if (interrupted) signal.throwIfAborted()
    if (signal.reason instanceof Interrupted) signal.reason.endedInOrder()
    return
  }
  const failures = await runOnce({ ...options, force: kind !== undefined }).finally(() => {
    // also after a signal: what was done before is done
    if (config.output === 'json') ctx.print({ json: records })
  })
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} jobs failed`)
}

function logSkipped({ log }: CommandContext, { job, subject, skipped }: RunRecord): void {
  const detail = { job: `${job} ${subject}`, reason: skipped }
  if (skipped === 'overlap') log.warn(detail, 'skipped: the previous run is still going')
  else log.debug(detail, 'skipped')
}

const jobRow = (job: JobSpec): Record<string, unknown> => ({
  job: job.kind,
  subject: job.kind === 'land' ? job.stream : job.table,
  cron: job.cron,
  dataset: job.kind === 'compact' ? job.dataset : undefined,
})

/** One heading line a run, then what the command of that name would have printed. */
function recordText(record: RunRecord, text: string): string {
  const head = `${record.job} ${record.subject}: ${record.outcome} in ${(record.duration_ms / 1000).toFixed(1)} s\n`
  return head + (record.error?.message ?? text).replaceAll(/^(?=.)/gm, '  ').replace(/\n*$/, '\n')
}
