/** JSON manifests against the Avro manifests, which are the truth. */
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, manifestKey, REPLACED_MEMBER, readManifest } from '../compaction/manifest.ts'
import type { Findings } from './problems.ts'
import type { SnapshotContents } from './snapshots.ts'

/** Member of the summary of every snapshot that a firn command made: such a snapshot has a JSON manifest. */
export const RUN_ID_MEMBER = 'firn.run-id'

/** Of what a manifest that was made again says that it lacks. */
export const LOST_REFUSALS = 'refused records: '

/** @returns `undefined` for a snapshot of another engine or of the library, and for a manifest that is among the findings. */
export async function verifyJsonManifest(
  store: ObjectStore,
  tableName: string,
  contents: SnapshotContents,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<JsonManifest | undefined> {
  const { snapshotId, summary } = contents.snapshot
  if (summary[RUN_ID_MEMBER] === undefined) return undefined
  const key = `${store.url}/${manifestKey(tableName, snapshotId)}`
  let manifest: JsonManifest | undefined
  try {
    manifest = await readManifest(store, tableName, snapshotId, options)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) throw error
    findings.add('json-manifest-mismatch', key, error.message)
    return undefined
  }
  if (manifest === undefined) {
    findings.add(
      'json-manifest-missing',
      key,
      `snapshot ${snapshotId} was made by firn, its JSON manifest does not exist`,
    )
    return undefined
  }
  findings.checked.json_manifests++
  const mismatch = (message: string): void => findings.add('json-manifest-mismatch', key, message)
  if (manifest.run_id !== summary[RUN_ID_MEMBER])
    mismatch(`it is of run ${manifest.run_id}, the snapshot of ${summary[RUN_ID_MEMBER]}`)
  if (manifest.compacted_at_micros !== (summary['firn.compacted-at'] ?? null))
    mismatch(`compacted_at is not ${summary['firn.compacted-at'] ?? null}`)
  compareAdded(manifest, contents, mismatch)
  compareRemoved(manifest, contents, mismatch)
  const lost = lostRefusals(manifest)
  if (lost !== undefined) findings.skipped.push(`${key}: it was made again without ${lost}`)
  compareRecords(manifest, summary, lost !== undefined, mismatch)
  return manifest
}

/** A repair found fewer refused records than the run had, and said so: they are of the table that this one was copied from. */
const lostRefusals = ({ rebuilt }: JsonManifest): string | undefined =>
  rebuilt?.lost.find((what) => what.startsWith(LOST_REFUSALS))

/** A rollback carries manifests over: in them, the files that it restored are still those of older snapshots. */
function compareAdded(
  { added: listed, rolled_back_to }: JsonManifest,
  { snapshot: { snapshotId }, entries }: SnapshotContents,
  mismatch: (message: string) => void,
): void {
  const carried = rolled_back_to !== undefined
  const own = entries.filter(
    ({ status, snapshotId: by }) => status !== 'deleted' && (carried || (status === 'added' && by === snapshotId)),
  )
  const added = new Map(own.map(({ dataFile }) => [dataFile.filePath, dataFile] as const))
  for (const { path, rows, bytes } of listed) {
    const file = added.get(path)
    added.delete(path)
    if (file === undefined) mismatch(`it lists ${path}, the Avro manifests do not`)
    else if (file.recordCount !== rows || file.fileSizeBytes !== bytes) {
      mismatch(
        `${path}: ${rows} rows and ${bytes} bytes, the Avro manifest says ${file.recordCount} and ${file.fileSizeBytes}`,
      )
    }
  }
  if (carried) return
  // rewritten manifests may no longer tell which files a snapshot added, but never more than it listed
  for (const path of added.keys()) mismatch(`it does not list ${path}, which the snapshot added`)
}

function compareRemoved(
  { removed }: JsonManifest,
  { snapshot: { snapshotId }, entries }: SnapshotContents,
  mismatch: (message: string) => void,
): void {
  const listed = new Set(removed)
  for (const { status, snapshotId: by, dataFile } of entries) {
    const isListed = listed.has(dataFile.filePath)
    if (status !== 'deleted' && isListed)
      mismatch(`it lists ${dataFile.filePath} as removed, the snapshot still has it`)
    // as with added files: later snapshots may have dropped the entry, but there is none that it does not list
    if (status === 'deleted' && by === snapshotId && !isListed)
      mismatch(`it does not list ${dataFile.filePath}, which the snapshot removed`)
  }
}

function compareRecords(
  { records, added, quarantined: objects }: JsonManifest,
  summary: Readonly<Record<string, string>>,
  isLost: boolean,
  mismatch: (message: string) => void,
): void {
  const refused = objects.reduce((sum, object) => sum + object.rows, 0)
  const claimed = summary['firn.records-quarantined']
  if (!isLost && claimed !== undefined && claimed !== String(refused))
    mismatch(`it lists ${refused} quarantined records, the snapshot's summary says ${claimed}`)
  if (records === null) return
  const replaced = summary[REPLACED_MEMBER]
  if (replaced !== undefined && replaced !== String(records.replaced))
    mismatch(`${records.replaced} rows replaced, the snapshot's summary says ${replaced}`)
  const rows = added.reduce((sum, file) => sum + file.rows, 0)
  const { read, quarantined, duplicates, kept = 0 } = records
  if (!isLost && quarantined !== refused)
    mismatch(`${quarantined} records quarantined, but its objects hold ${refused}`)
  if (records.added + kept !== rows || read !== records.added + quarantined + duplicates) {
    mismatch(
      `${read} records read, but ${rows - kept} rows added + ${quarantined} quarantined + ${duplicates} duplicates`,
    )
  }
}
