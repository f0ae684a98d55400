/** The rules that the whole history must keep, judged from every object that was ever written. */
import './synchronous-zlib.ts'
import {
  openCatalog,
  type Snapshot,
  type SnapshotId,
  snapshotManifests,
  subStore,
  type TableMetadata,
} from '../../table/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { parseMetadata } from '../../table/spec/metadata.ts'
import { text } from '../contract/object-store.ts'
import type { Ledger } from './ledger.ts'
import { filesOf } from './table-view.ts'
import { FOLDER, TABLE, type World } from './world.ts'

/** Adds what is wrong to the observer's findings. */
export async function checkHistory(world: World): Promise<void> {
  const { observer, ledger, objects, time } = world
  const snapshots = new Map<SnapshotId, Snapshot>()
  let before: TableMetadata | undefined
  for (const { bytes, key } of observer.line) {
    const metadata = parseMetadata(text(bytes), key)
    checkLogs(world, metadata, before)
    for (const snapshot of metadata.snapshots) snapshots.set(snapshot.snapshotId, snapshot)
    before = metadata
  }
  const table = await openCatalog(objects, { clock: time.clock('judge') }).loadTable(TABLE)
  for (const [tag, snapshotId] of ledger.tags) {
    if (table.metadata.refs[tag]?.snapshotId !== snapshotId) observer.report('lost-tag', tag)
  }
  const archive = await archiveOf(world)
  try {
    await checkMainHistory(world, archive.store, table.metadata, snapshots)
    await checkDeletions(world, archive.store, table.metadata)
  } finally {
    archive.close()
  }
  for (const { fate, file } of ledger.intents()) {
    if (fate === 'open') observer.report('unresolved-commit', `nobody was told what became of ${file.filePath}`)
  }
}

/** Every object that was ever written, deleted ones too, as a store rooted at the table. */
async function archiveOf({ observer, seed, objects }: World): Promise<{ store: ObjectStore; close: () => void }> {
  const name = `archive-${process.pid}-${seed}-${archives++}`
  const archive = openMemoryStore(name)
  for (const [key, bytes] of observer.written) await archive.put(key, bytes)
  // Locations in metadata are those of the warehouse.
  const store: ObjectStore = { ...subStore(archive, FOLDER), url: `${objects.url}/${FOLDER}` }
  return { store, close: () => dropMemoryStore(name) }
}
let archives = 0

function checkLogs({ observer }: World, metadata: TableMetadata, before: TableMetadata | undefined): void {
  const isSorted = (log: readonly { readonly timestampMillis: number }[]): boolean =>
    log.every(({ timestampMillis }, i) => i === 0 || log[i - 1]!.timestampMillis <= timestampMillis)
  const at = `at sequence number ${metadata.lastSequenceNumber}`
  if (!isSorted(metadata.snapshotLog)) observer.report('log-unsorted', `snapshot-log ${at}`)
  if (!isSorted(metadata.metadataLog)) observer.report('log-unsorted', `metadata-log ${at}`)
  if (before === undefined) return
  if (metadata.lastUpdatedMillis <= before.lastUpdatedMillis) observer.report('log-unsorted', `last-updated-ms ${at}`)
  const known = new Set(before.snapshots.map(({ snapshotId }) => snapshotId))
  const added = metadata.snapshots.filter(({ snapshotId }) => !known.has(snapshotId))
  const isNext =
    added.length <= 1 &&
    added.every(({ sequenceNumber }) => sequenceNumber === before.lastSequenceNumber + 1) &&
    metadata.lastSequenceNumber === before.lastSequenceNumber + added.length
  if (!isNext) observer.report('sequence-number', `${at} after ${before.lastSequenceNumber}, ${added.length} added`)
}

/** Each snapshot of main from the first to the last: what its files hold, and what it changed of its parent. */
async function checkMainHistory(
  world: World,
  archive: ObjectStore,
  metadata: TableMetadata,
  snapshots: ReadonlyMap<SnapshotId, Snapshot>,
): Promise<void> {
  const { observer, ledger } = world
  const history: Snapshot[] = []
  for (let id = metadata.currentSnapshotId; id !== undefined; ) {
    const snapshot = snapshots.get(id)
    if (snapshot === undefined) {
      observer.report('unknown-row', `snapshot ${id} of main is in no metadata that was ever the newest`)
      break
    }
    history.unshift(snapshot)
    id = snapshot.parentSnapshotId
  }
  const known = new Map<string, readonly string[]>()
  let before: ReadonlySet<string> = new Set()
  let sequence = 0
  for (const snapshot of history) {
    if (snapshot.sequenceNumber <= sequence) observer.report('sequence-number', `snapshot ${snapshot.snapshotId}`)
    sequence = snapshot.sequenceNumber
    const files = await filesOf(archive, metadata, snapshot, known)
    before = checkSnapshot(world, snapshot, files, before)
  }
  checkFinal(world, rowsOf(ledger, before))
}

function checkSnapshot(
  { observer, ledger }: World,
  snapshot: Snapshot,
  files: readonly string[],
  before: ReadonlySet<string>,
): ReadonlySet<string> {
  const where = `snapshot ${snapshot.snapshotId} (${snapshot.summary['operation']})`
  const now = new Set(files)
  if (now.size < files.length) observer.report('doubled-row', `${where} has a file twice`)
  const rows = rowsOf(ledger, now)
  const doubled = [...rows].find(([, count]) => count > 1)
  if (doubled !== undefined) observer.report('doubled-row', `${where}: ${doubled[0]}`)
  const earlier = rowsOf(ledger, before)
  for (const row of earlier.keys()) if (!rows.has(row)) observer.report('lost-row', `${where}: ${row}`)
  const added = [...rows.keys()].filter((row) => !earlier.has(row))
  if (snapshot.summary['operation'] === 'replace' && added.length > 0) {
    observer.report('resurrected-row', `${where}: ${added[0]}`)
  }
  for (const path of now) if (ledger.intentOf(path) === undefined) observer.report('unknown-row', `${where}: ${path}`)
  if (Number(snapshot.summary['total-records']) !== [...rows.values()].reduce((sum, count) => sum + count, 0)) {
    observer.report('unknown-row', `${where}: total-records is ${snapshot.summary['total-records']}`)
  }
  return now
}

/** Nothing that a snapshot of the table needs was ever asked to be deleted. */
async function checkDeletions(
  { observer, objects }: World,
  archive: ObjectStore,
  metadata: TableMetadata,
): Promise<void> {
  const known = new Map<string, readonly string[]>()
  for (const snapshot of metadata.snapshots) {
    const manifests = await snapshotManifests(archive, metadata, snapshot)
    const files = await filesOf(archive, metadata, snapshot, known)
    for (const path of [snapshot.manifestList ?? '', ...manifests.map(({ manifestPath }) => manifestPath), ...files]) {
      if (observer.deleted.has(path.slice(objects.url.length + 1))) observer.report('deleted-live-file', path)
    }
  }
}

function checkFinal({ observer, ledger }: World, rows: ReadonlyMap<string, number>): void {
  for (const { fate, isRewrite, rows: own, file } of ledger.intents()) {
    if (isRewrite) continue
    const found = own.filter((row) => rows.has(row)).length
    if (fate === 'acknowledged' && found < own.length) observer.report('lost-row', `${file.filePath} was acknowledged`)
    if (fate === 'refused' && found > 0) observer.report('resurrected-row', `${file.filePath} was refused`)
  }
}

function rowsOf(ledger: Ledger, paths: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const path of paths) for (const row of ledger.rowsOf(path)) counts.set(row, (counts.get(row) ?? 0) + 1)
  return counts
}
