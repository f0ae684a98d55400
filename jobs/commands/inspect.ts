/** `firn inspect …`: the metadata tables, under the names that PyIceberg and Spark give their columns. */
import { Command } from 'commander'
import type { Table } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { type Row, renderTable } from '../render.ts'
import { printsRows } from './formats.ts'
import { inspectManifestCommand } from './inspect-manifest.ts'
import { addSelectors, type Selector, type SelectorOptions, selectorOf } from './selectors.ts'

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
    name: 'metadata_log_entries',
    description: 'the metadata files of the table that are still known, oldest first',
    selectable: false,
    read: async (door, table) => door.inspectMetadataLogEntries(table),
  },
  {
    name: 'refs',
    description: 'branches and tags',
    selectable: false,
    read: async (door, table) => door.inspectRefs(table),
  },
  {
    name: 'files',
    description: 'the data and delete files of a snapshot, with their statistics',
    selectable: true,
    view: fileView,
    read: async (door, table, selector, signal) => await door.inspectFiles(table, selector, { signal }),
  },
  {
    name: 'data_files',
    description: 'the data files of a snapshot',
    selectable: true,
    view: fileView,
    read: async (door, table, selector, signal) => await door.inspectDataFiles(table, selector, { signal }),
  },
  {
    name: 'delete_files',
    description: 'the delete files of a snapshot',
    selectable: true,
    view: fileView,
    read: async (door, table, selector, signal) => await door.inspectDeleteFiles(table, selector, { signal }),
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
  {
    name: 'all_files',
    description: 'the files of every snapshot that the table still has',
    selectable: false,
    view: fileView,
    read: async (door, table, _selector, signal) => await door.inspectAllFiles(table, { signal }),
  },
  {
    name: 'all_data_files',
    description: 'the data files of every snapshot',
    selectable: false,
    view: fileView,
    read: async (door, table, _selector, signal) => await door.inspectAllDataFiles(table, { signal }),
  },
  {
    name: 'all_delete_files',
    description: 'the delete files of every snapshot',
    selectable: false,
    view: fileView,
    read: async (door, table, _selector, signal) => await door.inspectAllDeleteFiles(table, { signal }),
  },
  {
    name: 'all_entries',
    description: 'manifest entries of every snapshot',
    selectable: false,
    view: entryView,
    read: async (door, table, _selector, signal) => await door.inspectAllEntries(table, { signal }),
  },
  {
    name: 'all_manifests',
    description: 'the manifests of every snapshot, once for each that has them',
    selectable: false,
    view: (row) => ({ ...manifestView(row), reference_snapshot_id: row['reference_snapshot_id'] }),
    read: async (door, table, _selector, signal) => await door.inspectAllManifests(table, { signal }),
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

function fileView({ content, file_path, partition, record_count, file_size_in_bytes, spec_id }: Row): Row {
  return {
    file: String(file_path).split('/').at(-1),
    content,
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
  return inspect.addCommand(inspectManifestCommand(ctx))
}
