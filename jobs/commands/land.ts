/** `firn land`: one landing run, from a Kinesis stream, from files or from objects that others staged. */
import { Command } from 'commander'
import type { LandBudget } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'
import type { LandTarget } from '../landing/landing.ts'
import { sizeArgument } from '../sizes.ts'
import { durationArgument, integerArgument } from '../times.ts'
import { exclusiveOptions } from './exclusive.ts'

interface LandFlags {
  readonly stream?: string
  readonly from?: readonly string[]
  readonly as?: string
  readonly start?: string
  readonly failOnDataLoss?: boolean
  readonly acceptGap?: boolean
  readonly maxRecords?: number
  readonly maxBytes?: number
  readonly maxDuration?: number
  readonly shardConcurrency?: number
  readonly dryRun: boolean
}

export function landCommand(ctx: CommandContext): Command {
  const command = new Command('land')
    .description('store the new records of a stream, of NDJSON files, or of objects that others staged')
    .option('--stream <name>', 'Kinesis data stream')
    .option(
      '--from <paths...>',
      'NDJSON files, also .gz and .zst, or s3:// prefixes of Firehose and others; landing twice adds nothing',
    )
    .option('--as <name>', 'staging name of the files (default: files) or objects (default: objects)')
    .option('--start <where>', 'where a new stream begins: TRIM_HORIZON (default), LATEST, or a time')
    .option('--fail-on-data-loss', 'a shard that lost records fails, instead of going on behind a recorded gap')
    .option('--accept-gap', 'record what was lost as gaps and go on, in this run')
    .option('--max-records <count>', 'end the run after this many records', integerArgument(1))
    .option('--max-bytes <size>', 'end the run after this much record data, like 512MiB', sizeArgument)
    .option('--max-duration <duration>', 'read for this long, like 10m', durationArgument)
    .option('--shard-concurrency <count>', 'shards read at a time, 1 to 64 (default: 8)', integerArgument(1, 64))
    .option('--dry-run', 'read, but store nothing', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ firn land --stream MyStream\n  $ firn land --from articles-*.ndjson.gz --as backfill\n  $ firn land --from s3://bucket/firehose/',
    )
    .action((flags: LandFlags) => land(ctx, flags))
  return exclusiveOptions(command, ['stream', 'start'], ['from', 'as'])
}

async function land(ctx: CommandContext, flags: LandFlags): Promise<void> {
  const [{ landingWork, landJson, landText, parseStart, runLanding }, { recordRun }, { dryRunStore }, { areObjects }] =
    await Promise.all([
      import('../landing/landing.ts'),
      import('../runs.ts'),
      import('../dry-run-store.ts'),
      import('../landing/objects.ts'),
    ])
  const target = targetOf(ctx, flags, { parseStart, areObjects })
  const { config, clock, log, signal } = ctx
  const { failOnDataLoss, acceptGap, shardConcurrency } = flags
  const asked = { budget: budgetOf(flags), failOnDataLoss, acceptGap, shardConcurrency }
  const landing = { target, config, clock, log, signal, ...asked }
  if (flags.dryRun) {
    const result = await runLanding({ store: dryRunStore(ctx.warehouse()), ...landing })
    ctx.print({ json: { ...landJson(result), dry_run: true }, text: landText(result, { dryRun: true }) })
    return
  }
  const store = ctx.warehouse()
  const subject = target.kind === 'stream' ? target.stream : target.as
  const run = { store, job: 'land', subject, clock, log, signal }
  const { result, text, error } = await recordRun(run, () => landingWork({ store, ...landing }))
  if (result === undefined) throw error
  ctx.print({ json: landJson(result), text })
}

const budgetOf = ({ maxRecords, maxBytes, maxDuration }: LandFlags): LandBudget => ({
  ...(maxRecords === undefined ? {} : { maxRecords }),
  ...(maxBytes === undefined ? {} : { maxBytes }),
  ...(maxDuration === undefined ? {} : { maxMillis: maxDuration }),
})

function targetOf(
  ctx: CommandContext,
  flags: LandFlags,
  {
    parseStart,
    areObjects,
  }: Pick<typeof import('../landing/landing.ts'), 'parseStart'> &
    Pick<typeof import('../landing/objects.ts'), 'areObjects'>,
): LandTarget {
  if (flags.from !== undefined && areObjects(flags.from))
    return { kind: 'objects', urls: flags.from, as: flags.as ?? 'objects' }
  if (flags.from !== undefined) return { kind: 'files', paths: flags.from, as: flags.as ?? 'files' }
  const stream = flags.stream ?? ctx.config.stream
  if (stream === undefined) {
    throw new FirnError('invalid', 'FIRN_USAGE', 'land needs to know what to read', {
      help: 'add --stream NAME for a Kinesis stream, or --from FILE… for NDJSON files and s3:// prefixes',
    })
  }
  const start = parseStart(flags.start ?? ctx.config.run.land.start ?? 'TRIM_HORIZON')
  return { kind: 'stream', stream, start, startAsked: flags.start !== undefined }
}
