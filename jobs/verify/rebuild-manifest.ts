/**
 * A JSON manifest made again from what else there is: the Avro manifests, the snapshot's summary, the files themselves,
 * the metadata before and after the commit, and refused records. It says itself what could not be had.
 */
import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { Clock } from '../../table/clock.ts'
import { type DataFile, describeParquet, keyOfPath, ROLLED_BACK_TO, type Table } from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { type JsonManifest, type ManifestFile, plainManifest, REPLACED_MEMBER } from '../compaction/manifest.ts'
import { manifestFile, utcMicros, type WrittenDetails } from '../compaction/manifest-file.ts'
import { QUARANTINE_NUMBERS } from '../compaction/process.ts'
import type { QuarantinedRecord, QuarantineObject } from '../compaction/refused/quarantine.ts'
import { REFUSED_MEMBER } from '../compaction/refused/refused-objects.ts'
import { REPLAYED_MEMBER } from '../compaction/refused/replayed.ts'
import { LOST_REFUSALS, RUN_ID_MEMBER } from './json-manifest.ts'
import { positionsAround, replayedAround } from './positions-around.ts'
import type { SnapshotContents } from './snapshots.ts'

const decompress = promisify(zstdDecompress)

export interface RebuildOptions extends AbortableOptions {
  readonly table: Table
  /** The warehouse. */
  readonly warehouse: ObjectStore
  readonly clock: Clock
}

export interface RebuiltManifest {
  readonly manifest: JsonManifest
  /** What the original had and this one has not. */
  readonly lost: readonly string[]
}

/**
 * @param before of the snapshot's parent; `undefined` when that has expired.
 * @param damaged what can be read of the old one: its members that nothing else has are kept.
 */
export async function rebuildManifest(
  contents: SnapshotContents,
  before: SnapshotContents | undefined,
  damaged: Partial<JsonManifest> | undefined,
  options: RebuildOptions,
): Promise<RebuiltManifest> {
  const { snapshotId, summary } = contents.snapshot
  const lost: string[] = []
  const changes = changedFiles(contents, before)
  if (changes === undefined) lost.push('the files that the rollback restored and removed: its parent has expired')
  const added: ManifestFile[] = []
  for (const file of changes?.added ?? []) added.push(await describe(file, damaged, lost, options))
  const runId = summary[RUN_ID_MEMBER]!
  const plain = plainManifest({
    table: options.table.name!,
    table_uuid: options.table.metadata.tableUuid,
    snapshot_id: String(snapshotId),
    operation: summary['operation'] ?? 'append',
    run_id: runId,
    added,
    removed: (changes?.removed ?? []).map(({ filePath }) => filePath),
  })
  const compactedAt = summary['firn.compacted-at']
  const isRun = summary['firn.records-read'] !== undefined
  const quarantined = await refusedOf(runId, summary, damaged, options)
  const manifest: JsonManifest = {
    ...plain,
    ...(compactedAt === undefined
      ? {}
      : { compacted_at: utcMicros(BigInt(compactedAt)), compacted_at_micros: compactedAt }),
    positions: damaged?.positions ?? (await positionsAround(contents.snapshot, isRun, options)) ?? null,
    gaps: damaged?.gaps ?? [],
    records: isRun ? recordsOf(summary, added, damaged) : null,
    quarantined,
    ...(await replayedOf(contents.snapshot, damaged, lost, options)),
    averages: damaged?.averages ?? null,
    ...(summary[ROLLED_BACK_TO] === undefined ? {} : { rolled_back_to: summary[ROLLED_BACK_TO] }),
  }
  if (isRun) lost.push(...lostOf(manifest, summary, damaged))
  return { manifest, lost }
}

/** A rollback carries manifests over, so that only the difference to its parent tells what it changed. */
function changedFiles(
  { snapshot, entries }: SnapshotContents,
  before: SnapshotContents | undefined,
): { readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] } | undefined {
  if (snapshot.summary[ROLLED_BACK_TO] === undefined) {
    const own = entries.filter((entry) => entry.snapshotId === snapshot.snapshotId)
    const filesOf = (status: string): readonly DataFile[] =>
      own.filter((entry) => entry.status === status).map(({ dataFile }) => dataFile)
    return { added: filesOf('added'), removed: filesOf('deleted') }
  }
  if (before === undefined) return undefined
  const [young, old] = [liveFiles(entries), liveFiles(before.entries)]
  const only = (some: ReadonlyMap<string, DataFile>, others: ReadonlyMap<string, DataFile>): readonly DataFile[] =>
    [...some].filter(([path]) => !others.has(path)).map(([, file]) => file)
  return { added: only(young, old), removed: only(old, young) }
}

const liveFiles = (entries: SnapshotContents['entries']): ReadonlyMap<string, DataFile> =>
  new Map(
    entries.filter(({ status }) => status !== 'deleted').map(({ dataFile }) => [dataFile.filePath, dataFile] as const),
  )

async function describe(
  file: DataFile,
  damaged: Partial<JsonManifest> | undefined,
  lost: string[],
  { table, signal }: RebuildOptions,
): Promise<ManifestFile> {
  // A digest of when the file was written is worth more than one of what lies there today.
  const known = damaged?.added?.find(
    ({ path, sha256, bytes }) => path === file.filePath && bytes === file.fileSizeBytes && typeof sha256 === 'string',
  )
  if (known !== undefined) {
    return manifestFile(file, { sha256: known.sha256, rowGroups: known.row_groups }, table.metadata)
  }
  const object = await getIfExists(table.store, keyOfPath(table.location, file.filePath), { signal })
  if (object?.bytes.length === file.fileSizeBytes) {
    lost.push(`the SHA-256 of ${file.filePath} as it was written: it is now that of the file as it was read`)
    return manifestFile(file, detailsOf(object.bytes, file), table.metadata)
  }
  lost.push(`the SHA-256 of ${file.filePath}: the file is missing or has another size`)
  return manifestFile(file, { sha256: null, rowGroups: [] }, table.metadata)
}

function detailsOf(bytes: Uint8Array, file: DataFile): WrittenDetails {
  const sha256 = hash('sha256', bytes, 'hex')
  try {
    const rowGroups = describeParquet(bytes, file.filePath).map(({ rows, columnSizes }) => ({
      rows,
      bytes: [...columnSizes.values()].reduce((sum, size) => sum + size, 0),
    }))
    return { sha256, rowGroups }
  } catch {
    // `verify` says of the file itself that it is damaged
    return { sha256, rowGroups: [] }
  }
}

function recordsOf(
  summary: Readonly<Record<string, string>>,
  added: readonly ManifestFile[],
  damaged: Partial<JsonManifest> | undefined,
): JsonManifest['records'] {
  const read = Number(summary['firn.records-read'])
  const quarantined = Number(summary['firn.records-quarantined'] ?? 0)
  const duplicates = Number(summary['firn.records-duplicate'] ?? 0)
  const rows = added.reduce((sum, file) => sum + file.rows, 0)
  // no other place has it
  const kinesis_records = damaged?.records?.kinesis_records ?? (null as unknown as number)
  const replaced = summary[REPLACED_MEMBER]
  if (replaced === undefined) return { kinesis_records, read, added: rows, quarantined, duplicates }
  // files that lost rows were written anew: what did not come from the records was there before
  const news = read - quarantined - duplicates
  return { kinesis_records, read, added: news, quarantined, duplicates, replaced: Number(replaced), kept: rows - news }
}

function lostOf(
  manifest: JsonManifest,
  summary: Readonly<Record<string, string>>,
  damaged: Partial<JsonManifest> | undefined,
): readonly string[] {
  const lost: string[] = []
  if (manifest.positions === null) lost.push('positions: the metadata before and after the run is gone')
  if (damaged?.gaps === undefined && (summary['firn.gaps'] ?? '0') !== '0') {
    lost.push(`where the ${summary['firn.gaps']} gaps of the run were`)
  }
  if (damaged?.averages === undefined) lost.push('averages of the run')
  if (damaged?.records === undefined) lost.push('the number of Kinesis records')
  const rows = manifest.quarantined.reduce((sum, object) => sum + object.rows, 0)
  const refused = Number(summary['firn.records-quarantined'] ?? 0)
  if (rows !== refused) lost.push(`${LOST_REFUSALS}the run had ${refused}, its objects hold ${rows}`)
  return lost
}

/** Which refused records the snapshot used up, and which count again with it. */
async function replayedOf(
  snapshot: SnapshotContents['snapshot'],
  damaged: Partial<JsonManifest> | undefined,
  lost: string[],
  options: RebuildOptions,
): Promise<Pick<JsonManifest, 'replayed' | 'replayed_taken_back'>> {
  const claimed = snapshot.summary[REPLAYED_MEMBER]
  if (claimed === undefined) return {}
  const { replayed, replayed_taken_back = [] } = damaged ?? {}
  if (replayed !== undefined && String(replayed.length) === claimed) return { replayed, replayed_taken_back }
  const found = await replayedAround(snapshot, options)
  if (found === undefined) lost.push('which refused records were replayed: the metadata before and after it is gone')
  return found ?? {}
}

/** As the damaged manifest lists them, if it lists all. */
async function refusedOf(
  runId: string,
  summary: Readonly<Record<string, string>>,
  damaged: Partial<JsonManifest> | undefined,
  options: RebuildOptions,
): Promise<readonly QuarantineObject[]> {
  const listed = damaged?.quarantined
  const rows = listed?.reduce((sum, object) => sum + object.rows, 0)
  return listed !== undefined && String(rows) === (summary['firn.records-quarantined'] ?? '0')
    ? listed
    : await quarantineOf(runId, summary, options)
}

/** Refused records carry the run in their name. */
async function quarantineOf(
  runId: string,
  summary: Readonly<Record<string, string>>,
  { warehouse, table, signal }: RebuildOptions,
): Promise<readonly QuarantineObject[]> {
  const objects: QuarantineObject[] = []
  const claimed = Number(summary[REFUSED_MEMBER] ?? 0)
  for await (const { key } of warehouse.list(`_quarantine/${table.name}/${runId}-`, { signal })) {
    const { bytes } = await warehouse.get(key, { signal })
    const reasons = new Map<string, number>()
    let rows = 0
    for (const line of (await linesOf(bytes)).filter((each) => each !== '')) {
      const { errorCode } = JSON.parse(line) as QuarantinedRecord
      reasons.set(errorCode, (reasons.get(errorCode) ?? 0) + 1)
      rows++
    }
    const sorted = [...reasons].sort(([a], [b]) => (a < b ? -1 : 1))
    objects.push({ path: key, rows, bytes: bytes.length, reasons: Object.fromEntries(sorted) })
  }
  const numberOf = ({ path }: QuarantineObject): number => Number(/-(\d+)\.jsonl\.zst$/.exec(path)?.[1] ?? 0)
  objects.sort((a, b) => numberOf(a) - numberOf(b))
  // plans of the run that lost refused the same records: the last one that refused as many is what was committed
  const plans = [...Map.groupBy(objects, (object) => Math.floor(numberOf(object) / QUARANTINE_NUMBERS)).values()]
  const rowsOf = (some: readonly QuarantineObject[]): number => some.reduce((sum, { rows }) => sum + rows, 0)
  return plans.findLast((some) => rowsOf(some) === claimed) ?? plans.at(-1) ?? []
}

async function linesOf(bytes: Uint8Array): Promise<readonly string[]> {
  try {
    return (await decompress(bytes)).toString('utf8').split('\n')
  } catch {
    return []
  }
}
