/** `firn inspect manifest`: what one snapshot is made of, or what lies between two. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { SnapshotId } from '../../table/ids.ts'
import type { SnapshotDiff, Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { type Row, renderFields, renderTable, toJson } from '../render.ts'
import { snapshotArgument } from './selectors.ts'

interface Flags {
  readonly snapshot?: SnapshotId
  readonly diff?: SnapshotId
}

export function inspectManifestCommand(ctx: CommandContext): Command {
  return new Command('manifest')
    .description('the JSON manifest of one snapshot: files, checksums, positions, averages; or the way to another one')
    .argument('<table>', 'namespace.name')
    .option('--snapshot <id>', 'the snapshot (default: the current one)', snapshotArgument)
    .option('--diff <id>', 'instead: files and rows added and removed on the way to this snapshot', snapshotArgument)
    .addHelpText('after', '\nExample:\n  $ firn inspect manifest news.articles --snapshot <older> --diff <newer>')
    .action(async (name: string, { snapshot, diff }: Flags) => {
      const table = await ctx.catalog().loadTable(name, { signal: ctx.signal })
      await (diff === undefined
        ? printManifest(ctx, table, name, snapshot)
        : printDiff(ctx, table, name, snapshot, diff))
    })
}

async function printManifest(
  ctx: CommandContext,
  table: Table,
  name: string,
  wanted: SnapshotId | undefined,
): Promise<void> {
  const { readManifest } = await import('../compaction/manifest.ts')
  const snapshot = table.snapshotFor(wanted === undefined ? {} : { snapshotId: wanted })
  if (snapshot === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `${name} has no snapshot yet`, {
      help: `compact records into it first: firn compact ${name}`,
    })
  }
  const manifest = await readManifest(ctx.warehouse(), name, snapshot.snapshotId, { signal: ctx.signal })
  if (manifest === undefined) {
    throw new FirnError(
      'not-found',
      'FIRN_MANIFEST_NOT_FOUND',
      `snapshot ${snapshot.snapshotId} of ${name} has no JSON manifest`,
      { help: 'snapshots that another engine made have none; look at: firn inspect entries' },
    )
  }
  ctx.print({ json: manifest, text: toJson(manifest, 2) })
}

async function printDiff(
  ctx: CommandContext,
  table: Table,
  name: string,
  from: SnapshotId | undefined,
  to: SnapshotId,
): Promise<void> {
  const { diffSnapshots } = await import('../../table/index.ts')
  const { signal } = ctx
  const start = from === undefined ? {} : { snapshotId: from }
  const diff = await diffSnapshots(table, start, { snapshotId: to }, { signal })
  const document = await withChecksums(ctx, name, diff)
  const { added, removed, ...totals } = document
  const listed = [...added.map(viewOf('added')), ...removed.map(viewOf('removed'))]
  const text = `${renderFields(totals)}\n${renderTable(listed, { color: ctx.terminal, maxCellChars: 90 })}`
  ctx.print({ json: document, text })
}

/** The JSON manifests of the two snapshots know the SHA-256 of the files that those commits added; null elsewhere. */
async function withChecksums(ctx: CommandContext, name: string, diff: SnapshotDiff): Promise<SnapshotDiff> {
  const { readManifest } = await import('../compaction/manifest.ts')
  const known = new Map<unknown, string | null>()
  for (const id of [diff.from, diff.to]) {
    const manifest = await readManifest(ctx.warehouse(), name, id, { signal: ctx.signal })
    for (const { path, sha256 } of manifest?.added ?? []) known.set(path, sha256)
  }
  const add = (row: Row): Row => ({ ...row, sha256: known.get(row['file_path']) ?? null })
  return { ...diff, added: diff.added.map(add), removed: diff.removed.map(add) }
}

const viewOf =
  (change: string) =>
  ({ file_path, content, partition, record_count, file_size_in_bytes }: Row): Row => ({
    change,
    file: String(file_path).split('/').at(-1),
    content,
    partition,
    record_count,
    file_size_in_bytes,
  })
