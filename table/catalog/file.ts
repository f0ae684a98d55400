/**
 * The file catalog: a table's pointer is the highest `metadata/vN.metadata.json`, created with `If-None-Match: *`.
 *
 * - Writers and readers find the base by LIST, never by the hint: a stale hint may stand before a gap.
 * - The create of vN+1 is the commit. What answers it is not trusted: after a refusal or an unknown outcome vN+1 is
 *   read back, since a retried PUT is refused by its own first attempt.
 * - After a success the versions are listed again: a higher one that does not descend from ours means that ours went
 *   into a gap where newer metadata had been deleted; it is not the table.
 * - Old versions are removed only when nobody can be stalled on them any more: see trim.ts.
 * - `version-hint.text` serves PyIceberg and DuckDB, which trust it: digits without a newline, only ever raised.
 */
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { type AbortableOptions, getIfExists, type ObjectInfo, type ObjectStore } from '../io/object-store.ts'
import { parseMetadata, printMetadata, snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { SwapOutcome, TableOperations, TableState } from './catalog.ts'
import { maximumBaseAgeMillis, planTrim, trim } from './trim.ts'

const HINT_KEY = 'metadata/version-hint.text'
const HINT_TRIES = 5
/** Bytes of the text that compressed metadata may come to: real documents shrink to a tenth or so. */
const mostText = (compressedBytes: number): number => Math.min(1 << 29, (16 << 20) + compressedBytes * 64)
const metadataKey = (version: number): string => `metadata/v${version}.metadata.json`

/** @param store rooted at the table's folder. */
export function fileTableOperations(store: ObjectStore, clock: Clock): TableOperations {
  return {
    load: async (options) => {
      const loadedAtMillis = clock.monotonicMillis()
      return { ...(await loadNewest(store, options)), loadedAtMillis }
    },
    commit: async (base, { next }, options) => {
      // What stood behind so old a base may have been removed: its place would look free.
      const now = clock.monotonicMillis()
      if (now - (base.loadedAtMillis ?? now) > maximumBaseAgeMillis(base.metadata)) return { kind: 'conflict' }
      return swap(store, base, next, options)
    },
    recovered: (state) => raiseHint(store, state.version),
    // The place of the try is taken, by whomever.
    isSettled: (base, _proposal, current) => current.version > base.version,
  }
}

/**
 * Create version 1.
 * @throws {FirnError} `FIRN_TABLE_EXISTS` (conflict); `FIRN_FOREIGN_CATALOG` (invalid);
 *   `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit).
 */
export async function createFileTable(
  store: ObjectStore,
  metadata: TableMetadata,
  options: AbortableOptions = {},
): Promise<TableState> {
  const exists = (): FirnError =>
    new FirnError('conflict', 'FIRN_TABLE_EXISTS', `a table exists already at ${store.url}`, {
      detail: { location: store.url },
    })
  const unknown = (cause: unknown): FirnError => {
    const message = `creating ${store.url}: the store did not say whether it took effect`
    return new FirnError('unknown-commit', 'FIRN_COMMIT_STATE_UNKNOWN', message, {
      cause,
      help: 'Run the same command again: it finds out.',
    })
  }
  // Version 1 may have been trimmed away from under a table that lives on.
  if ((await listVersions(store, options)).size > 0) throw exists()
  const outcome = await createVersion(store, 1, metadata, options)
  if (outcome.kind === 'conflict') throw exists()
  if (outcome.kind === 'unknown') throw unknown(outcome.cause)
  const newest = await loadNewest(store).catch((cause: unknown) => {
    throw unknown(cause)
  })
  if (newest.metadata.tableUuid !== metadata.tableUuid) throw exists()
  await raiseHint(store, 1)
  return outcome.state
}

async function swap(
  store: ObjectStore,
  base: TableState,
  next: TableMetadata,
  options: AbortableOptions = {},
): Promise<SwapOutcome> {
  const outcome = await createVersion(store, base.version + 1, next, options)
  if (outcome.kind !== 'committed') return outcome
  try {
    const versions = await listVersions(store, {})
    const confirmed = await confirm(store, base, outcome.state, versions)
    if (confirmed.kind !== 'committed') return confirmed
    await raiseHint(store, outcome.state.version)
    await trim(store, planTrim(next, outcome.state.version, versions), options)
    return confirmed
  } catch (cause) {
    return { kind: 'unknown', cause }
  }
}

/** The commit point. From the put on nothing is aborted: what was begun is brought to an answer. */
async function createVersion(
  store: ObjectStore,
  version: number,
  metadata: TableMetadata,
  options: AbortableOptions,
): Promise<SwapOutcome> {
  const key = metadataKey(version)
  const bytes = Buffer.from(printMetadata(metadata), 'utf8')
  options.signal?.throwIfAborted()
  try {
    await store.put(key, bytes, { ifNoneMatch: '*' })
  } catch (cause) {
    if (!FirnError.is(cause, 'FIRN_PRECONDITION_FAILED') && !FirnError.is(cause, 'FIRN_STORE_UNAVAILABLE')) throw cause
    try {
      const found = await getIfExists(store, key)
      if (found === undefined) return { kind: 'unknown', cause }
      if (Buffer.compare(found.bytes, bytes) !== 0) return { kind: 'conflict' }
    } catch (readCause) {
      return { kind: 'unknown', cause: readCause }
    }
  }
  return { kind: 'committed', state: { metadata, metadataLocation: `${store.url}/${key}`, version } }
}

/**
 * Whether what we created is in the line of the newest metadata. The log's file names prove nothing: a version that
 * was trimmed away had the same name. Our new snapshots do, and so does a log entry with our very timestamp.
 */
async function confirm(
  store: ObjectStore,
  base: TableState,
  state: TableState,
  versions: ReadonlyMap<number, ObjectInfo>,
): Promise<SwapOutcome> {
  const newest = Math.max(...versions.keys())
  if (newest <= state.version) return { kind: 'committed', state }
  const later = await loadMetadataFile(store, versions.get(newest)!.key, newest)
  const inLog = later.metadata.metadataLog.some(
    (entry) =>
      entry.metadataFile.endsWith(`/${metadataKey(state.version)}`) &&
      entry.timestampMillis === state.metadata.lastUpdatedMillis,
  )
  const ours = state.metadata.snapshots.filter(
    ({ snapshotId }) => snapshotById(base.metadata, snapshotId) === undefined,
  )
  const ids = new Set(ours.map(({ snapshotId }) => snapshotId))
  const { snapshots } = later.metadata
  const builtUpon = snapshots.some(
    ({ snapshotId, parentSnapshotId }) =>
      ids.has(snapshotId) || (parentSnapshotId !== undefined && ids.has(parentSnapshotId)),
  )
  if (builtUpon) return { kind: 'committed', state }
  // Writers whose clocks are behind all take the millisecond after the base's, so that timestamps of rivals can be
  // equal. A sequence number has one snapshot only.
  const numbers = new Set(ours.map(({ sequenceNumber }) => sequenceNumber))
  const replaced = snapshots.some(({ sequenceNumber }) => numbers.has(sequenceNumber))
  // Both may have expired by now. Then the store's own times tell: a version is never younger than its successors.
  const placed = versions.get(state.version)?.lastModifiedMillis ?? Number.POSITIVE_INFINITY
  const isLater = [...versions].some(([number, info]) => number > state.version && info.lastModifiedMillis < placed)
  return inLog && !replaced && !isLater ? { kind: 'committed', state } : { kind: 'conflict' }
}

/** `v3.metadata.json`, and compressed as Java writes it: `v3.gz.metadata.json`, `v3.metadata.json.gz`. */
const VERSION_NAME = /^metadata\/v(\d+)(?:\.gz\.metadata\.json|\.metadata\.json(?:\.gz)?)$/
/** As other catalogs name them: `00003-<uuid>.metadata.json`. */
const FOREIGN_NAME = /^metadata\/\d{5,}-.*\.metadata\.json(?:\.gz)?$/

/**
 * Every version there is, by its number.
 * @throws {FirnError} `FIRN_FOREIGN_CATALOG` (invalid): another catalog has the pointer, ours would fork the table;
 *   `FIRN_METADATA_CORRUPT` (corrupt) when one version has two files.
 */
async function listVersions(store: ObjectStore, options: AbortableOptions): Promise<ReadonlyMap<number, ObjectInfo>> {
  const foreign = await foreignMetadata(store, options)
  if (foreign !== undefined) {
    throw new FirnError(
      'invalid',
      'FIRN_FOREIGN_CATALOG',
      `the table at ${store.url} belongs to another catalog: its metadata is named ${foreign}`,
      { detail: { location: store.url, key: foreign }, help: 'Name the metadata file itself to read it.' },
    )
  }
  const versions = new Map<number, ObjectInfo>()
  for await (const info of store.list('metadata/v', options)) {
    const { key } = info
    const match = VERSION_NAME.exec(key)
    if (match === null) continue
    const version = Number(match[1])
    const twin = versions.get(version)
    if (twin !== undefined) {
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${store.url} has both ${twin.key} and ${key}`)
    }
    versions.set(version, info)
  }
  return versions
}

/** Five digits begin with a zero up to the ten-thousandth version, so few other objects are listed. */
async function foreignMetadata(store: ObjectStore, options: AbortableOptions): Promise<string | undefined> {
  for await (const { key } of store.list('metadata/0', options)) if (FOREIGN_NAME.test(key)) return key
  return undefined
}

async function loadNewest(store: ObjectStore, options: AbortableOptions = {}): Promise<TableState> {
  const versions = await listVersions(store, options)
  const newest = Math.max(...versions.keys())
  const key = versions.get(newest)?.key
  if (key !== undefined) return loadMetadataFile(store, key, newest, options)
  throw new FirnError('not-found', 'FIRN_TABLE_NOT_FOUND', `there is no table at ${store.url}`, {
    detail: { location: store.url },
    help: 'Create it with: firn init <namespace.table> --dataset articles',
  })
}

/** One metadata file by its key. @param version N of `vN`, 0 for other names, which cannot be committed on. */
export async function loadMetadataFile(
  store: ObjectStore,
  key: string,
  version: number,
  options: AbortableOptions = {},
): Promise<TableState> {
  const { bytes } = await store.get(key, options)
  const metadataLocation = `${store.url}/${key}`
  return { metadata: parseMetadata(textOf(bytes, metadataLocation), metadataLocation), metadataLocation, version }
}

/** Whatever the name says, gzip is known by its first bytes. */
function textOf(bytes: Uint8Array, where: string): string {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return Buffer.from(bytes).toString('utf8')
  try {
    return gunzipSync(bytes, { maxOutputLength: mostText(bytes.length) }).toString('utf8')
  } catch (cause) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: damaged gzip`, { cause, detail: { where } })
  }
}

/**
 * Raise the hint to `version`; never lower it. The commit stands whether this succeeds or not, because nothing of ours
 * reads the hint: a failure is left for the next commit to mend.
 */
async function raiseHint(store: ObjectStore, version: number): Promise<void> {
  const text = Buffer.from(String(version), 'utf8')
  for (let attempt = 0; attempt < HINT_TRIES; attempt++) {
    try {
      const current = await getIfExists(store, HINT_KEY)
      const held = current === undefined ? 0 : Number(Buffer.from(current.bytes).toString('utf8').trim())
      if (held >= version) return
      const condition = current === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: current.etag }
      await store.put(HINT_KEY, text, condition)
      return
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) return
    }
  }
}
