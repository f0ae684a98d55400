/** `firn tag <table> <name>`: a name for a snapshot, which then stays readable until the tag goes. */
import { Command } from 'commander'
import type { SnapshotId } from '../../table/ids.ts'
import type { CommandContext } from '../context.ts'
import { durationArgument } from '../times.ts'
import { snapshotArgument } from './selectors.ts'

interface TagFlags {
  readonly snapshot?: SnapshotId
  readonly maxAge?: number
  readonly dryRun: boolean
}

export function tagCommand(ctx: CommandContext): Command {
  return new Command('tag')
    .description('name a snapshot, e.g. the one a model was trained on')
    .argument('<table>', 'namespace.name')
    .argument('<name>', 'the tag')
    .option('--snapshot <id>', 'the snapshot (default: the current one)', snapshotArgument)
    .option('--max-age <duration>', 'the tag goes when it is older, like 90d (default: never)', durationArgument)
    .option('--dry-run', 'print what would be tagged; change nothing', false)
    .addHelpText('after', '\nExample:\n  $ firn tag news.articles training-2026-01 --max-age 365d')
    .action((table: string, name: string, flags: TagFlags) => tag(ctx, table, name, flags))
}

async function tag(ctx: CommandContext, tableName: string, name: string, flags: TagFlags): Promise<void> {
  const { FirnError } = await import('../../table/errors.ts')
  const table = await ctx.openTable(tableName)
  const snapshot = table.snapshotFor(flags.snapshot === undefined ? {} : { snapshotId: flags.snapshot })
  if (snapshot === undefined) {
    throw new FirnError('invalid', 'FIRN_TABLE_EMPTY', `${tableName} has no snapshot to tag`, {
      help: `compact records into it first: firn compact ${tableName}`,
    })
  }
  const json = {
    schema: 'firn.tag/1',
    table: tableName,
    tag: name,
    snapshot_id: snapshot.snapshotId,
    max_ref_age_ms: flags.maxAge ?? null,
  }
  if (flags.dryRun) {
    ctx.print({
      json: { ...json, dry_run: true },
      text: `would tag snapshot ${snapshot.snapshotId} of ${tableName} as ${name}`,
    })
    return
  }
  await table.createTag(name, snapshot.snapshotId, {
    signal: ctx.signal,
    ...(flags.maxAge === undefined ? {} : { maxRefAgeMillis: flags.maxAge }),
  })
  ctx.print({ json, text: `tagged snapshot ${snapshot.snapshotId} of ${tableName} as ${name}` })
}
