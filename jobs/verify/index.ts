/**
 * `firn verify`: everything that the table's snapshots refer to, read again and held against what was recorded.
 * Nothing is changed: see repair.ts. Each fault has a code (problems.ts); an intact table gives none.
 */

import { FirnError } from '../../table/errors.ts'
import {
  currentSchema,
  type DataFile,
  type Snapshot,
  type SnapshotSelector,
  snapshotId,
  type Table,
} from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, type ManifestFile, manifestKey, readManifest } from '../compaction/manifest.ts'
import { type Positions, positionsOf, printPositions } from '../compaction/positions.ts'
import { replayedOf } from '../compaction/refused/replayed.ts'
import { datasetOfProperties } from '../datasets/index.ts'
import { type LiveFile, verifyDataFiles } from './data-files.ts'
import { verifyDeleteFiles } from './delete-files.ts'
import { verifyExpiredRefusals } from './expired-refusals.ts'
import { unbrokenHistory } from './history.ts'
import { RUN_ID_MEMBER, verifyJsonManifest } from './json-manifest.ts'
import { verifyKeys } from './keys.ts'
import { verifyRefs } from './pointers.ts'
import { type Checked, Findings, type Problem } from './problems.ts'
import {
  type KnownManifests,
  readSnapshot,
  type SnapshotContents,
  verifyManifest,
  verifyQuarantine,
  verifySnapshot,
} from './snapshots.ts'
import { verifyStaging } from './staging.ts'
import { verifyVersionHint } from './version-hint.ts'
import { verifyVersions } from './versions.ts'

export type { Checked, Problem, ProblemCode } from './problems.ts'

export interface VerifyOptions extends AbortableOptions {
  readonly table: Table
  /** The warehouse, when the table was opened by its name there: staging, JSON manifests and quarantine are checked. */
  readonly warehouse?: ObjectStore | undefined
  /** Only this snapshot; default: every snapshot of the table. */
  readonly selector?: SnapshotSelector | undefined
}

export interface VerifyResult {
  readonly ok: boolean
  readonly problems: readonly Problem[]
  readonly checked: Checked
  /** Checks that could not be made, and why. */
  readonly skipped: readonly string[]
  /** Faults of an earlier check that were mended before this one. */
  readonly repaired: readonly string[]
}

/** @throws {FirnError} only what keeps the checks from being made, e.g. `FIRN_STORE_UNAVAILABLE`; faults are results. */
export async function verifyTable(options: VerifyOptions): Promise<VerifyResult> {
  const { table, selector, signal } = options
  const findings = new Findings()
  const whole = selector === undefined || Object.values(selector).every((value) => value === undefined)
  const selected = whole ? table.metadata.snapshots : [table.snapshotFor(selector)].filter((each) => each !== undefined)
  const manifests: JsonManifest[] = []
  const files = new Map<string, LiveFile>()
  const deleteFiles = new Map<string, DataFile>()
  const known: KnownManifests = new Map()
  const seen = new Set<string>()
  for (const contents of await readSnapshots(options, selected, known, findings)) {
    for (const manifest of contents.manifests) {
      if (seen.has(manifest.manifestPath)) continue
      seen.add(manifest.manifestPath)
      verifyManifest(table, manifest, known.get(manifest.manifestPath) ?? [], findings)
    }
    verifySnapshot(contents, findings)
    const manifest = await verifyProvenance(options, contents, findings)
    if (manifest !== undefined) manifests.push(manifest)
    collectFiles(files, contents, manifest)
    for (const { dataFile, status } of contents.entries)
      if (status !== 'deleted' && dataFile.content !== 'data') deleteFiles.set(dataFile.filePath, dataFile)
  }
  const dataset = datasetOfProperties(table.metadata.properties, table.location)
  if (dataset === undefined) findings.skipped.push('computed columns: the table has no dataset definition')
  const schema = currentSchema(table.metadata)
  await verifyDataFiles(await withDigests(options, [...files.values()]), { table, schema, dataset, findings, signal })
  await verifyKeys({ table, selector: whole ? undefined : selector, dataset, findings, signal })
  await verifyDeleteFiles(table, [...deleteFiles.values()], findings, { signal })
  if (whole) await verifyHead(options, manifests, findings)
  const { problems, checked, skipped } = findings
  return { ok: problems.length === 0, problems, checked, skipped, repaired: [] }
}

/** Newest first: the current snapshot mostly shares its manifests with all older ones. Results are oldest first. */
async function readSnapshots(
  { table, signal }: VerifyOptions,
  snapshots: readonly Snapshot[],
  known: KnownManifests,
  findings: Findings,
): Promise<readonly SnapshotContents[]> {
  const contents: SnapshotContents[] = []
  for (const snapshot of snapshots.toReversed()) {
    const read = await readSnapshot(table, snapshot, known, findings, { signal })
    if (read !== undefined) contents.unshift(read)
  }
  return contents
}

async function verifyProvenance(
  { table, warehouse, signal }: VerifyOptions,
  contents: SnapshotContents,
  findings: Findings,
): Promise<JsonManifest | undefined> {
  if (warehouse === undefined || table.name === undefined) return undefined
  const manifest = await verifyJsonManifest(warehouse, table.name, contents, findings, { signal })
  if (manifest !== undefined) await verifyQuarantine(warehouse, manifest, usedUp(table, findings), findings, { signal })
  return manifest
}

/** Of the property `firn.replayed`; a damaged one is a finding. */
function usedUp({ metadata }: Table, findings: Findings): ReadonlySet<string> {
  try {
    return replayedOf(metadata.properties)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_PROPERTY_INVALID')) throw error
    const isSaid = findings.problems.some(({ message }) => message === error.message)
    if (!isSaid) findings.add('positions-history', 'table properties', error.message)
    return new Set()
  }
}

function collectFiles(
  files: Map<string, LiveFile>,
  contents: SnapshotContents,
  manifest: JsonManifest | undefined,
): void {
  const listed = new Map(manifest?.added.map((file) => [file.path, recordedOf(file)]))
  for (const { dataFile, snapshotId, status } of contents.entries) {
    if (status === 'deleted' || dataFile.content !== 'data') continue
    const known = files.get(dataFile.filePath)
    if (known !== undefined && sameFile(known.file, dataFile)) continue
    const recorded = listed.get(dataFile.filePath) ?? known ?? { sha256: undefined, writtenRows: undefined }
    const { sha256, writtenRows } = recorded
    files.set(dataFile.filePath, { file: dataFile, addedBy: snapshotId, sha256, writtenRows })
  }
}

const recordedOf = ({ sha256, row_groups }: ManifestFile): Pick<LiveFile, 'sha256' | 'writtenRows'> => ({
  sha256: sha256 ?? undefined,
  writtenRows: row_groups.length === 0 ? undefined : row_groups.reduce((sum, group) => sum + group.rows, 0),
})

/** Digests of files that snapshots outside the selection added. */
async function withDigests(
  { table, warehouse, signal }: VerifyOptions,
  files: readonly LiveFile[],
): Promise<readonly LiveFile[]> {
  if (warehouse === undefined || table.name === undefined) return files
  const manifests = new Map<bigint, JsonManifest | undefined>()
  const digested: LiveFile[] = []
  for (const live of files) {
    const id = live.addedBy
    if (live.sha256 === undefined && !manifests.has(id)) {
      // a damaged one is a finding of its own snapshot
      manifests.set(id, await readManifest(warehouse, table.name, snapshotId(id), { signal }).catch(ignoreCorrupt))
    }
    const listed = manifests.get(id)?.added.find(({ path }) => path === live.file.filePath)
    digested.push(live.sha256 === undefined && listed !== undefined ? { ...live, ...recordedOf(listed) } : live)
  }
  return digested
}

function ignoreCorrupt(error: unknown): undefined {
  if (!FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) throw error
}

const sameFile = (a: DataFile, b: DataFile): boolean =>
  a.recordCount === b.recordCount && a.fileSizeBytes === b.fileSizeBytes

/** What is true of the table now, not of one snapshot. */
async function verifyHead(
  { table, warehouse, signal }: VerifyOptions,
  manifests: readonly JsonManifest[],
  findings: Findings,
): Promise<void> {
  verifyRefs(table, findings)
  await verifyVersions(table, findings, { signal })
  await verifyVersionHint(table, findings, { signal })
  if (warehouse === undefined || table.name === undefined) {
    findings.skipped.push(
      'staging, JSON manifests, checksums and quarantine: the table was opened by location, not by name',
    )
    return
  }
  await verifyStaging(warehouse, table.metadata.properties, findings, { signal })
  await verifyExpiredRefusals(
    { store: warehouse, table, tableName: table.name, signal },
    usedUp(table, findings),
    findings,
  )
  verifyHistory(warehouse, table, manifests, findings)
}

/** Each run went on where the one before it had left the positions, and the newest left them as they are. */
function verifyHistory(
  warehouse: ObjectStore,
  { metadata, name }: Table,
  manifests: readonly JsonManifest[],
  findings: Findings,
): void {
  const byId = new Map(manifests.map((manifest) => [manifest.snapshot_id, manifest]))
  const reached = new Map<string, string>()
  for (const snapshot of unbrokenHistory(metadata)) {
    if (snapshot.summary[RUN_ID_MEMBER] === undefined) continue
    const manifest = byId.get(String(snapshot.snapshotId))
    if (manifest === undefined) {
      reached.clear() // that it is missing or damaged was said; where its run ended is not known
      continue
    }
    if (manifest.positions === null) {
      // a run always has them: this manifest was made again without
      if (manifest.records !== null) reached.clear()
      continue
    }
    const object = `${warehouse.url}/${manifestKey(name!, manifest.snapshot_id)}`
    for (const [incarnation, before] of Object.entries(manifest.positions.before)) {
      const left = reached.get(incarnation)
      if (left !== undefined && left !== printPositions(before)) {
        findings.add(
          'positions-history',
          object,
          `${incarnation}: the run began at ${printPositions(before)}, the one before it had ended at ${left}`,
        )
      }
    }
    for (const [incarnation, after] of Object.entries(manifest.positions.after))
      reached.set(incarnation, printPositions(after))
  }
  let current: Positions
  try {
    current = positionsOf(metadata.properties)
  } catch {
    return // said by the check of staging
  }
  for (const [incarnation, left] of reached) {
    const now = printPositions(current[incarnation] ?? {})
    if (now !== left) {
      findings.add(
        'positions-history',
        'table properties',
        `${incarnation}: the table stands at ${now}, its newest run had ended at ${left}`,
      )
    }
  }
}
