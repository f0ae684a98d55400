/** `firn replay <table>`: run refused records through the rules as they are now. */
import { Command } from 'commander'
import { newRunId } from '../../table/clock.ts'
import type { RefusedObject } from '../compaction/refused/refused-objects.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, formatCount, plural, renderTable } from '../render.ts'
import { collectNames } from './names.ts'
import { addWorkOptions, type WorkFlags } from './work-flags.ts'

interface ReplayFlags extends WorkFlags {
  readonly reason?: readonly string[]
  readonly object?: readonly string[]
  readonly dryRun: boolean
}

/** More objects are in the JSON document only. */
const SHOWN = 50

export function replayCommand(ctx: CommandContext): Command {
  const command = new Command('replay')
    .description('run refused records again: what passes by now becomes rows, what fails is quarantined anew')
    .argument('<table>', 'namespace.name')
    .option('--reason <prefix>', 'only objects with a record that was refused for it, once for each', collectNames)
    .option('--object <id>', 'only this quarantine object (<run>-<number>), once for each', collectNames)
    .option('--dry-run', 'print which objects would be read; change nothing', false)
  return addWorkOptions(command)
    .addHelpText(
      'after',
      '\nObjects are read whole: beside the records of a reason also the others of the same object.\n\nExample:\n  $ firn replay news.articles --reason schema.type --dry-run',
    )
    .action((table: string, flags: ReplayFlags) => run(ctx, table, flags))
}

async function run(ctx: CommandContext, table: string, flags: ReplayFlags): Promise<void> {
  const [{ previewReplay, replayWork }, { workOf }, { recordRun }] = await Promise.all([
    import('../compaction/index.ts'),
    import('../work.ts'),
    import('../runs.ts'),
  ])
  const { clock, log, signal } = ctx
  const store = ctx.warehouse()
  const choice = { reasons: flags.reason, objects: flags.object }
  const options = { store, catalog: ctx.catalog(), table, clock, log, signal, ...choice }
  if (flags.dryRun) {
    const objects = await previewReplay(options)
    ctx.print({ json: planJson(table, objects), text: planText(table, objects) })
    return
  }
  const work = await workOf(ctx, flags)
  const runId = newRunId(clock)
  const record = { store, job: 'replay', subject: table, clock, log, signal, runId }
  const { result, text, error } = await recordRun(record, (begun) =>
    replayWork({ ...options, ...work, onBegin: begun, runId }),
  )
  if (result === undefined) throw error
  ctx.print({ json: result, text })
}

const planJson = (table: string, objects: readonly RefusedObject[]): Record<string, unknown> => ({
  schema: 'firn.replay/1',
  dry_run: true,
  table,
  nothing_to_do: objects.length === 0,
  objects,
})

function planText(table: string, objects: readonly RefusedObject[]): string {
  if (objects.length === 0) return `dry run, nothing to do: ${table} has no such refused records\n`
  const rows = objects.slice(0, SHOWN).map(({ id, rows: records, bytes, reasons }) => ({
    object: id,
    records,
    size: formatBytes(bytes),
    reasons: Object.entries(reasons)
      .map(([reason, count]) => `${reason} ${formatCount(count)}`)
      .join(', '),
  }))
  const more = objects.length > SHOWN ? `and ${objects.length - SHOWN} more\n` : ''
  const records = objects.reduce((sum, object) => sum + object.rows, 0)
  return `${renderTable(rows)}${more}dry run, nothing changed: would run ${plural(records, 'record')} of ${plural(objects.length, 'object')} again into ${table}\n`
}
