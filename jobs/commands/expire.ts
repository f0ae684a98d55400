/** `firn expire <table>`: let old snapshots go, and free what only they led to. */
import { Command, InvalidArgumentError } from 'commander'
import { epochMillis, type SnapshotId } from '../../table/ids.ts'
import type { CommandContext } from '../context.ts'
import { durationArgument, integerArgument, parseTime } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'
import { exclusiveOptions } from './exclusive.ts'
import { snapshotArgument } from './selectors.ts'

interface ExpireFlags extends ApprovalFlags {
  readonly olderThan?: Age
  readonly retainLast?: number
  readonly snapshot?: readonly SnapshotId[]
  readonly grace?: number
  readonly cleanMetadata: boolean
}

/** Counted from now, or a time. */
type Age = { readonly millis: number } | { readonly at: number }

export function expireCommand(ctx: CommandContext): Command {
  const command = new Command('expire')
    .description('remove old snapshots, and the files that only they led to')
    .argument('<table>', 'namespace.name')
    .option(
      '--older-than <age>',
      "like 7d, or a time (default: the table's history.expire.max-snapshot-age-ms, 5d)",
      ageArgument,
    )
    .option(
      '--retain-last <count>',
      "snapshots that each branch keeps (default: the table's history.expire.min-snapshots-to-keep, 1)",
      integerArgument(1),
    )
    .option('--snapshot <id>', 'exactly this snapshot, once for each', collectSnapshots)
    .option('--grace <duration>', 'readers keep their files for so long (default: 1m)', graceArgument)
    .option('--clean-metadata', 'also drop schemas and partition specs that no snapshot uses', false)
    .addHelpText(
      'after',
      '\nSnapshots that a branch or a tag names stay.\n\nExample:\n  $ firn expire news.articles --older-than 30d --retain-last 10 --dry-run',
    )
    .action((name: string, flags: ExpireFlags) => expire(ctx, name, flags))
  return addApproval(exclusiveOptions(command, ['snapshot'], ['olderThan', 'retainLast']))
}

async function expire(ctx: CommandContext, name: string, flags: ExpireFlags): Promise<void> {
  const { prepareExpire } = await import('../maintenance/expire.ts')
  const { clock, signal, log } = ctx
  const table = await openToWrite(ctx, name)
  const { olderThan, retainLast, snapshot: snapshotIds, cleanMetadata, grace: graceMillis } = flags
  const prepared = await prepareExpire(
    { store: ctx.warehouse(), table, tableName: name, clock, log, signal },
    {
      olderThan:
        olderThan === undefined
          ? undefined
          : epochMillis('at' in olderThan ? olderThan.at : clock.nowMillis() - olderThan.millis),
      retainLast,
      snapshotIds,
      cleanMetadata,
      graceMillis,
      // it reads every manifest: only where somebody looks at it
      preview: flags.dryRun || !flags.yes,
    },
  )
  await approveAndRun(ctx, flags, prepared, prepared.run)
}

function ageArgument(text: string): Age {
  const at = parseTime(text)
  if (at !== undefined) return { at }
  try {
    return { millis: durationArgument(text) }
  } catch {
    throw new InvalidArgumentError('Expected an age like 7d, or a time like 2026-01-31T12:00:00Z.')
  }
}

const graceArgument = (text: string): number => (/^0[smhd]?$/.test(text) ? 0 : durationArgument(text))

function collectSnapshots(text: string, before: readonly SnapshotId[] = []): readonly SnapshotId[] {
  return [...before, ...text.split(',').map((id) => snapshotArgument(id.trim()))]
}
