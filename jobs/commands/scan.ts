/** `firn scan <table>`: rows of a snapshot, streamed. */
import { Command } from 'commander'
import type { TableScan } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { csvHeader, csvLine, renderTable, toJson, toJsonLines } from '../render.ts'
import { integerArgument } from '../times.ts'
import { printsBatches } from './formats.ts'
import { splitNames } from './names.ts'
import { pointId } from './point.ts'
import { addSelectors, type SelectorOptions, selectorOf } from './selectors.ts'

interface ScanFlags extends SelectorOptions {
  readonly columns?: readonly string[]
  readonly where?: string
  readonly limit?: number
  readonly fromSnapshot?: string
  readonly count?: boolean
}

export function scanCommand(ctx: CommandContext): Command {
  const command = new Command('scan')
    .description('print the rows of a table, as of now or of any snapshot')
    .argument('<table>', 'namespace.name, or the URL of a table')
  return addSelectors(printsBatches(command))
    .option('--columns <names>', 'comma-separated columns', splitNames)
    .option('--where <filter>', `like "word_count > 100 and author = 'Ada'"`)
    .option('--from-snapshot <snapshot>', 'only rows appended after it: a snapshot id, a tag, or a time')
    .option('--count', 'print how many rows there are instead')
    .option('--limit <rows>', 'at most this many rows', integerArgument(0))
    .addHelpText(
      'after',
      '\n--output jsonl, csv and arrow (an IPC stream) write rows as they are read.\n\nExample:\n  $ firn scan news.articles --columns article_id,word_count --limit 10 --output jsonl',
    )
    .action(async (table: string, flags: ScanFlags) => {
      if (flags.count === true) await printCount(ctx, table, flags)
      else await printScan(ctx, await openScan(ctx, table, flags))
    })
}

/** @throws {FirnError} unknown table, snapshot, ref or column; `FIRN_WHERE_INVALID`. */
export async function openScan(ctx: CommandContext, name: string, flags: ScanFlags): Promise<TableScan> {
  const table = await ctx.openTable(name)
  const selector = selectorOf(flags)
  const { parseWhere } = await import('../../table/index.ts')
  const { fromSnapshot: from } = flags
  return table.scan({
    ...selector,
    ...(from === undefined ? {} : { fromSnapshotId: pointId(table, from, '--from-snapshot') }),
    ...(flags.columns === undefined ? {} : { columns: [...flags.columns] }),
    ...(flags.where === undefined ? {} : { where: parseWhere(flags.where, table.schemaFor(selector)) }),
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
  })
}

async function printCount(ctx: CommandContext, name: string, flags: ScanFlags): Promise<void> {
  if (ctx.config.output === 'arrow') {
    const { FirnError } = await import('../../table/errors.ts')
    throw new FirnError('invalid', 'FIRN_USAGE', 'a count is not printed as arrow', { help: 'use --output json' })
  }
  const rows = await (await openScan(ctx, name, flags)).count({ signal: ctx.signal })
  ctx.print({ json: { rows }, rows: [{ rows }], text: String(rows) })
}

/** Rows of a table are written in blocks of this many; the first block decides the widths of its columns. */
const TABLE_BLOCK_ROWS = 1000

/** Write a scan's rows in the format that was asked for, never holding more than a block of them. */
export async function printScan(ctx: CommandContext, scan: TableScan): Promise<void> {
  const [{ rowsOf }, { FirnError }] = await Promise.all([import('../rows.ts'), import('../../table/errors.ts')])
  const columns = scan.schema.fields.map((field) => field.name)
  const batches = scan.batches({ signal: ctx.signal })
  switch (ctx.config.output) {
    case 'jsonl':
      for await (const batch of batches) await ctx.write(toJsonLines(rowsOf(batch)))
      return
    case 'csv':
      await ctx.write(csvHeader(columns))
      for await (const batch of batches) {
        await ctx.write(
          rowsOf(batch)
            .map((row) => csvLine(columns, row))
            .join(''),
        )
      }
      return
    case 'json': {
      let separator = '[\n'
      for await (const batch of batches) {
        if (batch.numRows === 0) continue
        await ctx.write(
          `${separator}${rowsOf(batch)
            .map((row) => toJson(row))
            .join(',\n')}`,
        )
        separator = ',\n'
      }
      await ctx.write(separator === '[\n' ? '[]\n' : '\n]\n')
      return
    }
    case 'table': {
      let rows: Record<string, unknown>[] = []
      let printed = false
      for await (const batch of batches) {
        rows.push(...rowsOf(batch))
        if (rows.length < TABLE_BLOCK_ROWS) continue
        await ctx.write(renderTable(rows, { columns, color: ctx.terminal }))
        printed = true
        rows = []
      }
      if (rows.length > 0 || !printed) await ctx.write(renderTable(rows, { columns, color: ctx.terminal }))
      return
    }
    case 'arrow': {
      if (ctx.terminal) {
        throw new FirnError('invalid', 'FIRN_USAGE', 'an Arrow stream is binary and standard output is a terminal', {
          help: 'redirect it: firn scan … --output arrow > rows.arrows',
        })
      }
      const { arrowStream } = await import('../arrow-stream.ts')
      for await (const chunk of arrowStream(scan.schema, batches)) await ctx.write(chunk)
      return
    }
  }
}
