/** `firn verify <table>`: read everything again that the table refers to; exit 1 when something is wrong. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, plural } from '../render.ts'
import type { DroppedFile } from '../verify/drop-files.ts'
import type { VerifyResult } from '../verify/index.ts'
import type { RepairPlan } from '../verify/repair.ts'
import { type ApprovalFlags, addApproval } from './approve.ts'
import { printsRows } from './formats.ts'
import { collectNames } from './names.ts'
import { addSelectors, type SelectorOptions, selectorOf } from './selectors.ts'

interface VerifyFlags extends SelectorOptions, ApprovalFlags {
  readonly repair: boolean
  readonly dropFile?: readonly string[]
}

export function verifyCommand(ctx: CommandContext): Command {
  const command = new Command('verify')
    .description('read everything again that a table refers to, and compare it with what was recorded')
    .argument('<table>', 'namespace.name, or the URL of a table (then without staging and JSON manifests)')
  addSelectors(printsRows(command))
    .option('--repair', 'mend what needs no guess: the version hint, JSON manifests', false)
    .option('--drop-file <path>', 'give up the rows of this damaged data file, once for each', collectNames)
    .addHelpText(
      'after',
      '\nExit code 1 when there are problems; each has a code.\n\nExamples:\n  $ firn verify news.articles\n  $ firn verify news.articles --repair --dry-run',
    )
    .action((name: string, flags: VerifyFlags) => verify(ctx, name, flags))
  return addApproval(command)
}

async function verify(ctx: CommandContext, name: string, flags: VerifyFlags): Promise<void> {
  const [{ verifyTable }, { unreadableTable }] = await Promise.all([
    import('../verify/index.ts'),
    import('../verify/unreadable.ts'),
  ])
  const opened = await ctx.openTable(name).catch((error: unknown) => unreadableTable(name, error))
  if ('problems' in opened) return report(ctx, name, opened)
  const check = (table: Table): Promise<VerifyResult> =>
    verifyTable({
      table,
      warehouse: table.name === undefined ? undefined : ctx.warehouse(),
      selector: selectorOf(flags),
      signal: ctx.signal,
    })
  const found = await check(opened)
  if (!flags.repair && flags.dropFile === undefined) return report(ctx, name, found)
  await repair(ctx, name, flags, { table: opened, found, check })
}

interface Checked {
  readonly table: Table
  readonly found: VerifyResult
  readonly check: (table: Table) => Promise<VerifyResult>
}

/** As any command that changes something: the plan first, then a yes, then the same checks again. */
async function repair(ctx: CommandContext, name: string, flags: VerifyFlags, checked: Checked): Promise<void> {
  const { table, found, check } = checked
  const [{ planRepair, runRepair, stillLeft }, { dropFiles, planDrops }] = await Promise.all([
    import('../verify/repair.ts'),
    import('../verify/drop-files.ts'),
  ])
  const { clock, signal } = ctx
  const warehouse = table.name === undefined ? undefined : ctx.warehouse()
  const full = await planRepair(found.problems, { table, warehouse, clock, signal })
  const plan = flags.repair ? full : { ...full, steps: [] }
  const drops = await droppable(table, flags, () => planDrops(table, flags.dropFile ?? [], found.problems, { signal }))
  if (plan.steps.length + drops.length === 0) return report(ctx, name, found, { plan, drops })
  if (flags.dryRun) return report(ctx, name, found, { plan, drops, note: 'dry run: nothing was changed\n' })
  if (!flags.yes) {
    const answer = await ctx.confirm(planText(plan, drops), 'Do this?')
    if (answer === undefined) throw needsYes(name, plan, drops)
    if (!answer) return report(ctx, name, found, { plan, drops, note: 'nothing was changed\n' })
  }
  const repaired: string[] = [...(await runRepair(plan, { signal }))]
  if (drops.length > 0) await dropFiles(table, drops, { store: ctx.warehouse(), clock, signal })
  repaired.push(...drops.map(({ path }) => `dropped ${path}`))
  const after = await check(await table.refresh({ signal }))
  const left = stillLeft(after.problems)
  report(ctx, name, { ...after, repaired }, { plan: { ...plan, left }, drops, done: true })
}

async function droppable(
  table: Table,
  { dropFile }: VerifyFlags,
  plan: () => Promise<readonly DroppedFile[]>,
): Promise<readonly DroppedFile[]> {
  if (dropFile === undefined) return []
  if (table.name !== undefined) return await plan()
  throw new FirnError(
    'invalid',
    'FIRN_TABLE_READ_ONLY',
    'files are dropped from a table by its name, not its location',
    {
      help: 'name it namespace.table, and its warehouse by --warehouse URL',
    },
  )
}

function needsYes(name: string, plan: RepairPlan, drops: readonly DroppedFile[]): FirnError {
  const what = `${plural(plan.steps.length, 'repair')} and ${plural(drops.length, 'dropped file')}`
  return new FirnError('invalid', 'FIRN_CONFIRMATION_NEEDED', `${name} is not changed without a yes: ${what}`, {
    help: 'look at the plan with --dry-run, then add --yes',
  })
}

interface Repaired {
  readonly plan: RepairPlan
  readonly drops: readonly DroppedFile[]
  readonly note?: string
  readonly done?: boolean
}

function report(ctx: CommandContext, name: string, result: VerifyResult, repaired?: Repaired): void {
  const { plan, drops = [], note = '', done = false } = repaired ?? {}
  const steps = plan?.steps.map(({ apply: _apply, ...step }) => step)
  const member = plan === undefined ? {} : { repair: { done, steps, drops, left: plan.left } }
  const planned = plan === undefined ? '' : done ? leftText(plan) : planText(plan, drops)
  ctx.print({
    json: { schema: 'firn.verify/1', table: name, ...result, ...member },
    rows: result.problems.map((problem) => ({ ...problem })),
    text: `${verifyText(name, result)}${planned}${note}`,
  })
  if (!result.ok) ctx.fail(1)
}

function planText(plan: RepairPlan, drops: readonly DroppedFile[]): string {
  const steps = plan.steps.flatMap(({ code, object, action, lost }) => [
    `repair ${code}: ${object}: ${action}\n`,
    ...lost.map((what) => `  does not come back: ${what}\n`),
  ])
  const dropped = drops.map(({ path, rows }) => `drop ${path}: the table loses ${plural(rows, 'row')}\n`)
  return [...steps, ...dropped, leftText(plan)].join('')
}

const leftText = ({ left }: RepairPlan): string =>
  left.map(({ code, object, next_step }) => `not repaired: ${code}: ${object}: ${next_step}\n`).join('')

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
