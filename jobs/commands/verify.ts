/** `firn verify <table>`: read everything again that the table refers to; exit 1 when something is wrong. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { formatBytes, plural } from '../render.ts'
import type { VerifyResult } from '../verify/index.ts'
import { printsRows } from './formats.ts'
import { addSelectors, type SelectorOptions, selectorOf } from './selectors.ts'

interface VerifyFlags extends SelectorOptions {
  readonly repair: boolean
}

export function verifyCommand(ctx: CommandContext): Command {
  const command = new Command('verify')
    .description('read everything again that a table refers to, and compare it with what was recorded')
    .argument('<table>', 'namespace.name, or the URL of a table (then without staging and JSON manifests)')
  return addSelectors(printsRows(command))
    .option('--repair', 'first mend what needs no guess: the version hint', false)
    .addHelpText(
      'after',
      '\nExit code 1 when there are problems; each has a code.\n\nExample:\n  $ firn verify news.articles',
    )
    .action((name: string, flags: VerifyFlags) => verify(ctx, name, flags))
}

async function verify(ctx: CommandContext, name: string, flags: VerifyFlags): Promise<void> {
  const [{ verifyTable }, { unreadableTable }] = await Promise.all([
    import('../verify/index.ts'),
    import('../verify/unreadable.ts'),
  ])
  const table = await ctx.openTable(name).catch((error: unknown) => unreadableTable(name, error))
  const result =
    'problems' in table
      ? table
      : await verifyTable({
          table,
          warehouse: table.name === undefined ? undefined : ctx.warehouse(),
          selector: selectorOf(flags),
          repair: flags.repair,
          signal: ctx.signal,
        })
  ctx.print({
    json: { schema: 'firn.verify/1', table: name, ...result },
    rows: result.problems.map((problem) => ({ ...problem })),
    text: verifyText(name, result),
  })
  if (!result.ok) ctx.fail(1)
}

function verifyText(name: string, { ok, problems, checked, skipped, repaired }: VerifyResult): string {
  const { snapshots, manifests, files, rows, bytes } = checked
  const amount = [
    plural(snapshots, 'snapshot'),
    plural(manifests, 'manifest'),
    `${plural(files, 'file')} (${plural(rows, 'row')}, ${formatBytes(bytes)})`,
  ].join(', ')
  const mended = repaired.map((code) => `repaired: ${code}\n`).join('')
  const notes = mended + skipped.map((what) => `not checked: ${what}\n`).join('')
  if (ok) return `${name} is intact: ${amount}\n${notes}`
  const list = problems.map(({ code, object, message }) => `${code}: ${object}: ${message}\n`).join('')
  return `${list}${name} has ${plural(problems.length, 'problem')}: ${amount}\n${notes}`
}
