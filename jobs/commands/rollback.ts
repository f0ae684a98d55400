/** `firn rollback <table>`: make an older state of the table the current one, as a new snapshot. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'
import type { RollbackPlan } from '../maintenance/rollback.ts'
import { plural } from '../render.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'
import { parsePoint } from './point.ts'

interface RollbackFlags extends ApprovalFlags {
  readonly to: string
  readonly reprocess: boolean
}

export function rollbackCommand(ctx: CommandContext): Command {
  const command = new Command('rollback')
    .description('make an older state of the table the current one, by a new snapshot')
    .argument('<table>', 'namespace.name')
    .requiredOption('--to <snapshot>', 'a snapshot id, a tag, or a time: the state to go back to')
    .option('--reprocess', 'compact the records that are undone again with the next run', false)
    .addHelpText(
      'after',
      '\nPositions stay, so nothing that is undone comes back, unless --reprocess asks for it; so does what was replayed.\n\nExample:\n  $ firn rollback news.articles --to 2026-01-31T12:00:00Z --reprocess --dry-run',
    )
    .action((name: string, flags: RollbackFlags) => rollback(ctx, name, flags))
  return addApproval(command)
}

async function rollback(ctx: CommandContext, name: string, flags: RollbackFlags): Promise<void> {
  const { planRollback, runRollback, isNoRollback } = await import('../maintenance/rollback.ts')
  const { clock, signal } = ctx
  const table = await openToWrite(ctx, name)
  const target = table.snapshotFor(parsePoint(table, flags.to, '--to'))
  if (target === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `${name} has no snapshot to go back to`)
  }
  const options = { store: ctx.warehouse(), table, tableName: name, signal }
  const plan = await planRollback(options, target, flags)
  const planned = {
    schema: 'firn.rollback/1',
    table: name,
    plan: planJson(plan, flags),
    text: isNoRollback(plan) ? nothingText(name, plan) : planText(name, plan, flags),
    nothingToDo: isNoRollback(plan),
    question: 'Go back?',
  }
  await approveAndRun(ctx, flags, planned, async (runId) => {
    const { snapshotId } = await runRollback({ ...options, runId, clock }, plan)
    const again = flags.reprocess ? `the records since then are compacted again by: firn compact ${name}\n` : ''
    return {
      result: { snapshot_id: String(snapshotId) },
      text: `${name} is as it was at snapshot ${target.snapshotId}; new snapshot ${snapshotId}\n${again}`,
    }
  })
}

const rowsOf = (files: readonly { readonly content: string; readonly recordCount: number }[]): number =>
  files.reduce((sum, { content, recordCount }) => sum + (content === 'data' ? recordCount : 0), 0)

function planJson(
  { target, current, restored, removed, positions, refused }: RollbackPlan,
  flags: RollbackFlags,
): object {
  return {
    to_snapshot_id: String(target.snapshotId),
    to_committed_at: new Date(target.timestampMillis).toISOString(),
    from_snapshot_id: String(current.snapshotId),
    restored: restored.map(({ file }) => file.filePath),
    removed: removed.map(({ filePath }) => filePath),
    rows_restored: rowsOf(restored.map(({ file }) => file)),
    rows_removed: rowsOf(removed),
    reprocess: flags.reprocess,
    positions,
    refused_undone: refused?.replayed ?? [],
    refused_again: refused?.takenBack ?? [],
  }
}

const nothingText = (table: string, { target }: RollbackPlan): string =>
  `nothing to do: ${table} holds the files of snapshot ${target.snapshotId}\n`

function planText(table: string, plan: RollbackPlan, { reprocess }: RollbackFlags): string {
  const { target, restored, removed, refused } = plan
  const when = new Date(target.timestampMillis).toISOString()
  const out = `${plural(removed.length, 'file')} (${plural(rowsOf(removed), 'row')})`
  const back = `${plural(restored.length, 'file')} (${plural(rowsOf(restored.map(({ file }) => file)), 'row')})`
  const records = reprocess
    ? 'records that were compacted since then are compacted again by the next run'
    : 'records that were compacted since then are not compacted again (--reprocess would)'
  const again = refused?.takenBack.length ?? 0
  const replays =
    again === 0 ? '' : `what was replayed since then counts as refused again: ${plural(again, 'object')}\n`
  return `${records}\n${replays}${table} would go back to snapshot ${target.snapshotId} (${when}): without ${out} of now, with ${back} of then\n`
}
