/** `firn copy <table> <location>`: the table at another place, for backup, restore and moves. */
import { Command, Option } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import type { CopyPlan, CopyResult, CopySnapshots, Table } from '../../table/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { type CommandContext, parseTableTarget } from '../context.ts'
import { formatBytes, plural } from '../render.ts'
import { exclusiveOptions } from './exclusive.ts'
import { collectNames } from './names.ts'
import { snapshotArgument } from './selectors.ts'

interface CopyFlags {
  readonly current?: boolean
  readonly snapshot?: readonly SnapshotId[]
  readonly ref?: readonly string[]
  readonly keepIdentity: boolean
  readonly compareRows: 'heads' | 'all'
  readonly dryRun: boolean
}

export function copyCommand(ctx: CommandContext): Command {
  const command = new Command('copy')
    .description('copy a table to another place, with every path in it rewritten and every file compared')
    .argument('<table>', 'namespace.name, or the URL of a table')
    .argument('<location>', 'URL of a folder that does not exist yet, or namespace.name in the warehouse')
    .option('--current', 'only the current snapshot (default: all snapshots)')
    .option('--snapshot <id>', 'only this snapshot, once for each', collectSnapshots)
    .option('--ref <name>', 'only what this tag or branch names, once for each', collectNames)
    .option('--keep-identity', "the copy takes the table's place: it keeps the uuid (default: a new one)", false)
    .addOption(
      new Option('--compare-rows <which>', 'snapshots whose rows are compared: those of refs, or all copied ones')
        .choices(['heads', 'all'])
        .default('heads'),
    )
    .option('--dry-run', 'print what would be copied; change nothing', false)
    .addHelpText(
      'after',
      '\nRun it again when it was interrupted: it goes on where it stopped.\n\nExample:\n  $ firn copy news.articles s3://backups/2026-01-31/articles',
    )
    .action((name: string, location: string, flags: CopyFlags) => copy(ctx, name, location, flags))
  return exclusiveOptions(command, ['current'], ['snapshot', 'ref'])
}

function collectSnapshots(text: string, before: readonly SnapshotId[] = []): readonly SnapshotId[] {
  return [...before, ...collectNames(text).map(snapshotArgument)]
}

async function copy(ctx: CommandContext, name: string, location: string, flags: CopyFlags): Promise<void> {
  const [{ checkCopyTarget, copyTable, planCopy }, { recordedDigests }] = await Promise.all([
    import('../../table/index.ts'),
    import('../maintenance/recorded-digests.ts'),
  ])
  const { clock, signal } = ctx
  const target = await openTarget(ctx, location)
  const table = await ctx.openTable(name)
  const snapshots = choiceOf(flags)
  if (flags.dryRun) {
    await checkCopyTarget(table, target, { signal })
    const plan = await planCopy(table, snapshots, { signal })
    ctx.print({ json: planJson(table, target, name, plan), text: planText(name, target, plan) })
    return
  }
  const sha256Of = table.name === undefined ? undefined : await recordedDigests(ctx.warehouse(), table, { signal })
  const result = await copyTable(table, target, {
    clock,
    snapshots,
    keepIdentity: flags.keepIdentity,
    compareRows: flags.compareRows,
    ...(sha256Of === undefined ? {} : { sha256Of }),
    signal,
  })
  ctx.print({ json: resultJson(name, result), text: resultText(name, result) })
}

function choiceOf({ current, snapshot = [], ref = [] }: CopyFlags): CopySnapshots {
  if (current === true) return 'current'
  return snapshot.length + ref.length === 0 ? 'all' : [...snapshot, ...ref]
}

async function openTarget(ctx: CommandContext, location: string): Promise<ObjectStore> {
  const [{ openStore }, { subStore, tableFolder }] = await Promise.all([
    import('../../table/io/open-store.ts'),
    import('../../table/index.ts'),
  ])
  const target = parseTableTarget(location)
  if (target.kind === 'name') {
    if (ctx.config.catalog === undefined) return subStore(ctx.warehouse(), tableFolder(target.name))
    throw new FirnError('invalid', 'FIRN_USAGE', `a copy is not registered in a REST catalog as ${location}`, {
      help: 'copy to a URL, and register its metadata file with the catalog',
    })
  }
  if (target.metadataFile === undefined) {
    const store = openStore(target.folder, { ...ctx.storeOptions, clock: ctx.clock })
    assertNoServiceFolder(ctx, store)
    return store
  }
  throw new FirnError('invalid', 'FIRN_USAGE', `${location} is a metadata file, a copy goes to a folder`, {
    help: 'name the folder that is to hold metadata/ and data/',
  })
}

/** Staging, manifests and refused records of every table lie there, and are no folders of a table. */
function assertNoServiceFolder(ctx: CommandContext, target: ObjectStore): void {
  const warehouse = `${ctx.warehouse().url}/`
  if (!target.url.startsWith(warehouse) || !target.url.slice(warehouse.length).startsWith('_')) return
  throw new FirnError('invalid', 'FIRN_USAGE', `${target.url} is one of the warehouse's own folders`, {
    help: 'copy to namespace.name, or to a folder elsewhere',
  })
}

const planJson = (table: Table, target: ObjectStore, name: string, plan: CopyPlan): Record<string, unknown> => ({
  schema: 'firn.copy/1',
  dry_run: true,
  table: name,
  source: table.location,
  location: target.url,
  snapshot_ids: plan.snapshots.map(({ snapshotId }) => snapshotId),
  files: plan.objects.length + plan.positionDeletes.length,
  rewritten_delete_files: plan.positionDeletes.length,
  manifests: plan.manifests.length,
  bytes: plan.bytes,
})

function planText(name: string, target: ObjectStore, { snapshots, objects, positionDeletes, bytes }: CopyPlan): string {
  const files = plural(objects.length + positionDeletes.length, 'file')
  return `dry run, nothing changed: would copy ${plural(snapshots.length, 'snapshot')} of ${name}, ${files} (${formatBytes(bytes)}), to ${target.url}`
}

const resultJson = (name: string, result: CopyResult): Record<string, unknown> => ({
  schema: 'firn.copy/1',
  table: name,
  location: result.table.location,
  metadata_location: result.table.metadataLocation,
  table_uuid: result.table.metadata.tableUuid,
  snapshot_id: result.table.currentSnapshot()?.snapshotId ?? null,
  snapshot_ids: result.snapshotIds,
  data_files: result.dataFiles,
  delete_files: result.deleteFiles,
  statistics_files: result.statistics,
  manifests: result.manifests,
  bytes: result.bytes,
  files_kept: result.kept,
  compared: result.digests.map(({ snapshotId, rows, hash }) => ({ snapshot_id: snapshotId, rows, digest: hash })),
  not_compared: result.unread.map(({ snapshotId, reason }) => ({ snapshot_id: snapshotId, reason })),
})

function resultText(name: string, result: CopyResult): string {
  const { snapshotIds, dataFiles, deleteFiles, bytes, kept, digests, unread } = result
  const lines = [
    `copied ${plural(snapshotIds.length, 'snapshot')} of ${name} to ${result.table.location}`,
    `${plural(dataFiles, 'data file')} and ${plural(deleteFiles, 'delete file')} (${formatBytes(bytes)}) read back and equal${kept === 0 ? '' : `; ${kept} were there already`}`,
    ...digests.map(({ snapshotId, rows }) => `snapshot ${snapshotId}: ${plural(rows, 'row')}, the same in both`),
    ...unread.map(({ snapshotId, reason }) => `snapshot ${snapshotId}: rows not compared: ${reason}`),
  ]
  return `${lines.join('\n')}\n`
}
