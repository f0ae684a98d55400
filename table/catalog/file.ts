/**
 * The file catalog: a table's pointer is the highest `metadata/vN.metadata.json`, created with `If-None-Match: *`.
 *
 * - Writers and readers find the base by LIST, never by the hint: a stale hint may stand before a gap.
 * - The create of vN+1 is the commit. What answers it is not trusted: after a refusal or an unknown outcome vN+1 is
 *   read back, since a retried PUT is refused by its own first attempt.
 * - After a success the versions are listed again: a higher one that does not descend from ours means that ours went
 *   into a gap where newer metadata had been deleted; it is not the table.
 * - `version-hint.text` serves PyIceberg and DuckDB, which trust it: digits without a newline, only ever raised.
 */
import { FirnError } from '../errors.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../io/object-store.ts'
import { parseMetadata, printMetadata, snapshotById, type TableMetadata } from '../spec/metadata.ts'
import type { SwapOutcome, TableOperations, TableState } from './catalog.ts'

const HINT_KEY = 'metadata/version-hint.text'
const HINT_TRIES = 5
const metadataKey = (version: number): string => `metadata/v${version}.metadata.json`

/** @param store rooted at the table's folder. */
export function fileTableOperations(store: ObjectStore): TableOperations {
  return {
    load: (options) => loadNewest(store, options),
    swap: (base, next, options) => swap(store, base, next, options),
  }
}

/**
 * Create version 1.
 * @throws {FirnError} `FIRN_TABLE_EXISTS` (conflict); `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit).
 */
export async function createFileTable(
  store: ObjectStore,
  metadata: TableMetadata,
  options: AbortableOptions = {},
): Promise<TableState> {
  const outcome = await createVersion(store, 1, metadata, options)
  if (outcome.kind === 'conflict') {
    throw new FirnError('conflict', 'FIRN_TABLE_EXISTS', `a table exists already at ${store.url}`, {
      detail: { location: store.url },
    })
  }
  if (outcome.kind === 'unknown') {
    const message = `creating ${store.url}: the store did not say whether it took effect`
    throw new FirnError('unknown-commit', 'FIRN_COMMIT_STATE_UNKNOWN', message, { cause: outcome.cause })
  }
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
    return await confirm(store, base, outcome.state, options)
  } catch (cause) {
    if (!FirnError.is(cause) || cause.kind !== 'unavailable') throw cause
    return { kind: 'unknown', cause }
  }
}

async function createVersion(
  store: ObjectStore,
  version: number,
  metadata: TableMetadata,
  options: AbortableOptions,
): Promise<SwapOutcome> {
  const key = metadataKey(version)
  const bytes = Buffer.from(printMetadata(metadata), 'utf8')
  const committed: SwapOutcome = {
    kind: 'committed',
    state: { metadata, metadataLocation: `${store.url}/${key}`, version },
  }
  try {
    await store.put(key, bytes, { ifNoneMatch: '*', ...options })
  } catch (cause) {
    if (!FirnError.is(cause, 'FIRN_PRECONDITION_FAILED') && !FirnError.is(cause, 'FIRN_STORE_UNAVAILABLE')) throw cause
    const refused = cause.code === 'FIRN_PRECONDITION_FAILED'
    try {
      const found = await getIfExists(store, key, options)
      if (found === undefined) return { kind: 'unknown', cause }
      if (Buffer.compare(found.bytes, bytes) !== 0) return { kind: 'conflict' }
    } catch (readCause) {
      if (!FirnError.is(readCause) || readCause.kind !== 'unavailable') throw readCause
      return refused ? { kind: 'unknown', cause: readCause } : { kind: 'unknown', cause }
    }
  }
  await raiseHint(store, version, options)
  return committed
}

/**
 * Whether what we created is in the line of the newest metadata. The log's file names prove nothing: a version that
 * was trimmed away had the same name. Our new snapshots do, and so does a log entry with our very timestamp.
 */
async function confirm(
  store: ObjectStore,
  base: TableState,
  state: TableState,
  options: AbortableOptions,
): Promise<SwapOutcome> {
  const newest = Math.max(...(await listVersions(store, options)).keys())
  if (newest <= state.version) return { kind: 'committed', state }
  const later = await loadVersion(store, newest, options)
  const inLog = later.metadata.metadataLog.some(
    (entry) =>
      entry.metadataFile.endsWith(`/${metadataKey(state.version)}`) &&
      entry.timestampMillis === state.metadata.lastUpdatedMillis,
  )
  const ours = state.metadata.snapshots.filter(
    ({ snapshotId }) => snapshotById(base.metadata, snapshotId) === undefined,
  )
  const builtUpon = ours.some(({ snapshotId }) => snapshotById(later.metadata, snapshotId) !== undefined)
  return inLog || builtUpon ? { kind: 'committed', state } : { kind: 'conflict' }
}

/** Every version there is: its number and its key. */
async function listVersions(store: ObjectStore, options: AbortableOptions): Promise<ReadonlyMap<number, string>> {
  const versions = new Map<number, string>()
  for await (const { key } of store.list('metadata/v', options)) {
    const match = /^metadata\/v(\d+)\.metadata\.json$/.exec(key)
    if (match) versions.set(Number(match[1]), key)
  }
  return versions
}

async function loadNewest(store: ObjectStore, options: AbortableOptions = {}): Promise<TableState> {
  const versions = await listVersions(store, options)
  if (versions.size === 0) throw await notFound(store, options)
  return loadVersion(store, Math.max(...versions.keys()), options)
}

async function loadVersion(store: ObjectStore, version: number, options: AbortableOptions): Promise<TableState> {
  return loadMetadataFile(store, metadataKey(version), version, options)
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
  const metadata = parseMetadata(Buffer.from(bytes).toString('utf8'), metadataLocation)
  return { metadata, metadataLocation, version }
}

async function notFound(store: ObjectStore, options: AbortableOptions): Promise<FirnError> {
  for await (const { key } of store.list('metadata/', options)) {
    if (/^metadata\/\d+-.*\.metadata\.json$/.test(key)) {
      return new FirnError(
        'invalid',
        'FIRN_FOREIGN_CATALOG',
        `the table at ${store.url} belongs to another catalog: its metadata is named ${key}`,
        { detail: { location: store.url, key }, help: 'Name the metadata file itself to read it.' },
      )
    }
  }
  return new FirnError('not-found', 'FIRN_TABLE_NOT_FOUND', `there is no table at ${store.url}`, {
    detail: { location: store.url },
    help: 'Create it with: firn init <namespace.table> --dataset articles',
  })
}

/**
 * Raise the hint to `version`; never lower it. The commit stands whether this succeeds or not, because nothing of ours
 * reads the hint: a failure is left for the next commit to mend.
 */
async function raiseHint(store: ObjectStore, version: number, options: AbortableOptions): Promise<void> {
  const text = Buffer.from(String(version), 'utf8')
  for (let attempt = 0; attempt < HINT_TRIES; attempt++) {
    try {
      const current = await getIfExists(store, HINT_KEY, options)
      const held = current === undefined ? 0 : Number(Buffer.from(current.bytes).toString('utf8').trim())
      if (held >= version) return
      await store.put(HINT_KEY, text, {
        ...options,
        ...(current === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: current.etag }),
      })
      return
    } catch (error) {
      if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) continue
      if (FirnError.is(error) && error.kind === 'unavailable') return
      throw error
    }
  }
}
