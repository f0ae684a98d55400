/** What snapshots say about their manifests, and manifests about their files: counts, totals, JSON against Avro. */
import { FirnError } from '../../table/errors.ts'
import {
  allEntries,
  compareValues,
  currentSchema,
  type ManifestFile,
  type PrimitiveType,
  type PrimitiveValue,
  partitionTypes,
  type ResolvedEntry,
  type Snapshot,
  schemaForSpec,
  snapshotManifests,
  specById,
  type Table,
} from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import type { JsonManifest } from '../compaction/manifest.ts'
import { quarantineId } from '../compaction/refused/quarantine.ts'
import { outsideRange } from './data-files.ts'
import type { Findings } from './problems.ts'

/** Manifests by path, read once for all snapshots that share them. */
export type KnownManifests = Map<string, readonly ResolvedEntry[]>

export interface SnapshotContents {
  readonly snapshot: Snapshot
  readonly manifests: readonly ManifestFile[]
  /** Of all its manifests, deleted ones included. */
  readonly entries: readonly ResolvedEntry[]
}

/** @returns `undefined` when the snapshot's manifests cannot be read; the reason is among the findings. */
export async function readSnapshot(
  table: Table,
  snapshot: Snapshot,
  known: KnownManifests,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<SnapshotContents | undefined> {
  const name = `snapshot ${snapshot.snapshotId}`
  try {
    const manifests = await snapshotManifests(table.store, table.metadata, snapshot, options)
    if (manifests.some((manifest) => !known.has(manifest.manifestPath))) {
      const entries = await allEntries(table, { snapshotId: snapshot.snapshotId }, options)
      const byPath = Map.groupBy(entries, (entry) => entry.manifestPath)
      for (const { manifestPath } of manifests) known.set(manifestPath, byPath.get(manifestPath) ?? [])
    }
    findings.checked.snapshots++
    return { snapshot, manifests, entries: manifests.flatMap((manifest) => known.get(manifest.manifestPath) ?? []) }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!FirnError.is(error)) throw error
    const mismatch = error.code === 'FIRN_MANIFEST_LENGTH_MISMATCH'
    findings.add(mismatch ? 'manifest-list-count' : 'manifest-unreadable', name, error.message)
    return undefined
  }
}

const isLive = (entry: ResolvedEntry): boolean => entry.status !== 'deleted'
const rowsOf = (entries: readonly ResolvedEntry[]): number =>
  entries.reduce((sum, { dataFile }) => sum + dataFile.recordCount, 0)

/** Counts and partition ranges of one manifest against its entry in the manifest list. */
export function verifyManifest(
  table: Table,
  manifest: ManifestFile,
  entries: readonly ResolvedEntry[],
  findings: Findings,
): void {
  findings.checked.manifests++
  const { manifestPath } = manifest
  const of = (status: ResolvedEntry['status']): readonly ResolvedEntry[] =>
    entries.filter((entry) => entry.status === status)
  const counts: readonly (readonly [string, number | undefined, number])[] = [
    ['added files', manifest.addedFilesCount, of('added').length],
    ['existing files', manifest.existingFilesCount, of('existing').length],
    ['deleted files', manifest.deletedFilesCount, of('deleted').length],
    ['added rows', manifest.addedRowsCount, rowsOf(of('added'))],
    ['existing rows', manifest.existingRowsCount, rowsOf(of('existing'))],
    ['deleted rows', manifest.deletedRowsCount, rowsOf(of('deleted'))],
  ]
  for (const [what, claimed, found] of counts) {
    if (claimed !== undefined && claimed !== found)
      findings.add('manifest-list-count', manifestPath, `the manifest list says ${claimed} ${what}, it has ${found}`)
  }
  verifyPartitionRanges(table, manifest, entries.filter(isLive), findings)
}

function verifyPartitionRanges(
  table: Table,
  manifest: ManifestFile,
  entries: readonly ResolvedEntry[],
  findings: Findings,
): void {
  const spec = specById(table.metadata, manifest.partitionSpecId)
  const types = partitionTypes(spec, schemaForSpec(table.metadata, spec, currentSchema(table.metadata)))
  spec.fields.forEach((field, index) => {
    const summary = manifest.partitions[index]
    if (summary === undefined) return
    const type = types[index] as PrimitiveType
    const compare = (a: PrimitiveValue, b: PrimitiveValue): number => compareValues(type, a, b)
    const outside = entries.find(({ dataFile }) => {
      const value = dataFile.partition[index] ?? null
      if (value === null) return !summary.containsNull
      return outsideRange(type, compare, value, summary.lowerBound, summary.upperBound)
    })
    if (outside !== undefined) {
      findings.add(
        'manifest-partition-range',
        manifest.manifestPath,
        `its range of ${field.name} does not cover ${outside.dataFile.filePath}`,
      )
    }
  })
}

/** Totals of the summary, and every live path once. */
export function verifySnapshot({ snapshot, entries }: SnapshotContents, findings: Findings): void {
  const name = `snapshot ${snapshot.snapshotId}`
  const live = entries.filter(isLive)
  const data = live.filter((entry) => entry.dataFile.content === 'data')
  const own = live.filter((entry) => entry.status === 'added' && entry.snapshotId === snapshot.snapshotId)
  const added = own.filter((entry) => entry.dataFile.content === 'data')
  const bytesOf = (some: readonly ResolvedEntry[]): number =>
    some.reduce((sum, { dataFile }) => sum + dataFile.fileSizeBytes, 0)
  const totals: readonly (readonly [string, number])[] = [
    ['total-data-files', data.length],
    ['total-records', rowsOf(data)],
    ['total-files-size', bytesOf(live)],
    ['added-data-files', added.length],
    ['added-records', rowsOf(added)],
    ['added-files-size', bytesOf(own)],
  ]
  for (const [key, found] of totals) {
    const claimed = snapshot.summary[key]
    if (claimed !== undefined && claimed !== String(found)) {
      findings.add('summary-total', name, `${key} is ${claimed}, its manifests hold ${found}`)
    }
  }
  for (const [path, some] of Map.groupBy(live, (entry) => entry.dataFile.filePath)) {
    if (some.length > 1) findings.add('duplicate-path', path, `it is live ${some.length} times in ${name}`)
  }
}

/**
 * Objects of refused records, by their size and number.
 * @param replayed ids of those that are used up: once nothing can take that back, they are deleted.
 */
export async function verifyQuarantine(
  store: ObjectStore,
  manifest: JsonManifest,
  replayed: ReadonlySet<string>,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<void> {
  for (const object of manifest.quarantined) {
    const stored = await getIfExists(store, object.path, options)
    const url = `${store.url}/${object.path}`
    if (stored === undefined) {
      if (replayed.has(quarantineId(object.path))) continue
      findings.add(
        'quarantine-missing',
        url,
        `the JSON manifest of snapshot ${manifest.snapshot_id} lists it, it does not exist`,
      )
      continue
    }
    findings.checked.quarantine_objects++
    const rows = await countLines(stored.bytes)
    if (stored.bytes.length !== object.bytes || rows !== object.rows) {
      findings.add(
        'quarantine-mismatch',
        url,
        `expected ${object.rows} records in ${object.bytes} bytes, it has ${rows} in ${stored.bytes.length}`,
      )
    }
  }
}

async function countLines(compressed: Uint8Array): Promise<number> {
  const { zstdDecompressSync } = await import('node:zlib')
  try {
    const bytes = zstdDecompressSync(compressed)
    let lines = 0
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
    return lines
  } catch {
    return 0
  }
}
