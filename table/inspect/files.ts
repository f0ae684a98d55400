/** `files`, `entries` and their kin: one row per data or delete file. */
import type { AbortableOptions } from '../io/object-store.ts'
import type { EntryStatus } from '../manifest/manifest-entry.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import type { SnapshotSelector, Table } from '../table.ts'
import { allManifests, entriesOf, liveEntriesOf, selectedManifests } from './entries.ts'
import { fileRow, type InspectRow, rowContext } from './rows.ts'

/** Which files: a delete file holds positions or keys of rows that are gone. */
type FileKind = 'all' | 'data' | 'deletes'

async function filesOf(
  table: Table,
  manifests: readonly ManifestFile[],
  kind: FileKind,
  options: AbortableOptions,
): Promise<readonly InspectRow[]> {
  const context = rowContext(table.metadata)
  const wanted = manifests.filter(({ content }) => kind === 'all' || content === kind)
  const rows: InspectRow[] = []
  for await (const { dataFile } of liveEntriesOf(table, wanted, options)) rows.push(fileRow(context, dataFile))
  return rows
}

/** Live files of the selected snapshot, delete files included: `content` tells them apart. */
export const inspectFiles = async (
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> =>
  await filesOf(table, await selectedManifests(table, selector, options), 'all', options)

export const inspectDataFiles = async (
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> =>
  await filesOf(table, await selectedManifests(table, selector, options), 'data', options)

export const inspectDeleteFiles = async (
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> =>
  await filesOf(table, await selectedManifests(table, selector, options), 'deletes', options)

/** Files of every snapshot that the table still has, once per manifest that has them. */
export const inspectAllFiles = async (table: Table, options: AbortableOptions = {}): Promise<readonly InspectRow[]> =>
  await filesOf(table, await allManifests(table, options), 'all', options)

export const inspectAllDataFiles = async (
  table: Table,
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> => await filesOf(table, await allManifests(table, options), 'data', options)

export const inspectAllDeleteFiles = async (
  table: Table,
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> => await filesOf(table, await allManifests(table, options), 'deletes', options)

const STATUS_NUMBERS: Readonly<Record<EntryStatus, number>> = { existing: 0, added: 1, deleted: 2 }

async function entryRows(
  table: Table,
  manifests: readonly ManifestFile[],
  options: AbortableOptions,
): Promise<readonly InspectRow[]> {
  const context = rowContext(table.metadata)
  const rows: InspectRow[] = []
  for await (const entry of entriesOf(table, manifests, options)) {
    const { readable_metrics, ...data_file } = fileRow(context, entry.dataFile)
    rows.push({
      status: STATUS_NUMBERS[entry.status],
      snapshot_id: entry.snapshotId,
      sequence_number: entry.sequenceNumber,
      file_sequence_number: entry.fileSequenceNumber,
      data_file,
      readable_metrics,
    })
  }
  return rows
}

/** Entries of all manifests of the selected snapshot, deleted ones included. */
export const inspectEntries = async (
  table: Table,
  selector: SnapshotSelector = {},
  options: AbortableOptions = {},
): Promise<readonly InspectRow[]> => await entryRows(table, await selectedManifests(table, selector, options), options)

/** Entries of every manifest of every snapshot, each manifest once. */
export const inspectAllEntries = async (table: Table, options: AbortableOptions = {}): Promise<readonly InspectRow[]> =>
  await entryRows(table, await allManifests(table, options), options)
