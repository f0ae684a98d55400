/** Whether the table has its folder for itself. */
import { loadMetadataFile } from '../../catalog/file.ts'
import { FirnError } from '../../errors.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../io/object-store.ts'
import type { TableMetadata } from '../../spec/metadata.ts'
import { canonicalPath } from '../canonical-path.ts'
import type { Listing } from './listing.ts'
import type { References } from './references.ts'

const METADATA_FILE = /(?:^|\/)metadata\/[^/]*\.metadata\.json(?:\.gz)?$/
const HINT = /(?:^|\/)metadata\/version-hint\.text$/

/**
 * @throws {FirnError} `FIRN_LOCATION_SHARED` (invalid): metadata of another table lies in the folder or below it, so
 *   that what this one does not reference may be that one's.
 */
export async function assertOwnMetadata(
  store: ObjectStore,
  metadata: TableMetadata,
  { objects }: Listing,
  { paths }: References,
  options: AbortableOptions,
): Promise<void> {
  const { location } = metadata
  const below = objects.find(({ key }) => !key.startsWith('metadata/') && (METADATA_FILE.test(key) || HINT.test(key)))
  if (below !== undefined) throw shared(location, below.key)
  const unnamed = objects.filter(
    ({ key }) => METADATA_FILE.test(key) && !paths.has(canonicalPath(`${location}/${key}`)),
  )
  // Another table in the same folder is alive when its metadata is the youngest that this one does not name.
  const youngest = unnamed.reduce<ObjectInfo | undefined>(
    (a, b) => (a === undefined || b.lastModifiedMillis > a.lastModifiedMillis ? b : a),
    undefined,
  )
  if (youngest === undefined) return
  const uuid = await uuidOf(store, youngest.key, options)
  if (uuid !== undefined && uuid !== metadata.tableUuid) throw shared(location, youngest.key)
}

/** `undefined` when it cannot be told: damaged files belong to nobody. */
async function uuidOf(store: ObjectStore, key: string, options: AbortableOptions): Promise<string | undefined> {
  try {
    return (await loadMetadataFile(store, key, 0, { signal: options.signal })).metadata.tableUuid
  } catch (error) {
    if (FirnError.is(error) && (error.kind === 'corrupt' || error.kind === 'not-found')) return undefined
    throw error
  }
}

function shared(location: string, key: string): FirnError {
  const message = `${location}/${key} is metadata of another table: whose files are orphans cannot be told`
  return new FirnError('invalid', 'FIRN_LOCATION_SHARED', message, {
    detail: { location, key },
    help: 'Give each table a folder of its own: copy one of them elsewhere, or delete the one that nobody uses.',
  })
}
