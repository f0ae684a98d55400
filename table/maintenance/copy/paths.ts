/** What the objects of a table are called in a copy of it. */
import { createHash } from 'node:crypto'
import { FirnError } from '../../errors.ts'
import { isOutsideKey } from '../../io/keys.ts'
import { keyOfPath } from '../../spec/location.ts'

export interface PathMap {
  /** Location of the copy. */
  readonly location: string
  /** Key of the object in the source's store. @throws {FirnError} `FIRN_PATH_OUTSIDE_TABLE` (invalid). */
  sourceKey(path: string): string
  /** Key of its copy. @throws as `sourceKey`; `FIRN_COPY_SOURCE_INVALID` (invalid) for a key that the copy itself needs. */
  targetKey(path: string): string
  /** URL of its copy. */
  targetPath(path: string): string
}

export const MARKER_KEY = 'metadata/copy-in-progress.json'
/** A table that names such an object as one of its files would make a table of the copy before it is complete. */
const RESERVED = /^metadata\/(?:version-hint\.text|copy-in-progress\.json|[^/]*\.metadata\.json(?:\.gz)?)$/

/** @param from location in the metadata of the source. @param to URL of the copy's folder. */
export function mapPaths(from: string, to: string): PathMap {
  const sourceKey = (path: string): string => keyOfPath(from, path)
  const targetKey = (path: string): string => {
    const key = sourceKey(path)
    if (isOutsideKey(key)) return keyForOutside(key)
    if (!RESERVED.test(key)) return key
    throw new FirnError('invalid', 'FIRN_COPY_SOURCE_INVALID', `${path} is no name for a file of a table`, {
      detail: { path },
    })
  }
  return { location: to, sourceKey, targetKey, targetPath: (path) => `${to}/${targetKey(path)}` }
}

/** A copy holds its files itself: one of another folder moves in, under a name that follows from where it was. */
function keyForOutside(url: string): string {
  const digest = createHash('sha256').update(url).digest('hex').slice(0, 16)
  return `data/elsewhere-${digest}-${url.slice(url.lastIndexOf('/') + 1)}`
}
