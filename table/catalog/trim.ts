/**
 * Removing old metadata files. A writer that stalled on version N can create N+1 again once N+1 was removed, and take
 * that for a commit. So a file is removed only when it is old, and a writer gives a try up in half that time; the
 * listing after each commit finds whoever is later still.
 */
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../io/object-store.ts'
import type { TableMetadata } from '../spec/metadata.ts'

/** Iceberg's own property. Off by default. */
const ENABLED = 'write.metadata.delete-after-commit.enabled'
/** Ours: milliseconds that a metadata file stays at least; an hour unless it says more or less, never under a minute. */
const MIN_AGE = 'firn.metadata.min-age-ms'
const DEFAULT_MIN_AGE_MILLIS = 3_600_000
/** Less would leave a slow writer no time to commit. */
const LEAST_MIN_AGE_MILLIS = 60_000
/** Newest versions that stay, however old. */
export const KEPT_VERSIONS = 10
/** More than one, so that a backlog shrinks; few, so that no commit takes long. */
const MAX_DELETES = 10

/** Age below which no metadata file is removed. */
export function minimumAgeMillis({ properties }: TableMetadata): number {
  const value = Number(properties[MIN_AGE] ?? DEFAULT_MIN_AGE_MILLIS)
  return Number.isFinite(value) ? Math.max(value, LEAST_MIN_AGE_MILLIS) : DEFAULT_MIN_AGE_MILLIS
}

/** How old the base of a try may be when it is committed. */
export const maximumBaseAgeMillis = (metadata: TableMetadata): number => minimumAgeMillis(metadata) / 2

/**
 * The versions that the commit of `version` may remove, oldest first. Pure.
 * @param versions as listed after the commit; ages are differences of the store's own times.
 */
export function planTrim(
  metadata: TableMetadata,
  version: number,
  versions: ReadonlyMap<number, ObjectInfo>,
): readonly ObjectInfo[] {
  const newest = versions.get(version)
  if (metadata.properties[ENABLED]?.toLowerCase() !== 'true' || newest === undefined) return []
  const logged = new Set(
    metadata.metadataLog.map((entry) => entry.metadataFile.slice(entry.metadataFile.lastIndexOf('/'))),
  )
  const oldEnough = newest.lastModifiedMillis - minimumAgeMillis(metadata)
  return [...versions]
    .filter(
      ([number, info]) =>
        number <= version - KEPT_VERSIONS &&
        info.lastModifiedMillis < oldEnough &&
        !logged.has(info.key.slice(info.key.lastIndexOf('/'))),
    )
    .sort(([a], [b]) => a - b)
    .slice(0, MAX_DELETES)
    .map(([, info]) => info)
}

/** The commit stands whether this succeeds or not: what is left is removed by a later one. */
export async function trim(store: ObjectStore, files: readonly ObjectInfo[], options: AbortableOptions): Promise<void> {
  await Promise.allSettled(files.map(({ key, etag }) => store.delete(key, { ifMatch: etag, signal: options.signal })))
}
