/** `firn inspect …`: the metadata tables, under the names that PyIceberg and Spark give their columns. */
import { Command } from 'commander'
import type { SnapshotId } from '../../table/ids.ts'
import type { Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { type Row, renderTable, toJson } from '../render.ts'
import { printsRows } from './formats.ts'
import { addSelectors, type Selector, type SelectorOptions, selectorOf, snapshotArgument } from './selectors.ts'

type Door = typeof import('../../table/index.ts')

interface MetadataTable {
  readonly name: string
  readonly description: string
  /** False for those that describe the table, not one of its snapshots. */
  readonly selectable: boolean
  /** What a person is shown of a row; the other formats have all of it. Default: all. */
  readonly view?: (row: Row) => Row
  readonly read: (door: Door, table: Table, selector: Selector, signal: AbortSignal) => Promise<readonly Row[]>
}

const METADATA_TABLES: readonly MetadataTable[] = [
  {
    name: 'snapshots',
    description: 'every snapshot the table still has',
    selectable: false,
    view: snapshotView,
    read: async (door, table) => door.inspectSnapshots(table),
  },
  {
    name: 'history',
    description: 'which snapshot was current when',
    selectable: false,
    read: async (door, table) => door.inspectHistory(table),
  },
  {
    name: 'refs',
    description: 'branches and tags',
    selectable: false,
    read: async (door, table) => door.inspectRefs(table),
  },
  {
    name: 'files',
    description: 'the data files of a snapshot, with their statistics',
    selectable: true,
    view: fileView,
    read: async (door, table, selector, signal) => await door.inspectFiles(table, selector, { signal }),
  },
  {
    name: 'entries',
    description: 'manifest entries of a snapshot: files with status and sequence numbers',
    selectable: true,
    view: entryView,
    read: async (door, table, selector, signal) => await door.inspectEntries(table, selector, { signal }),
  },
  {
    name: 'partitions',
    description: 'rows and files of each partition',
    selectable: true,
    read: async (door, table, selector, signal) => await door.inspectPartitions(table, selector, { signal }),
  },
  {
    name: 'manifests',
    description: 'the manifests of a snapshot',
    selectable: true,
    view: manifestView,
    read: async (door, table, selector, signal) => await door.inspectManifests(table, selector, { signal }),
  },
]

function snapshotView({ committed_at, snapshot_id, parent_id, operation, summary }: Row): Row {
  const of = (name: string): unknown => (summary as Row)[name]
  return {
    committed_at,
    snapshot_id,
    parent_id,
    operation,
    added_records: of('added-records'),
    total_records: of('total-records'),
    added_files: of('added-data-files'),
    total_files: of('total-data-files'),
  }
}

function fileView({ file_path, partition, record_count, file_size_in_bytes, spec_id }: Row): Row {
  return {
    file: String(file_path).split('/').at(-1),
    partition,
    record_count,
    file_size_in_bytes,
    spec_id,
  }
}

function entryView({ status, snapshot_id, sequence_number, file_sequence_number, data_file }: Row): Row {
  return {
    status,
    snapshot_id,
    sequence_number,
    file_sequence_number,
    file: String((data_file as Row)['file_path'])
      .split('/')
      .at(-1),
    record_count: (data_file as Row)['record_count'],
  }
}

function manifestView(row: Row): Row {
  return {
    file: String(row['path']).split('/').at(-1),
    length: row['length'],
    added_snapshot_id: row['added_snapshot_id'],
    added_data_files: row['added_data_files_count'],
    existing_data_files: row['existing_data_files_count'],
    deleted_data_files: row['deleted_data_files_count'],
  }
}

export function inspectCommand(ctx: CommandContext): Command {
  const inspect = new Command('inspect')
    .description('look at the metadata of a table')
    .addHelpText('after', '\nExample:\n  $ firn inspect snapshots news.articles --output json')
  for (const metadataTable of METADATA_TABLES) {
    const command = printsRows(new Command(metadataTable.name))
      .description(metadataTable.description)
      .argument('<table>', 'namespace.name, or the URL of a table')
      .action(async (name: string, flags: SelectorOptions) => {
        const table = await ctx.openTable(name)
        const door = await import('../../table/index.ts')
        const rows = await metadataTable.read(door, table, selectorOf(flags), ctx.signal)
        const { view } = metadataTable
        const text =
          view === undefined ? {} : { text: renderTable(rows.map(view), { color: ctx.terminal, maxCellChars: 90 }) }
        ctx.print({ json: rows, rows, ...text })
      })
    inspect.addCommand(metadataTable.selectable ? addSelectors(command) : command)
  }
  return inspect.addCommand(manifestCommand(ctx))
}

function manifestCommand(ctx: CommandContext): Command {
  return new Command('manifest')
    .description('the JSON manifest of one snapshot: files, checksums, positions, averages')
    .argument('<table>', 'namespace.name')
    .option('--snapshot <id>', 'the snapshot (default: the current one)', snapshotArgument)
    .action((name: string, flags: { readonly snapshot?: SnapshotId }) => inspectManifest(ctx, name, flags.snapshot))
}

async function inspectManifest(ctx: CommandContext, name: string, wanted: SnapshotId | undefined): Promise<void> {
  const [{ FirnError }, { readManifest }] = await Promise.all([
    import('../../table/errors.ts'),
    import('../compaction/manifest.ts'),
  ])
  const table = await ctx.catalog().loadTable(name, { signal: ctx.signal })
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
