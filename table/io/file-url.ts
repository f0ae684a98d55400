/**
 * `file:` URL <-> absolute path.
 *
 * Other engines mostly use a `file://` location as it stands, without percent-decoding, so the URL that we write
 * keeps spaces and letters as they are and encodes only what would change the meaning of the URL: `%`, `?`, `#`.
 * What is read back may be encoded more than that.
 */
import { isAbsolute, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FirnError } from '../errors.ts'

/** Absolute path of `file:///dir`, `file:/dir` or `file://localhost/dir`. @throws {FirnError} `FIRN_BAD_WAREHOUSE_URL`. */
export function pathOfFileUrl(url: string): string {
  if (!/^file:\//i.test(url)) throw badFileUrl(url, 'its path is relative')
  let path: string
  try {
    const parsed = new URL(url)
    if (parsed.search !== '' || parsed.hash !== '') throw new Error("'?' and '#' must be written %3F and %23")
    path = fileURLToPath(parsed)
  } catch (error) {
    throw badFileUrl(url, error instanceof Error ? error.message : String(error), error)
  }
  if (!isAbsolute(path) || path.includes('\0')) throw badFileUrl(url, 'it is not an absolute path')
  return withoutTrailingSlash(normalize(path)) || '/'
}

/** Inverse of `pathOfFileUrl`, without a trailing slash: `<url>/<key>` is always the URL of a key. */
export function fileUrlOfPath(path: string): string {
  return `file://${withoutTrailingSlash(path).replace(/[%?#\\\n\r\t]| $/g, encodeURIComponent)}`
}

const withoutTrailingSlash = (path: string): string => path.replace(/\/+$/, '')

const badFileUrl = (url: string, why: string, cause?: unknown): FirnError =>
  new FirnError('invalid', 'FIRN_BAD_WAREHOUSE_URL', `${JSON.stringify(url)} is not a folder's URL: ${why}.`, {
    detail: { url },
    help: 'Write file:// and the absolute path of the folder: three slashes, as in file:///data/warehouse.',
    cause,
  })
