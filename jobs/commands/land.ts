/** `firn land`: one landing run, from a Kinesis stream or from files. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'
import type { LandTarget } from '../landing.ts'
import { exclusiveOptions } from './exclusive.ts'

interface LandFlags {
  readonly stream?: string
  readonly from?: readonly string[]
  readonly as?: string
  readonly start?: string
  readonly dryRun: boolean
}

export function landCommand(ctx: CommandContext): Command {
  const command = new Command('land')
    .description('store the new records of a stream, or of NDJSON files, in staging')
    .option('--stream <name>', 'Kinesis data stream')
    .option('--from <paths...>', 'NDJSON files, also .gz and .zst; landing a file twice adds nothing')
    .option('--as <name>', 'staging name of the files (default: files)')
    .option('--start <where>', 'where a new stream begins: TRIM_HORIZON (default), LATEST, or a time')
    .option('--dry-run', 'read, but store nothing', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ firn land --stream MyStream\n  $ firn land --from articles-*.ndjson.gz --as backfill',
    )
    .action((flags: LandFlags) => land(ctx, flags))
  return exclusiveOptions(command, ['stream', 'start'], ['from', 'as'])
}

async function land(ctx: CommandContext, flags: LandFlags): Promise<void> {
  const [{ landingWork, landJson, landText, parseStart, runLanding }, { recordRun }, { dryRunStore }] =
    await Promise.all([import('../landing.ts'), import('../runs.ts'), import('../dry-run-store.ts')])
  const target = targetOf(ctx, flags, parseStart)
  const { config, clock, log, signal } = ctx
  if (flags.dryRun) {
    const result = await runLanding({ store: dryRunStore(ctx.warehouse()), target, config, clock, log, signal })
    ctx.print({ json: { ...landJson(result), dry_run: true }, text: `dry run, nothing stored: ${landText(result)}` })
    return
  }
  const store = ctx.warehouse()
  const subject = target.kind === 'stream' ? target.stream : target.as
  const run = { store, job: 'land', subject, clock, log, signal }
  const { result, text, error } = await recordRun(run, () => landingWork({ store, target, config, clock, log, signal }))
  if (result === undefined) throw error
  ctx.print({ json: landJson(result), text })
}

function targetOf(
  ctx: CommandContext,
  flags: LandFlags,
  parseStart: typeof import('../landing.ts').parseStart,
): LandTarget {
  if (flags.from !== undefined) return { kind: 'files', paths: flags.from, as: flags.as ?? 'files' }
  const stream = flags.stream ?? ctx.config.stream
  if (stream === undefined) {
    throw new FirnError('invalid', 'FIRN_USAGE', 'land needs to know what to read', {
      help: 'add --stream NAME for a Kinesis stream, or --from FILE… for NDJSON files',
    })
  }
  const start = parseStart(flags.start ?? ctx.config.run.land.start ?? 'TRIM_HORIZON')
  return { kind: 'stream', stream, start, startAsked: flags.start !== undefined }
}
