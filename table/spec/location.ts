/**
 * Absolute paths in metadata against the store that holds them. A table's store is rooted at the table's folder; every
 * path of the metadata must lie under the metadata's own `location`, whatever the folder is called today, so a table
 * that was copied as a whole still reads.
 */
import { FirnError } from '../errors.ts'

/** One spelling for the ones in use: `s3a://`, `s3n://` are S3, `file:/x` is `file:///x`, `/x` too; no trailing slash. */
export function normaliseLocation(url: string): string {
  const trimmed = url.replace(/\/+$/, '')
  if (/^s3[an]:\/\//.test(trimmed)) return `s3${trimmed.slice(3)}`
  if (trimmed.startsWith('/')) return `file://${trimmed}`
  const file = /^file:\/+(.*)$/.exec(trimmed)
  return file ? `file:///${file[1]}` : trimmed
}

/**
 * The key, in a store rooted at the table's folder, of the object that metadata calls `path`.
 * @param location the metadata's `location`.
 * @throws {FirnError} `FIRN_PATH_OUTSIDE_TABLE` (invalid): metadata is input, and must not point anywhere it likes.
 */
export function keyOfPath(location: string, path: string): string {
  const root = `${normaliseLocation(location)}/`
  const full = normaliseLocation(path)
  const key = full.slice(root.length)
  if (
    !full.startsWith(root) ||
    key.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')
  ) {
    throw new FirnError('invalid', 'FIRN_PATH_OUTSIDE_TABLE', `${path} is not under the table's location ${location}`, {
      detail: { path, location },
      help: 'Tables whose files lie elsewhere are not read. Copy the files under the table location.',
    })
  }
  return key
}
