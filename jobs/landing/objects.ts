/** `land --from s3://…`: which URLs name objects that others staged, and the stores they are read from. */
import { objectSource, type RecordSource, splitObjectUrl } from '../../ingest/index.ts'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { openStore } from '../../table/io/open-store.ts'
import type { Config } from '../config.ts'

/** Objects rather than files of lines: everything but local paths, and `file:` URLs of folders, with a slash at the end. */
export const namesObjects = (from: string): boolean => /^(s3|memory):\/\//i.test(from) || /^file:.*\/$/i.test(from)

/** @throws {FirnError} `FIRN_USAGE` when some of `from` are objects and others files. */
export function areObjects(from: readonly string[]): boolean {
  const foreign = from.find((one) => /^[a-z][a-z0-9+.-]+:\//i.test(one) && !/^(s3:\/\/|memory:\/\/|file:\/)/i.test(one))
  if (foreign !== undefined) {
    throw new FirnError('invalid', 'FIRN_USAGE', `--from ${foreign}: nothing is landed from there`, {
      help: 'give paths of files, file:///folder/ or s3://bucket/prefix/',
    })
  }
  const objects = from.filter(namesObjects)
  if (objects.length === 0 || objects.length === from.length) return objects.length > 0
  const file = from.find((one) => !namesObjects(one))
  throw new FirnError('invalid', 'FIRN_USAGE', `--from names objects (${objects[0]}) and files (${file})`, {
    help: 'land them by two commands: their records are numbered in different ways',
  })
}

export interface ObjectTarget {
  readonly urls: readonly string[]
  /** Stream name to land under. */
  readonly as: string
}

/**
 * Whoever owns the objects: what the settings demand of the warehouse's bucket (owner, encryption) is not asked of
 * theirs.
 * @throws {FirnError} `FIRN_BAD_WAREHOUSE_URL`, `FIRN_USAGE` (invalid).
 */
export function objectTargetSource({ urls, as }: ObjectTarget, config: Config, clock: Clock): RecordSource {
  const { endpoint, region } = config.s3
  const s3 = { ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }) }
  const places = urls.map((url) => {
    refuseWarehouse(url, config.warehouse)
    const { root, name } = splitObjectUrl(url)
    return { store: openStore(root, { s3, clock }), name }
  })
  return objectSource({ places, as })
}

/** A source that holds its own staging would never come to an end. */
function refuseWarehouse(url: string, warehouse: string): void {
  const root = `${warehouse.replace(/\/+$/, '')}/`
  const begin = url.endsWith('*') ? url.slice(0, -1) : `${url.replace(/\/+$/, '')}/`
  if (!root.startsWith(begin) && !begin.startsWith(root)) return
  throw new FirnError('invalid', 'FIRN_USAGE', `${url} and the warehouse ${warehouse} lie in each other`, {
    help: 'land from a prefix that has nothing to do with the warehouse',
  })
}
