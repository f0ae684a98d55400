/** The errors that every adapter reports in the same words. */
import { FirnError } from '../errors.ts'

export function objectNotFound(storeUrl: string, key: string, cause?: unknown): FirnError {
  return new FirnError('not-found', 'FIRN_OBJECT_NOT_FOUND', `There is no object ${key} in ${storeUrl}.`, {
    detail: { store: storeUrl, key },
    cause,
  })
}

/** `condition`: the header as S3 has it, e.g. `If-None-Match: *`. */
export function preconditionFailed(storeUrl: string, key: string, condition: string, cause?: unknown): FirnError {
  return new FirnError(
    'conflict',
    'FIRN_PRECONDITION_FAILED',
    `${key} in ${storeUrl} was left as it is: ${condition} does not hold.`,
    { detail: { store: storeUrl, key, condition }, cause },
  )
}

/** `root`: URL of the table or of the store that `path` does not belong to. */
export function outsideTable(path: string, root: string): FirnError {
  return new FirnError('invalid', 'FIRN_PATH_OUTSIDE_TABLE', `${path} is not under ${root}`, {
    detail: { path, location: root },
    help: 'If you trust who wrote the metadata, allow the place when you open the table (allowedLocations), or copy the files under the table.',
  })
}

export function storeUnavailable(storeUrl: string, what: string, cause?: unknown): FirnError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : ''
  return new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', `${what} in ${storeUrl} failed${why}`, {
    detail: { store: storeUrl },
    help: 'Check that the store is up and reachable, then run the same command again.',
    cause,
  })
}

/** `ifNoneMatch` and `ifMatch` exclude each other. @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). */
export function assertOneCondition(
  key: string,
  options: { readonly ifNoneMatch?: '*'; readonly ifMatch?: string } | undefined,
): void {
  if (options?.ifNoneMatch === undefined || options.ifMatch === undefined) return
  throw new FirnError('invalid', 'FIRN_INVALID_OPTION', `Put of ${key} has both ifNoneMatch and ifMatch; give one.`)
}
