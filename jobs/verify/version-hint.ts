/**
 * `metadata/version-hint.text`. Nothing of ours reads it, but PyIceberg and DuckDB trust it: a stale one shows them an
 * old table. A commit raises it after the new metadata is there, so a process that is killed in between leaves it behind.
 */
import { FirnError } from '../../table/errors.ts'
import type { Table } from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import type { Findings } from './problems.ts'

const HINT_KEY = 'metadata/version-hint.text'
/** Also compressed, in both of Java's spellings. */
const VERSIONED = /^metadata\/v(\d+)(?:\.gz\.metadata\.json|\.metadata\.json(?:\.gz)?)$/
const TRIES = 3

interface StaleHint {
  /** What it says; `undefined` when there is none. */
  readonly text: string | undefined
  readonly etag: string | undefined
  /** What it should say. */
  readonly newest: string
}

/** Keys of the metadata files that the file catalog numbers. */
export async function metadataVersions(
  store: ObjectStore,
  options: AbortableOptions,
): Promise<ReadonlyMap<number, string>> {
  const versions = new Map<number, string>()
  for await (const { key } of store.list('metadata/v', options)) {
    const version = VERSIONED.exec(key)?.[1]
    if (version !== undefined) versions.set(Number(version), key)
  }
  return versions
}

/** `undefined` when the hint is right, or when the table belongs to a catalog without numbered metadata files. */
async function staleHint({ store }: Table, options: AbortableOptions): Promise<StaleHint | undefined> {
  // The hint first: metadata files come before their hint, so a hint beyond the listing is ahead of the table.
  const hint = await getIfExists(store, HINT_KEY, options)
  const versions = await metadataVersions(store, options)
  const newest = Math.max(...versions.keys())
  const text = hint === undefined ? undefined : Buffer.from(hint.bytes).toString('utf8')
  if (versions.size === 0 || text === String(newest)) return undefined
  return { text, etag: hint?.etag, newest: String(newest) }
}

export async function verifyVersionHint(
  table: Table,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<void> {
  let stale = await staleHint(table, options)
  // once more: a commit may have been between its two writes
  if (stale !== undefined) stale = await staleHint(table, options)
  if (stale === undefined) return
  const says = stale.text === undefined ? 'missing' : JSON.stringify(stale.text)
  findings.add(
    'version-hint-stale',
    `${table.location}/${HINT_KEY}`,
    `it is ${says}, the newest metadata file is v${stale.newest}; readers that trust the hint see another table`,
  )
}

/**
 * Make the hint name the newest metadata file. Safe beside commits: the write is conditional on what was read.
 * @returns true when it was wrong and is right now.
 */
export async function mendVersionHint(table: Table, options: AbortableOptions = {}): Promise<boolean> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const stale = await staleHint(table, options)
    if (stale === undefined) return attempt > 0
    const condition = stale.etag === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: stale.etag }
    try {
      await table.store.put(HINT_KEY, Buffer.from(stale.newest), { ...condition, signal: options.signal })
      return true
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
    }
  }
  return false
}
