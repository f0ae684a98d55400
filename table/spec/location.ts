/**
 * Absolute paths in metadata against the store that holds them. A table's store is rooted at the table's folder; every
 * path of the metadata must lie under the metadata's own `location`, whatever the folder is called today, so a table
 * that was copied as a whole still reads.
 *
 * Paths elsewhere keep their URL as key. Every ordinary store refuses such a key; one made by `routedStore` takes the
 * places that its opener allowed.
 */
import { isOutsideKey } from '../io/keys.ts'
import { outsideTable } from '../io/store-errors.ts'

/** One spelling for the ones in use: `s3a://`, `s3n://` are S3, `file:/x` is `file:///x`, `/x` too; no trailing slash. */
export function normaliseLocation(url: string): string {
  const trimmed = url.replace(/\/+$/, '')
  if (/^s3[an]:\/\//.test(trimmed)) return `s3${trimmed.slice(3)}`
  if (trimmed.startsWith('/')) return `file://${trimmed}`
  const file = /^file:\/+(.*)$/.exec(trimmed)
  return file ? `file:///${file[1]}` : trimmed
}

/**
 * The key, in a store rooted at the table's folder, of the object that metadata calls `path`; for a path elsewhere its
 * normalised URL, which a store refuses unless its opener allowed that place.
 * @param location the metadata's `location`.
 * @throws {FirnError} `FIRN_PATH_OUTSIDE_TABLE` (invalid): metadata is input, and must not point anywhere it likes. A
 *   relative path, or one with an empty segment, `.` or `..`, is refused wherever it leads.
 */
export function keyOfPath(location: string, path: string): string {
  const root = `${normaliseLocation(location)}/`
  const full = normaliseLocation(path)
  const inside = full.startsWith(root)
  const segments = inside ? full.slice(root.length) : full.replace(/^file:\/\/\/|^[a-z][a-z0-9+.-]*:\/\//i, '')
  const walks =
    `${full}/` === root || segments.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')
  if (walks || !(inside || isOutsideKey(full))) throw outsideTable(path, location)
  return inside ? segments : full
}

/**
 * As `keyOfPath`, for what is to become part of the table.
 * @throws {FirnError} `FIRN_PATH_OUTSIDE_TABLE` (invalid) also for a well-formed path elsewhere.
 */
export function keyInTable(location: string, path: string): string {
  const key = keyOfPath(location, path)
  if (isOutsideKey(key)) throw outsideTable(path, location)
  return key
}
