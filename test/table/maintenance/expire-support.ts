/** Tables of small objects for maintenance: data files are a few bytes that nobody decodes. */
import type { Catalog } from '../../../table/catalog/open.ts'
import type { Clock } from '../../../table/clock.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import { type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { readEntries } from '../../../table/manifest/entries.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { keyOfPath } from '../../../table/spec/location.ts'
import { statisticsPaths } from '../../../table/spec/metadata.ts'
import type { PartitionTuple } from '../../../table/spec/partition.ts'
import type { Table } from '../../../table/table.ts'
import { eventsTable, freshStore, testClock } from '../support.ts'

export const DAY = 86_400_000
export const FOLDER = 't/events'

export interface Lab {
  readonly clock: Clock
  /** Of the warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
  readonly table: Table
}

export async function lab(properties: Readonly<Record<string, string>> = {}): Promise<Lab> {
  const clock = testClock()
  const store = freshStore(clock)
  const { catalog, table } = await eventsTable(store, clock)
  const ready = Object.keys(properties).length === 0 ? table : await table.setProperties(properties)
  return { clock, store, catalog, table: ready }
}

/** A data file of one day: its object and its entry. */
export async function smallFile(table: Table, name: string, day = 0, specId = 0): Promise<DataFile> {
  const bytes = Buffer.from(`rows of ${name}`)
  const key = `data/${name}.parquet`
  await table.store.put(key, bytes)
  return entryOf(`${table.location}/${key}`, bytes.length, [day], specId)
}

export const entryOf = (filePath: string, fileSizeBytes: number, partition: PartitionTuple, specId = 0): DataFile => ({
  content: 'data',
  filePath,
  fileFormat: 'PARQUET',
  specId,
  partition,
  recordCount: 1,
  fileSizeBytes,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
})

/** One snapshot per name. */
export async function appendEach(table: Table, names: readonly string[], branch?: string): Promise<Table> {
  let now = table
  for (const name of names) now = (await now.append([await smallFile(now, name)], { branch })).table
  return now
}

export const idsOf = (table: Table): readonly SnapshotId[] =>
  table.metadata.snapshots.map(({ snapshotId }) => snapshotId)

export async function keysOf(store: ObjectStore, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

/** Names of the data files that lie in the table's folder. */
export const dataNames = async (table: Table): Promise<readonly string[]> =>
  (await keysOf(table.store, 'data/')).map((key) => key.slice('data/'.length, -'.parquet'.length))

/** Every key that the table leads to, found without the code under test. Throws when one of them cannot be read. */
export async function referencedKeys({ store, metadata, metadataLocation }: Table): Promise<ReadonlySet<string>> {
  const paths = new Set([metadataLocation, ...metadata.metadataLog.map((entry) => entry.metadataFile)])
  for (const path of statisticsPaths(metadata)) paths.add(path)
  for (const snapshot of metadata.snapshots) {
    paths.add(snapshot.manifestList!)
    for (const manifest of await snapshotManifests(store, metadata, snapshot)) {
      paths.add(manifest.manifestPath)
      for await (const entries of readEntries(store, metadata, [manifest])) {
        for (const { status, dataFile } of entries) if (status !== 'deleted') paths.add(dataFile.filePath)
      }
    }
  }
  const keys = [...paths].map((path) => keyOfPath(metadata.location, path))
  return new Set([...keys, 'metadata/version-hint.text'])
}

/** Referenced objects that are gone; reads everything but the data. */
export async function lostKeys(table: Table): Promise<readonly string[]> {
  const there = new Set(await keysOf(table.store))
  return [...(await referencedKeys(table))].filter((key) => !there.has(key))
}

export const tableStore = (store: ObjectStore): ObjectStore => subStore(store, FOLDER)

/** As a plan that was printed and read again. */
export const printed = <T>(plan: T): T => JSON.parse(JSON.stringify(plan)) as T
