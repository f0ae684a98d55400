/** `firn run`: the scheduler; `--once` does what is due now and ends. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { toJson } from '../render.ts'
import type { RunRecord } from '../runs.ts'
import type { JobSpec, RunFlags } from '../schedule.ts'
import { collectNames } from './names.ts'

interface Flags extends RunFlags {
  readonly once: boolean
  readonly dryRun: boolean
}

export function runCommand(ctx: CommandContext): Command {
  return new Command('run')
    .description('land and compact by schedule')
    .option('--once', 'do what is due now (land, then compact) and end', false)
    .option('--stream <names...>', 'streams to land', collectNames)
    .option('--table <names...>', 'tables to compact into', collectNames)
    .option('--dataset <name>', 'dataset of tables that do not exist yet')
    .option('--start <where>', 'first run of a stream: TRIM_HORIZON (default), LATEST, or a time')
    .option('--land-cron <cron>', 'when to land, UTC (default: every 5 minutes)')
    .option('--compact-cron <cron>', 'when to compact, UTC (default: 7 minutes past every hour)')
    .option('--dry-run', 'print the jobs; run none', false)
    .addHelpText('after', '\nExample:\n  $ firn run --once --stream MyStream --table news.articles --dataset articles')
    .action((flags: Flags) => run(ctx, flags))
}

async function run(ctx: CommandContext, flags: Flags): Promise<void> {
  const [{ planJobs, runForever, runOnce }, { jobRunner }] = await Promise.all([
    import('../schedule.ts'),
    import('../job-runner.ts'),
  ])
  const jobs = planJobs(ctx.config, flags)
  if (flags.dryRun) {
    ctx.print({ json: jobs, rows: jobs.map(jobRow) })
    return
  }
  const { clock, log, signal, config } = ctx
  const records: RunRecord[] = []
  const onRecord = (record: RunRecord, text: string): void => {
    if (flags.once && config.output === 'json') records.push(record)
    else void ctx.write(config.output === 'table' ? recordText(record, text) : `${toJson(record)}\n`)
  }
  const options = { jobs, runner: jobRunner(ctx), store: ctx.warehouse(), clock, log, signal, onRecord }
  if (!flags.once) {
    await runForever(options)
    return
  }
  const failures = await runOnce(options)
  if (config.output === 'json') ctx.print({ json: records })
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} jobs failed`)
}

const jobRow = (job: JobSpec): Record<string, unknown> => ({
  job: job.kind,
  subject: job.kind === 'land' ? job.stream : job.table,
  cron: job.cron,
  dataset: job.kind === 'land' ? undefined : job.dataset,
})

/** One heading line a run, then what the command of that name would have printed. */
function recordText(record: RunRecord, text: string): string {
  const head = `${record.job} ${record.subject}: ${record.outcome} in ${(record.duration_ms / 1000).toFixed(1)} s\n`
  return head + (record.error?.message ?? text).replaceAll(/^(?=.)/gm, '  ').replace(/\n*$/, '\n')
}
