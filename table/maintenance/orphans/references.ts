/** Everything that a table leads to, in one spelling. */
import { KEPT_VERSIONS, minimumAgeMillis } from '../../catalog/trim.ts'
import type { AbortableOptions, ObjectInfo } from '../../io/object-store.ts'
import type { TableMetadata } from '../../spec/metadata.ts'
import type { Table } from '../../table.ts'
import { canonicalPath, pathOnly } from '../canonical-path.ts'
import { reachableFiles } from '../reachable.ts'

export interface References {
  /** Canonical. */
  readonly paths: ReadonlySet<string>
  /** Those outside of the table's folder, by their path without scheme and authority. */
  readonly elsewhere: ReadonlyMap<string, string>
}

const HINT = 'metadata/version-hint.text'

export async function referencesOf(table: Table, options: AbortableOptions): Promise<References> {
  const { metadata, metadataLocation, store, location } = table
  const files = await reachableFiles(store, metadata, options)
  const metadataFiles = [metadataLocation, ...metadata.metadataLog.map((entry) => entry.metadataFile)]
  const paths = new Set<string>()
  const elsewhere = new Map<string, string>()
  const root = canonicalPath(`${location}/`)
  for (const path of [...files, ...metadataFiles, `${location}/${HINT}`]) {
    const canonical = canonicalPath(path)
    paths.add(canonical)
    if (!canonical.startsWith(`${root}/`)) elsewhere.set(pathOnly(canonical), path)
  }
  return { paths, elsewhere }
}

const VERSION_NAME = /^metadata\/v(\d+)(?:\.gz\.metadata\.json|\.metadata\.json(?:\.gz)?)$/

/**
 * Metadata files that stay although the log does not name them any more: a writer that stalled on one could create its
 * successor again and take that for a commit. The same rules as trimming.
 */
export function protectedVersions(metadata: TableMetadata, objects: readonly ObjectInfo[]): ReadonlySet<string> {
  const versions = objects.flatMap((info) => {
    const match = VERSION_NAME.exec(info.key)
    return match === null ? [] : [{ version: Number(match[1]), info }]
  })
  const newest = versions.reduce((a, b) => (b.version > a.version ? b : a), versions[0]!)
  const oldEnough = (newest?.info.lastModifiedMillis ?? 0) - minimumAgeMillis(metadata)
  return new Set(
    versions
      .filter(({ version, info }) => version > newest.version - KEPT_VERSIONS || info.lastModifiedMillis >= oldEnough)
      .map(({ info }) => info.key),
  )
}
