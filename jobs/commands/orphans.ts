/** `firn orphans <table>`: objects that nothing in the table leads to, listed and, with a yes, deleted. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import { epochMillis } from '../../table/ids.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { durationArgument } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'

interface OrphanFlags extends ApprovalFlags {
  readonly olderThan?: number
  readonly allowYoung?: string
  readonly force: boolean
}

const LEAST_MILLIS = 3 * 86_400_000

/** More candidates are in the JSON document only. */
const SHOWN = 50

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
  const [{ planOrphans, runOrphans }, { planWarehouseOrphans, removeWarehouseOrphans }, { documentOf }] =
    await Promise.all([
      import('../../table/index.ts'),
      import('../maintenance/json-manifests.ts'),
      import('../maintenance/document.ts'),
    ])
  const { clock, signal } = ctx
  const table = await openToWrite(ctx, name)
  if (flags.olderThan !== undefined && flags.olderThan < LEAST_MILLIS && (flags.allowYoung ?? '').trim() === '') {
    const message = '--older-than is below 3d: younger objects may belong to a commit that is under way'
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, {
      help: 'leave it at 3d, or say why no writer can be that slow: --allow-young "no writer runs"',
    })
  }
  const plan = await planOrphans(table, { signal, minAgeMillis: flags.olderThan, allowYoung: flags.allowYoung }, clock)
  const olderThan = epochMillis(plan.olderThanMillis)
  const beside = await planWarehouseOrphans(ctx.warehouse(), table, name, olderThan, { signal })
  const all = [...plan.orphans, ...beside.orphans]
  const bytes = plan.totals.orphanBytes + beside.bytes
  const rows = all.slice(0, SHOWN).map(({ key, kind, sizeBytes, lastModifiedMillis }) => ({
    kind,
    key,
    size: formatBytes(sizeBytes),
    last_modified: new Date(lastModifiedMillis).toISOString(),
  }))
  const more = all.length > SHOWN ? `and ${all.length - SHOWN} more\n` : ''
  const notes = [
    plan.totals.young === 0 ? '' : `${plural(plan.totals.young, 'unreferenced object')} too young to tell\n`,
    beside.kept === 0
      ? ''
      : `${plural(beside.kept, 'JSON manifest')} kept: they list refused records, or are not known to be of this table\n`,
  ].join('')
  const planned = {
    schema: 'firn.orphans/1',
    table: name,
    plan: documentOf({ ...plan, warehouse: beside }),
    text:
      all.length === 0
        ? `${notes}nothing to do: ${name} has no orphans older than ${new Date(olderThan).toISOString()}\n`
        : `${renderTable(rows, { maxCellChars: 110 })}${more}${notes}would delete ${plural(all.length, 'object')} (${formatBytes(bytes)}) of ${name}\n`,
    nothingToDo: all.length === 0,
    question: 'Delete them?',
  }
  await approveAndRun(ctx, flags, planned, async () => {
    const { result } = await runOrphans(table, plan, { signal, force: flags.force })
    // By the store's clock, should that of this machine be ahead.
    const cutoff = result.olderThanMillis
    const removed = await removeWarehouseOrphans(ctx.warehouse(), table, name, beside.orphans, cutoff, { signal })
    const deleted = result.deleted + removed.deleted
    const left = all.length - deleted - result.gone
    const stayed = left === 0 ? '' : `${plural(left, 'object')} left: referenced or replaced meanwhile\n`
    return {
      result: documentOf({ ...result, warehouse: removed }),
      text: `${name}: deleted ${plural(deleted, 'object')} (${formatBytes(result.bytesFreed + removed.bytesFreed)})\n${stayed}`,
    }
  })
}
