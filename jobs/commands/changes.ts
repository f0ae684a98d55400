/** `firn changes <table>`: which files each snapshot added and removed. */
import { Command } from 'commander'
import type { DataFile, SnapshotChange } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { type Row, renderTable } from '../render.ts'
import { printsRows } from './formats.ts'
import { parsePoint, pointId } from './point.ts'

interface ChangesFlags {
  readonly from?: string
  readonly to?: string
}

export function changesCommand(ctx: CommandContext): Command {
  return printsRows(new Command('changes'))
    .description('the files that each snapshot added and removed, oldest first')
    .argument('<table>', 'namespace.name, or the URL of a table')
    .option('--from <snapshot>', 'after this one: a snapshot id, a tag, or a time (default: the oldest there is)')
    .option('--to <snapshot>', 'up to this one (default: the current one)')
    .addHelpText('after', '\nExample:\n  $ firn changes news.articles --from training-2026-01 --output jsonl')
    .action((name: string, flags: ChangesFlags) => changes(ctx, name, flags))
}

async function changes(ctx: CommandContext, name: string, { from, to }: ChangesFlags): Promise<void> {
  const table = await ctx.openTable(name)
  const { signal } = ctx
  const start = from === undefined ? undefined : pointId(table, from, '--from')
  const end = to === undefined ? {} : parsePoint(table, to, '--to')
  const rows: Row[] = []
  for await (const change of table.changes(start, end, { signal })) {
    for (const file of change.added) rows.push(rowOf(change, 'added', file))
    for (const file of change.removed) rows.push(rowOf(change, 'removed', file))
  }
  const shown = rows.map(({ file_path, committed_at: _at, ...row }) => ({
    ...row,
    file: String(file_path).split('/').at(-1),
  }))
  ctx.print({ json: rows, rows, text: renderTable(shown, { color: ctx.terminal, maxCellChars: 90 }) })
}

function rowOf({ snapshot, operation }: SnapshotChange, change: string, file: DataFile): Row {
  return {
    snapshot_id: snapshot.snapshotId,
    committed_at: new Date(snapshot.timestampMillis).toISOString(),
    operation,
    change,
    content: file.content,
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeBytes,
    file_path: file.filePath,
  }
}
