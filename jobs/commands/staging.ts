/** `firn staging prune|consumers|forget`: what is staged, and for whom it is kept. */
import { Command } from 'commander'
import type { StreamIncarnation } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import type { CommandContext } from '../context.ts'
import { plural } from '../render.ts'
import { durationArgument } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun } from './approve.ts'
import { printsRows } from './formats.ts'
import { collectNames } from './names.ts'

interface PruneFlags extends ApprovalFlags {
  readonly stream?: readonly string[]
  readonly olderThan?: number
}

export function stagingCommand(ctx: CommandContext): Command {
  return new Command('staging')
    .description('what was landed and is kept for tables: prune it, and see who needs it')
    .addCommand(pruneCommand(ctx))
    .addCommand(consumersCommand(ctx))
    .addCommand(forgetCommand(ctx))
}

function pruneCommand(ctx: CommandContext): Command {
  const command = new Command('prune')
    .description('delete chunks that every table has consumed, and that none can go back to')
    .option('--stream <name>', 'only of this stream, once for each; also <stream>@<created>', collectNames)
    .option('--older-than <duration>', 'only what is older (default, and the least: 3d)', durationArgument)
    .addHelpText(
      'after',
      '\nWhat a snapshot needs that rollback --reprocess can go back to stays until it expires.\n\nExample:\n  $ firn staging prune --dry-run',
    )
    .action((flags: PruneFlags) => prune(ctx, flags))
  return addApproval(command)
}

async function prune(ctx: CommandContext, flags: PruneFlags): Promise<void> {
  const [{ preparePrune }, { shardLister }] = await Promise.all([
    import('../maintenance/prune/report.ts'),
    import('../maintenance/shard-lister.ts'),
  ])
  const { clock, config, log, signal } = ctx
  const { stream: streams, olderThan: minAgeMillis } = flags
  const prepared = await preparePrune(
    {
      store: ctx.warehouse(),
      catalog: ctx.catalog(),
      clock,
      streams,
      minAgeMillis,
      listShards: shardLister(config, clock),
      onProgress: (progress) => log.info({ ...progress }, 'pruning'),
      signal,
    },
    streams === undefined ? 'every stream' : streams.join(', '),
  )
  await approveAndRun(ctx, flags, prepared, prepared.run)
}

function consumersCommand(ctx: CommandContext): Command {
  const command = new Command('consumers')
    .description('tables that read the streams: what they have not consumed is not pruned')
    .option('--stream <name>', 'only of this stream, once for each', collectNames)
    .addHelpText('after', '\nExample:\n  $ firn staging consumers')
    .action((flags: { readonly stream?: readonly string[] }) => consumers(ctx, flags.stream))
  return printsRows(command)
}

async function consumers(ctx: CommandContext, streams: readonly string[] | undefined): Promise<void> {
  const { listConsumers } = await import('../../ingest/index.ts')
  const [store, { signal }] = [ctx.warehouse(), ctx]
  const rows: Record<string, unknown>[] = []
  for (const incarnation of await incarnationsOf(store, streams, signal)) {
    for (const { table, consumer } of await listConsumers(store, incarnation, { signal })) {
      const stream = nameOf(incarnation)
      if (consumer instanceof FirnError) rows.push({ stream, table, problem: consumer.message })
      else {
        const { tableUuid: table_uuid, catalog, location } = consumer
        rows.push({ stream, table, catalog, location, table_uuid })
      }
    }
  }
  ctx.print({ json: rows, rows })
}

function forgetCommand(ctx: CommandContext): Command {
  const command = new Command('forget')
    .description('no longer keep anything of a stream for a table, e.g. one that was dropped')
    .argument('<stream>', 'all of its incarnations, or one: <stream>@<created>')
    .argument('<table>', 'namespace.name, as it is listed by: firn staging consumers')
    .addHelpText(
      'after',
      '\nA table that goes on reading registers itself again with its next run.\n\nExample:\n  $ firn staging forget MyStream news.articles --yes',
    )
    .action((stream: string, table: string, flags: ApprovalFlags) => forget(ctx, stream, table, flags))
  return addApproval(command)
}

async function forget(ctx: CommandContext, stream: string, table: string, flags: ApprovalFlags): Promise<void> {
  const { deregisterConsumer, listConsumers } = await import('../../ingest/index.ts')
  const [store, { signal }] = [ctx.warehouse(), ctx]
  const from: StreamIncarnation[] = []
  for (const incarnation of await incarnationsOf(store, [stream], signal)) {
    const entries = await listConsumers(store, incarnation, { signal })
    if (entries.some((entry) => entry.table === table)) from.push(incarnation)
  }
  const names = from.map(nameOf)
  const planned = {
    schema: 'firn.staging-forget/1',
    table,
    plan: { streams: names },
    text:
      from.length === 0
        ? `nothing to do: ${table} is not registered with ${stream}\n`
        : `would keep nothing of ${names.join(', ')} for ${table} any more\n`,
    nothingToDo: from.length === 0,
    question: 'Forget it?',
  }
  await approveAndRun(ctx, flags, planned, async () => {
    for (const incarnation of from) await deregisterConsumer(store, incarnation, table, { signal })
    return { result: { streams: names }, text: `${table} is forgotten by ${plural(from.length, 'stream')}\n` }
  })
}

const nameOf = ({ stream, created }: StreamIncarnation): string => `${stream}@${created}`

async function incarnationsOf(
  store: ObjectStore,
  streams: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<readonly StreamIncarnation[]> {
  const { chosenIncarnations } = await import('../maintenance/prune/run.ts')
  return await chosenIncarnations(store, streams, { signal })
}
