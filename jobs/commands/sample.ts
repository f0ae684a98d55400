/** `firn sample <table> -n 5`: a few enriched rows, whole. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { renderFields } from '../render.ts'
import { integerArgument } from '../times.ts'
import { printsBatches } from './formats.ts'
import { openScan, printScan } from './scan.ts'
import { addSelectors, type SelectorOptions } from './selectors.ts'

export function sampleCommand(ctx: CommandContext): Command {
  const command = new Command('sample')
    .description('print a few rows of a table, all columns')
    .argument('<table>', 'namespace.name, or the URL of a table')
  return addSelectors(printsBatches(command))
    .option('-n, --rows <count>', 'how many', integerArgument(1), 5)
    .action(async (table: string, flags: SelectorOptions & { readonly rows: number }) => {
      const scan = await openScan(ctx, table, { ...flags, limit: flags.rows })
      if (ctx.config.output !== 'table') {
        await printScan(ctx, scan)
        return
      }
      const { rowsOf } = await import('../rows.ts')
      let count = 0
      for await (const batch of scan.batches({ signal: ctx.signal })) {
        for (const row of rowsOf(batch)) {
          await ctx.write(`${count++ === 0 ? '' : '\n'}${renderFields(row, { maxCellChars: 120 })}`)
        }
      }
      if (count === 0) await ctx.write('(no rows)\n')
    })
}
