/** `firn doctor`: what has to hold before the first run, each with its fix. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import type { Check } from '../doctor.ts'
import { printsRows } from './formats.ts'

export function doctorCommand(ctx: CommandContext): Command {
  return printsRows(new Command('doctor'))
    .description('check credentials, clock, bucket, conditional writes, catalog and stream')
    .option('--stream <name>', 'also check that this stream exists')
    .option('--table <name>', 'also check that this table can be read')
    .addHelpText('after', '\nIt writes a few small objects under _doctor/ in the warehouse and removes them again.')
    .action(async (flags: { readonly stream?: string; readonly table?: string }) => {
      const { diagnose, exitCodeOfChecks } = await import('../doctor.ts')
      const { config, clock, signal } = ctx
      const checks = await diagnose({
        warehouse: () => ctx.warehouse(),
        catalog: () => ctx.catalog(),
        config,
        clock,
        signal,
        stream: flags.stream ?? config.stream,
        table: flags.table ?? config.table,
      })
      ctx.print({
        json: { schema: 'firn.doctor/1', ok: checks.every(({ ok }) => ok), checks },
        rows: checks.map((check) => ({ ...check })),
        text: textOf(checks),
      })
      ctx.fail(exitCodeOfChecks(checks))
    })
}

function textOf(checks: readonly Check[]): string {
  return checks
    .map(
      ({ check, ok, detail, fix }) =>
        `${ok ? 'ok  ' : 'FAIL'}  ${check}: ${detail}\n${fix === null ? '' : `      fix: ${fix}\n`}`,
    )
    .join('')
}
