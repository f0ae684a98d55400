/** File system errors -> the store's errors. */
import { FirnError } from '../errors.ts'
import { objectNotFound, storeUnavailable } from './store-errors.ts'

/** What to throw for `error`; errors of our own and errors without a system code (aborts, bugs) stay as they are. */
export function fileFailure(storeUrl: string, key: string, verb: string, error: unknown): unknown {
  const code = FirnError.is(error) ? undefined : systemCode(error)
  const detail = { store: storeUrl, key, ...(code === undefined ? {} : { code }) }
  switch (code) {
    case undefined:
      return error
    case 'ENOENT':
    case 'EISDIR':
      return verb === 'read' ? objectNotFound(storeUrl, key, error) : unavailable(storeUrl, key, verb, error)
    case 'ENOTDIR':
      if (verb === 'read') return objectNotFound(storeUrl, key, error)
      return new FirnError('invalid', 'FIRN_INVALID_KEY', `Cannot ${verb} ${key} in ${storeUrl}: a parent is a file.`, {
        detail,
        help: 'In a file store no key can be the beginning of another one with a slash behind it; use another name.',
        cause: error,
      })
    case 'ENAMETOOLONG':
      return new FirnError(
        'invalid',
        'FIRN_INVALID_KEY',
        `Key ${key} is too long for the file system of ${storeUrl}.`,
        {
          detail,
          help: 'Most file systems allow 255 bytes between two slashes; shorten the name or use an s3:// warehouse.',
          cause: error,
        },
      )
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new FirnError('invalid', 'FIRN_ACCESS_DENIED', `May not ${verb} ${key} in ${storeUrl} (${code}).`, {
        detail,
        help: 'Give this user read and write permission on the warehouse folder; it must support hard links.',
        cause: error,
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new FirnError(
        'unavailable',
        'FIRN_STORE_UNAVAILABLE',
        `No room to ${verb} ${key} in ${storeUrl} (${code}).`,
        {
          detail,
          help: 'Make room on that disk or raise its quota, then run the same command again; what is there is whole.',
          cause: error,
        },
      )
    case 'EXDEV':
    case 'ENOTSUP':
    case 'EOPNOTSUPP':
    case 'ENOSYS':
      return new FirnError('invalid', 'FIRN_STORE_UNSUPPORTED', `${storeUrl} does not support hard links (${code}).`, {
        detail,
        help: 'Put the whole warehouse on one local file system with hard links, or use an s3:// warehouse.',
        cause: error,
      })
    default:
      return unavailable(storeUrl, key, verb, error)
  }
}

/** The code of a system error, as `ENOENT`; an abort's `DOMException` has a number there, and is none. */
function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

const unavailable = (storeUrl: string, key: string, verb: string, error: unknown): FirnError =>
  storeUnavailable(storeUrl, `The attempt to ${verb} ${key}`, error)
