/** `firn delete <table> --where …`: remove rows, copy-on-write. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { formatBytes, formatCount, plural } from '../render.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'

interface DeleteFlags extends ApprovalFlags {
  readonly where: string
}

export function deleteCommand(ctx: CommandContext): Command {
  const command = new Command('delete')
    .description('remove the rows for which a filter is true; files with other rows are written anew without them')
    .argument('<table>', 'namespace.name')
    .requiredOption('--where <filter>', `like "author = 'Ada' and word_count < 10"`)
    .addHelpText(
      'after',
      `\nOlder snapshots still have the rows, until they expire.\n\nExample:\n  $ firn delete news.articles --where "article_id = 'a-17'" --dry-run`,
    )
    .action((name: string, flags: DeleteFlags) => deleteRows(ctx, name, flags))
  return addApproval(command)
}

async function deleteRows(ctx: CommandContext, name: string, flags: DeleteFlags): Promise<void> {
  const [{ parseWhere }, { manifestRecorder, runSummary }] = await Promise.all([
    import('../../table/index.ts'),
    import('../maintenance/record-manifest.ts'),
  ])
  const { signal } = ctx
  const table = await openToWrite(ctx, name)
  const where = parseWhere(flags.where, table.schemaFor())
  const scan = table.scan({ where })
  const files = (await scan.planFiles({ signal })).map(({ file }) => file)
  const rows = await scan.count({ signal })
  const bytes = files.reduce((sum, { fileSizeBytes }) => sum + fileSizeBytes, 0)
  const in_ = `${plural(files.length, 'file')} (${formatBytes(bytes)})`
  const planned = {
    schema: 'firn.delete/1',
    table: name,
    plan: {
      snapshot_id: scan.snapshot === undefined ? null : String(scan.snapshot.snapshotId),
      where: flags.where,
      rows,
      files: files.map(({ filePath }) => filePath),
      bytes,
    },
    text:
      rows === 0
        ? `nothing to do: no row of ${name} matches\n`
        : `would remove ${plural(rows, 'row')} of ${name} from at most ${in_}\n`,
    nothingToDo: rows === 0,
    question: 'Delete them?',
  }
  await approveAndRun(ctx, flags, planned, async (runId) => {
    const { metadata } = table
    const recorder = manifestRecorder({ store: ctx.warehouse(), tableName: name, runId, metadata, signal })
    const { snapshot } = await table.deleteWhere(where, {
      summary: runSummary(runId),
      beforeCommit: recorder,
      signal,
    })
    const count = (member: string): number => Number(snapshot?.summary[member] ?? 0)
    const result = {
      snapshot_id: snapshot === undefined ? null : String(snapshot.snapshotId),
      // planned anew: the files tell, which may hold rows that had been deleted before
      rows_removed:
        snapshot?.parentSnapshotId === scan.snapshot?.snapshotId
          ? rows
          : count('deleted-records') - count('added-records'),
      files_removed: count('deleted-data-files'),
      files_added: count('added-data-files'),
    }
    const gone = `${plural(result.files_removed, 'file')} out, ${formatCount(result.files_added)} in`
    return {
      result,
      text: `${name}: removed ${plural(result.rows_removed, 'row')} (${gone}), snapshot ${result.snapshot_id ?? '-'}\n`,
    }
  })
}
