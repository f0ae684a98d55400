/**
 * Commands that delete or rewrite: the plan is shown first. A terminal is asked; anywhere else `--yes` must say that
 * the plan is wanted. `--dry-run` ends with the plan.
 */
import type { Command } from 'commander'
import { newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { RunId } from '../../table/ids.ts'
import type { Table } from '../../table/index.ts'
import { type CommandContext, parseTableTarget } from '../context.ts'
import { combined, exitCodeOf, gravestOf } from '../exit.ts'
import type { FinishedWork, PreparedWork } from '../maintenance/prepared.ts'

export interface ApprovalFlags {
  readonly dryRun: boolean
  readonly yes: boolean
}

export function addApproval(command: Command): Command {
  return command
    .option('--dry-run', 'print the plan; change nothing', false)
    .option('--yes', 'do not ask; needed where nobody can be asked', false)
}

/** What is approved; `run` is given apart, so that a command may wrap it. */
export type PlannedWork = Omit<PreparedWork, 'run'>

/**
 * Print the plan, or carry it out and print what came of it. What was carried out has a run record.
 * @throws {FirnError} `FIRN_CONFIRMATION_NEEDED` (invalid); what `work` throws.
 */
export async function approveAndRun(
  ctx: CommandContext,
  { dryRun, yes }: ApprovalFlags,
  planned: PlannedWork,
  work: (runId: RunId) => Promise<FinishedWork>,
): Promise<void> {
  const { schema, table, plan, nothingToDo, failures: unplanned = [] } = planned
  const document = { schema, table, dry_run: dryRun, nothing_to_do: nothingToDo, plan }
  const show = (text: string): void => {
    ctx.print({ json: { ...document, result: null }, text })
    failWith(ctx, unplanned, 0)
  }
  if (nothingToDo) return show(planned.text)
  if (dryRun) return show(`${planned.text}dry run: nothing was changed\n`)
  if (!yes) {
    const answer = await ctx.confirm(planned.text, planned.question)
    if (answer === undefined) throw needsYes(planned)
    if (!answer) return show('nothing was changed\n')
  }
  const { recordRun } = await import('../runs.ts')
  const { clock, log, signal } = ctx
  const job = schema.replace(/^firn\.(.*)\/\d+$/, '$1')
  let exitCode = 0
  let failures = unplanned
  const run = await recordRun({ store: ctx.warehouse(), job, subject: table, clock, log, signal }, async (begun) => {
    begun()
    const runId = newRunId(clock)
    const done = await work(runId)
    exitCode = done.exitCode ?? 0
    failures = [...unplanned, ...(done.failures ?? [])]
    const idle = done.nothingToDo === true
    const value = { ...document, nothing_to_do: idle, run_id: runId, result: done.result }
    const outcome = idle ? 'nothing-to-do' : 'ok'
    return { value, json: value, outcome, text: done.text, runId, failure: combined(failures) }
  })
  if (run.result === undefined) throw run.error
  ctx.print({ json: run.result, text: run.text })
  failWith(ctx, failures, exitCode)
}

/** The gravest of them all. What failed has been printed with the plan or the result. */
function failWith(ctx: CommandContext, failures: readonly Error[], exitCode: number): void {
  const code = gravestOf([...failures.map(exitCodeOf), exitCode])
  if (code !== 0) ctx.fail(code)
}

function needsYes({ schema, table, text }: PlannedWork): FirnError {
  const command = schema.replace(/^firn\.(.*)\/\d+$/, '$1')
  const [summary] = text.trimEnd().split('\n').slice(-1)
  const message = `${command} of ${table} is not carried out without a yes: ${summary}`
  return new FirnError('invalid', 'FIRN_CONFIRMATION_NEEDED', message, {
    help: 'look at the plan with --dry-run, then add --yes',
  })
}

/** The table by its name: what was opened by location cannot be written to. */
export async function openToWrite(ctx: CommandContext, name: string): Promise<Table> {
  if (parseTableTarget(name).kind === 'name') return await ctx.openTable(name)
  throw new FirnError('invalid', 'FIRN_TABLE_READ_ONLY', `a table is changed by its name, not as ${name}`, {
    help: 'name it namespace.table, and its warehouse by --warehouse URL',
  })
}
