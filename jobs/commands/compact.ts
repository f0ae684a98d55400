/** `firn compact <table>`: one compaction run, from staging to one snapshot. */
import { Command, InvalidArgumentError } from 'commander'
import { newRunId } from '../../table/clock.ts'
import type { CompactionPreview } from '../compaction/index.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, plural } from '../render.ts'
import { collectNames } from './names.ts'
import { addWorkOptions, type WorkFlags } from './work-flags.ts'

interface CompactFlags extends WorkFlags {
  readonly stream?: readonly string[]
  readonly dataset?: string
  readonly maxBadRatio?: number
  readonly acceptClock: boolean
  readonly dryRun: boolean
}

export function compactCommand(ctx: CommandContext): Command {
  const command = new Command('compact')
    .description('turn what is staged into rows of a table: one run, one snapshot')
    .argument('<table>', 'namespace.name; created when it does not exist')
    .option(
      '--stream <name>',
      'stream to read, once for each (default: those that the table read before)',
      collectNames,
    )
    .option('--dataset <name>', 'what to create the table from: a name or a file (default: articles)')
    .option(
      '--max-bad-ratio <share>',
      'fail when more than this share of the records is bad (default: 0.05)',
      parseShare,
    )
    .option('--accept-clock', 'go on after a run that was made with a clock far ahead', false)
    .option('--dry-run', 'print what would be read; change nothing', false)
  return addWorkOptions(command)
    .addHelpText('after', '\nExample:\n  $ firn compact news.articles --stream MyStream')
    .action((table: string, flags: CompactFlags) => run(ctx, table, flags))
}

async function run(ctx: CommandContext, table: string, flags: CompactFlags): Promise<void> {
  const [{ compactionWork, previewCompaction }, { articles, resolveDataset }, { workOf }, { recordRun }] =
    await Promise.all([
      import('../compaction/index.ts'),
      import('../datasets/index.ts'),
      import('../work.ts'),
      import('../runs.ts'),
    ])
  const { clock, config, log, signal } = ctx
  const store = ctx.warehouse()
  const named = flags.dataset ?? config.dataset
  const options = {
    store,
    catalog: ctx.catalog(),
    table,
    dataset: named === undefined ? undefined : await resolveDataset(named, { signal }),
    fallbackDataset: articles,
    streams: flags.stream,
    clock,
    maxBadRatio: flags.maxBadRatio ?? config.maxBadRatio,
    acceptClock: flags.acceptClock,
    log,
    signal,
  }
  if (flags.dryRun) {
    const { nothingToDo, unreadText } = await import('../compaction/report.ts')
    const preview = await previewCompaction(options)
    const { plan, streams, unreadStreams } = preview
    const what = plan.nothingToDo ? `dry run, ${nothingToDo(table, streams)}` : planText(table, plan)
    ctx.print({ json: planJson(table, preview), text: what + unreadText(unreadStreams) })
    return
  }
  const work = await workOf(ctx, flags)
  const runId = newRunId(clock)
  const record = { store, job: 'compact', subject: table, clock, log, signal, runId }
  const { result, text, error } = await recordRun(record, (begun) =>
    compactionWork({ ...options, ...work, onBegin: begun, runId }),
  )
  if (result === undefined) throw error
  ctx.print({ json: result, text })
}

function planJson(table: string, { plan, streams, unreadStreams }: CompactionPreview): Record<string, unknown> {
  return {
    schema: 'firn.compact/1',
    dry_run: true,
    table,
    nothing_to_do: plan.nothingToDo,
    inputs: plan.inputs.map(({ stream, created, shardId, from, to, chunks }) => ({
      stream: `${stream}@${created}`,
      shard_id: shardId,
      from,
      to,
      chunks: chunks.length,
      bytes: bytesOf(chunks),
    })),
    positions: plan.positions,
    chunks_left: plan.chunksLeft,
    streams,
    unread_streams: unreadStreams,
  }
}

const bytesOf = (chunks: readonly { readonly sizeBytes: number }[]): number =>
  chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0)

function planText(table: string, plan: CompactionPreview['plan']): string {
  const chunks = plan.inputs.flatMap((input) => input.chunks)
  const what = `${plural(chunks.length, 'chunk')} (${formatBytes(bytesOf(chunks))}) of ${plural(plan.inputs.length, 'shard')}`
  return `dry run, nothing changed: would read ${what} into ${table}\n`
}

/** `0.05` */
function parseShare(text: string): number {
  const share = Number(text)
  if (text.trim() === '' || !(share >= 0 && share <= 1))
    throw new InvalidArgumentError('Expected a share from 0 to 1, like 0.05.')
  return share
}
