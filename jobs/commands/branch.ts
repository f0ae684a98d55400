/** `firn branch <table> <name>`: a line of snapshots beside main: made, moved forward, given a retention, removed. */
import { Command } from 'commander'
import type { RefRetention, Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { durationArgument, integerArgument } from '../times.ts'
import { addApproval, openToWrite } from './approve.ts'
import { checkOneAction, deleteRef, existingRef, type RefFlags, snapshotToName } from './refs.ts'
import { snapshotArgument } from './selectors.ts'

interface BranchFlags extends RefFlags {
  readonly maxSnapshotAge?: number
  readonly minSnapshots?: number
  readonly fastForward?: string
}

export function branchCommand(ctx: CommandContext): Command {
  const command = new Command('branch')
    .description('a line of snapshots beside main')
    .argument('<table>', 'namespace.name')
    .argument('<name>', 'the branch; main can be moved forward and given a retention')
    .option('--snapshot <id>', 'where a new branch begins (default: the current snapshot)', snapshotArgument)
    .option('--fast-forward <ref>', 'move the branch to this branch, tag or snapshot id, which stands on its newest')
    .option('--max-age <duration>', 'the branch goes when its newest snapshot is older, like 90d', durationArgument)
    .option('--max-snapshot-age <duration>', 'its snapshots expire when they are older', durationArgument)
    .option('--min-snapshots <count>', 'so many of its newest stay all the same', integerArgument(1))
    .option('--update', 'give an existing branch exactly this retention', false)
    .option('--delete', 'remove the branch', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ firn branch news.articles audit --max-age 30d\n  $ firn branch news.articles main --fast-forward audit',
    )
    .action((table: string, name: string, flags: BranchFlags) => branch(ctx, command, table, name, flags))
  return addApproval(command)
}

async function branch(
  ctx: CommandContext,
  command: Command,
  tableName: string,
  name: string,
  flags: BranchFlags,
): Promise<void> {
  checkOneAction(command, ['update', 'delete', 'snapshot', 'fastForward'])
  const { signal } = ctx
  const table = await openToWrite(ctx, tableName)
  if (flags.delete) return await deleteRef(ctx, table, tableName, 'branch', name, flags)
  const [before, text] = sentenceOf(table, tableName, name, flags)
  const json = { schema: 'firn.branch/1', table: tableName, branch: name }
  const retention = (ref: RefRetention | undefined): object => ({
    max_ref_age_ms: ref?.maxRefAgeMillis ?? null,
    max_snapshot_age_ms: ref?.maxSnapshotAgeMillis ?? null,
    min_snapshots_to_keep: ref?.minSnapshotsToKeep ?? null,
  })
  if (flags.dryRun) {
    ctx.print({
      json: { ...json, snapshot_id: before, ...retention(retentionOf(flags)), dry_run: true },
      text: `would ${text}`,
    })
    return
  }
  const after = await carryOut(table, name, before, flags, signal)
  const ref = after.metadata.refs[name]
  ctx.print({
    json: { ...json, snapshot_id: ref?.snapshotId ?? null, ...retention(ref) },
    text: `${name} of ${tableName}: snapshot ${ref?.snapshotId ?? '-'}`,
  })
}

type Id = ReturnType<typeof snapshotToName>

function sentenceOf(table: Table, tableName: string, name: string, flags: BranchFlags): readonly [Id, string] {
  if (flags.fastForward !== undefined) {
    const ref = existingRef(table, tableName, 'branch', name)
    return [ref.snapshotId, `move branch ${name} of ${tableName} to ${flags.fastForward}`]
  }
  if (flags.update) {
    const ref = existingRef(table, tableName, 'branch', name)
    return [ref.snapshotId, `change the retention of branch ${name} of ${tableName}`]
  }
  const id = snapshotToName(table, tableName, 'branch', flags.snapshot)
  return [id, `make branch ${name} of ${tableName} at snapshot ${id}`]
}

/** `null`: none, so that an update replaces all three. */
function retentionOf({ maxAge, maxSnapshotAge, minSnapshots }: BranchFlags): RefRetention {
  return {
    maxRefAgeMillis: maxAge ?? null,
    maxSnapshotAgeMillis: maxSnapshotAge ?? null,
    minSnapshotsToKeep: minSnapshots ?? null,
  }
}

async function carryOut(
  table: Table,
  name: string,
  snapshotId: Id,
  flags: BranchFlags,
  signal: AbortSignal,
): Promise<Table> {
  const { fastForward } = flags
  if (fastForward !== undefined) {
    const isId = /^\d{1,19}$/.test(fastForward) && !Object.hasOwn(table.metadata.refs, fastForward)
    return await table.fastForward(name, isId ? snapshotArgument(fastForward) : fastForward, { signal })
  }
  if (flags.update) return await table.setRefRetention(name, retentionOf(flags), { signal })
  return await table.createBranch(name, snapshotId, { ...retentionOf(flags), signal })
}
