/** `firn expire <table>`: let old snapshots go, and free what only they led to. */
import { Command, InvalidArgumentError } from 'commander'
import { epochMillis, type SnapshotId } from '../../table/ids.ts'
import type { ExpirePlan, ExpirePreview, ExpireResult } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import type { RemovedManifests } from '../maintenance/json-manifests.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { durationArgument, integerArgument, parseTime } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'
import { exclusiveOptions } from './exclusive.ts'
import { snapshotArgument } from './selectors.ts'

interface ExpireFlags extends ApprovalFlags {
  readonly olderThan?: Age
  readonly retainLast?: number
  readonly snapshot?: readonly SnapshotId[]
  readonly grace?: number
  readonly cleanMetadata: boolean
}

/** Counted from now, or a time. */
type Age = { readonly millis: number } | { readonly at: number }

export function expireCommand(ctx: CommandContext): Command {
  const command = new Command('expire')
    .description('remove old snapshots, and the files that only they led to')
    .argument('<table>', 'namespace.name')
    .option(
      '--older-than <age>',
      "like 7d, or a time (default: the table's history.expire.max-snapshot-age-ms, 5d)",
      ageArgument,
    )
    .option(
      '--retain-last <count>',
      "snapshots that each branch keeps (default: the table's history.expire.min-snapshots-to-keep, 1)",
      integerArgument(1),
    )
    .option('--snapshot <id>', 'exactly this snapshot, once for each', collectSnapshots)
    .option('--grace <duration>', 'readers keep their files for so long (default: 1m)', graceArgument)
    .option('--clean-metadata', 'also drop schemas and partition specs that no snapshot uses', false)
    .addHelpText(
      'after',
      '\nSnapshots that a branch or a tag names stay.\n\nExample:\n  $ firn expire news.articles --older-than 30d --retain-last 10 --dry-run',
    )
    .action((name: string, flags: ExpireFlags) => expire(ctx, name, flags))
  return addApproval(exclusiveOptions(command, ['snapshot'], ['olderThan', 'retainLast']))
}

async function expire(ctx: CommandContext, name: string, flags: ExpireFlags): Promise<void> {
  const [{ planExpire, previewExpire, runExpire }, { removeManifestsOf }, { documentOf }] = await Promise.all([
    import('../../table/index.ts'),
    import('../maintenance/json-manifests.ts'),
    import('../maintenance/document.ts'),
  ])
  const { clock, signal, log } = ctx
  const table = await openToWrite(ctx, name)
  const { olderThan, retainLast, snapshot } = flags
  const plan = planExpire(
    table,
    {
      olderThan:
        olderThan === undefined
          ? undefined
          : epochMillis('at' in olderThan ? olderThan.at : clock.nowMillis() - olderThan.millis),
      retainLast,
      snapshotIds: snapshot,
      cleanExpiredMetadata: flags.cleanMetadata,
    },
    clock,
  )
  const nothingToDo =
    plan.snapshots.length === 0 && plan.refs.length === 0 && plan.abandoned.length === 0 && !flags.cleanMetadata
  // it reads every manifest: only where somebody looks at it
  const shown = plan.snapshots.length > 0 && (flags.dryRun || !flags.yes)
  const frees = shown ? await previewExpire(table, plan, { signal }) : undefined
  const planned = {
    schema: 'firn.expire/1',
    table: name,
    plan: documentOf(frees === undefined ? plan : { ...plan, frees }),
    text: planText(name, plan, frees),
    nothingToDo,
    question: 'Remove them?',
  }
  await approveAndRun(ctx, flags, planned, async () => {
    let manifests: RemovedManifests = { deleted: 0, kept: 0 }
    const { result } = await runExpire(
      table,
      plan,
      {
        signal,
        graceMillis: flags.grace,
        onSnapshotsRemoved: async (removed) => {
          const ids = removed.map(({ snapshotId }) => snapshotId)
          log.info({ table: name, snapshots: ids.length }, 'the snapshots are removed, freeing their files')
          manifests = await removeManifestsOf(ctx.warehouse(), name, table.metadata.tableUuid, ids, { signal })
        },
      },
      clock,
    )
    return {
      result: { ...(documentOf(result) as object), json_manifests: manifests },
      text: `${resultText(name, result, manifests)}${withdrawnText(plan, result)}`,
    }
  })
}

const filesOf = ({ deleted }: Pick<ExpirePreview, 'deleted'>): number =>
  Object.values(deleted).reduce((sum, count) => sum + count, 0)

/** Announced by a run that died, and to stay: until then nobody could name them. */
const withdrawnOf = (abandoned: readonly string[], gone: readonly string[]): string =>
  plural(abandoned.filter((id) => !gone.includes(id)).length, 'snapshot')

const withdrawnText = ({ abandoned }: ExpirePlan, { snapshotIds }: ExpireResult): string =>
  withdrawnOf(abandoned, snapshotIds).startsWith('0 ')
    ? ''
    : `kept: ${withdrawnOf(abandoned, snapshotIds)} that a run had left announced as expiring; tags and branches may name them again\n`

function planText(table: string, plan: ExpirePlan, frees: ExpirePreview | undefined): string {
  const { snapshots, refs, retained, abandoned, cleanExpiredMetadata } = plan
  const going = snapshots.map(({ snapshotId }) => snapshotId)
  const left = abandoned.every((id) => going.includes(id))
    ? ''
    : `would take back that ${withdrawnOf(abandoned, going)} of ${table} are expiring, as a run that died has left it\n`
  const clean = cleanExpiredMetadata ? 'schemas and partition specs that no snapshot uses would go\n' : ''
  const named = refs.length === 0 ? '' : `refs that are past their age: ${refs.join(', ')}\n`
  if (snapshots.length === 0 && named === '') {
    const idle = left === '' && clean === '' ? 'nothing to do: ' : ''
    return `${left}${clean}${idle}no snapshot of ${table} is to go, ${retained} stay\n`
  }
  const rows = snapshots.map(({ snapshotId, timestampMillis, operation }) => ({
    committed_at: new Date(timestampMillis).toISOString(),
    snapshot_id: snapshotId,
    operation,
  }))
  const list = rows.length === 0 ? '' : renderTable(rows)
  const files =
    frees === undefined ? '' : `, and delete ${plural(filesOf(frees), 'file')} (${formatBytes(frees.bytesFreed)})`
  return `${list}${left}${named}${clean}would remove ${plural(snapshots.length, 'snapshot')} of ${table}${files}, ${retained} stay\n`
}

function resultText(table: string, result: ExpireResult, manifests: RemovedManifests): string {
  const { snapshotIds, refs, spared, bytesFreed, unreadable, outside, failed } = result
  const notes = [
    refs.length === 0 ? '' : `removed with them: ${refs.join(', ')}\n`,
    spared.length === 0 ? '' : `${plural(spared.length, 'snapshot')} got a ref meanwhile and stay\n`,
    unreadable.length === 0 ? '' : `${plural(unreadable.length, 'object')} could not be read; run firn orphans later\n`,
    failed.length === 0 ? '' : `${plural(failed.length, 'file')} could not be deleted; run firn orphans later\n`,
    outside === 0 ? '' : `${plural(outside, 'file')} outside of the table's folder left alone\n`,
    manifests.kept === 0
      ? ''
      : `${plural(manifests.kept, 'JSON manifest')} kept: they list refused records, or are not known to be of this table\n`,
  ].join('')
  const freed = `deleted ${plural(filesOf(result), 'file')} (${formatBytes(bytesFreed)})`
  return `${table}: removed ${plural(snapshotIds.length, 'snapshot')}, ${freed}\n${notes}`
}

function ageArgument(text: string): Age {
  const at = parseTime(text)
  if (at !== undefined) return { at }
  try {
    return { millis: durationArgument(text) }
  } catch {
    throw new InvalidArgumentError('Expected an age like 7d, or a time like 2026-01-31T12:00:00Z.')
  }
}

const graceArgument = (text: string): number => (/^0[smhd]?$/.test(text) ? 0 : durationArgument(text))

function collectSnapshots(text: string, before: readonly SnapshotId[] = []): readonly SnapshotId[] {
  return [...before, ...text.split(',').map((id) => snapshotArgument(id.trim()))]
}
