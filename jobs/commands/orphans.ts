/** `firn orphans <table>`: objects that nothing in the table leads to, listed and, with a yes, deleted. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'
import { durationArgument } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'

interface OrphanFlags extends ApprovalFlags {
  readonly olderThan?: number
  readonly allowYoung?: string
  readonly force: boolean
}

const LEAST_MILLIS = 3 * 86_400_000

export function orphansCommand(ctx: CommandContext): Command {
  const command = new Command('orphans')
    .description('delete objects that nothing in the table leads to, days after they were written')
    .argument('<table>', 'namespace.name')
    .option('--older-than <duration>', 'only what is older (default, and the least: 3d)', durationArgument)
    .option('--allow-young <reason>', 'why an age below 3d is safe now, e.g. "no writer runs"')
    .option('--force', 'also when more than half of the bytes look orphaned', false)
    .addHelpText('after', '\nExample:\n  $ firn orphans news.articles --dry-run')
    .action((name: string, flags: OrphanFlags) => orphans(ctx, name, flags))
  return addApproval(command)
}

async function orphans(ctx: CommandContext, name: string, flags: OrphanFlags): Promise<void> {
  const { prepareOrphans } = await import('../maintenance/orphans.ts')
  const { clock, signal, log } = ctx
  const table = await openToWrite(ctx, name)
  if (flags.olderThan !== undefined && flags.olderThan < LEAST_MILLIS && (flags.allowYoung ?? '').trim() === '') {
    const message = '--older-than is below 3d: younger objects may belong to a commit that is under way'
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, {
      help: 'leave it at 3d, or say why no writer can be that slow: --allow-young "no writer runs"',
    })
  }
  const prepared = await prepareOrphans(
    { store: ctx.warehouse(), table, tableName: name, clock, log, signal },
    { minAgeMillis: flags.olderThan, allowYoung: flags.allowYoung, force: flags.force },
  )
  await approveAndRun(ctx, flags, prepared, prepared.run)
}
