/** `firn tag <table> <name>`: a name for a snapshot, which then stays readable until the tag goes. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { durationArgument, formatDuration } from '../times.ts'
import { addApproval, openToWrite } from './approve.ts'
import { checkOneAction, deleteRef, existingRef, type RefFlags, snapshotToName } from './refs.ts'
import { snapshotArgument } from './selectors.ts'

export function tagCommand(ctx: CommandContext): Command {
  const command = new Command('tag')
    .description('name a snapshot, e.g. the one a model was trained on')
    .argument('<table>', 'namespace.name')
    .argument('<name>', 'the tag')
    .option('--snapshot <id>', 'the snapshot (default: the current one)', snapshotArgument)
    .option('--max-age <duration>', 'the tag goes when it is older, like 90d (default: never)', durationArgument)
    .option('--update', 'give an existing tag this --max-age (none: for ever)', false)
    .option('--delete', 'remove the tag', false)
    .addHelpText('after', '\nExample:\n  $ firn tag news.articles training-2026-01 --max-age 365d')
    .action((table: string, name: string, flags: RefFlags) => tag(ctx, command, table, name, flags))
  return addApproval(command)
}

async function tag(
  ctx: CommandContext,
  command: Command,
  tableName: string,
  name: string,
  flags: RefFlags,
): Promise<void> {
  checkOneAction(command, ['update', 'delete', 'snapshot'])
  const { signal } = ctx
  const table = await openToWrite(ctx, tableName)
  if (flags.delete) return await deleteRef(ctx, table, tableName, 'tag', name, flags)
  const snapshotId = flags.update
    ? existingRef(table, tableName, 'tag', name).snapshotId
    : snapshotToName(table, tableName, 'tag', flags.snapshot)
  const json = {
    schema: 'firn.tag/1',
    table: tableName,
    tag: name,
    snapshot_id: snapshotId,
    max_ref_age_ms: flags.maxAge ?? null,
  }
  const kept =
    flags.maxAge === undefined ? 'for ever' : `for ${formatDuration(flags.maxAge)} from its snapshot's commit`
  const sentence = flags.update
    ? `tag ${name} of ${tableName} ${kept}`
    : `snapshot ${snapshotId} of ${tableName} as ${name}`
  if (flags.dryRun) {
    const text = `would ${flags.update ? 'keep' : 'tag'} ${sentence}`
    ctx.print({ json: { ...json, dry_run: true }, text })
    return
  }
  if (flags.update) await table.setRefRetention(name, { maxRefAgeMillis: flags.maxAge ?? null }, { signal })
  else {
    await table.createTag(name, snapshotId, {
      signal,
      ...(flags.maxAge === undefined ? {} : { maxRefAgeMillis: flags.maxAge }),
    })
  }
  ctx.print({ json, text: `${flags.update ? 'keeps' : 'tagged'} ${sentence}` })
}
