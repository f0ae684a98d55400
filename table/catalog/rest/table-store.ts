/**
 * The store of a table as its catalog describes it: endpoint, region, and credentials that the catalog gives out for
 * this table alone ("vended"). Names of the settings as Iceberg's FileIO has them.
 */
import type { Clock } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import type { ObjectStore } from '../../io/object-store.ts'
import { openStore, type S3Credentials, type S3Options, type StoreOptions } from '../../io/open-store.ts'
import { normaliseLocation } from '../../spec/location.ts'
import type { LoadedTable } from './wire.ts'

type Settings = Readonly<Record<string, string>>

export interface TableStoreOptions {
  /** Of the catalog: `s3.*` and `client.region` among others. */
  readonly catalogSettings: Settings
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  readonly clock: Clock
  /** The table anew, for credentials that run out. */
  reload(): Promise<LoadedTable>
}

/** @throws {FirnError} `FIRN_BAD_WAREHOUSE_URL` (invalid). */
export function openTableStore(table: LoadedTable, options: TableStoreOptions): ObjectStore {
  const { clock } = options
  const { location } = table.state.metadata
  return openStore(normaliseLocation(location), { ...tableStoreOptions(table, options), clock })
}

/** As plain data, but for the credentials when they can be renewed. */
export function tableStoreOptions(table: LoadedTable, options: TableStoreOptions): Omit<StoreOptions, 'clock'> {
  const settings = settingsOf(table, options.catalogSettings)
  const endpoint = settings['s3.endpoint']
  const region = settings['client.region'] ?? settings['s3.region']
  const pathStyle = settings['s3.path-style-access']
  const s3: S3Options = {
    ...options.storeOptions.s3,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle: pathStyle !== 'false' }),
  }
  const first = credentialsOf(settings)
  if (first === undefined) return { ...options.storeOptions, s3 }
  return { ...options.storeOptions, s3: { ...s3, credentials: renewing(first, options) } }
}

function settingsOf({ state, config, storageCredentials }: LoadedTable, catalogSettings: Settings): Settings {
  const location = normaliseLocation(state.metadata.location)
  const closest = storageCredentials
    .filter(({ prefix }) => location.startsWith(normaliseLocation(prefix)))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0]
  return { ...catalogSettings, ...config, ...closest?.config }
}

function credentialsOf(settings: Settings): S3Credentials | undefined {
  const accessKeyId = settings['s3.access-key-id']
  const secretAccessKey = settings['s3.secret-access-key']
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  const expires = Number(settings['s3.session-token-expires-at-ms'])
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken: settings['s3.session-token'],
    ...(Number.isFinite(expires) && expires > 0 ? { expiresAtMillis: expires } : {}),
  }
}

/** Asked once at first, and again by the S3 client when what it was given is about to run out. */
function renewing(first: S3Credentials, options: TableStoreOptions): () => Promise<S3Credentials> {
  let given: S3Credentials | undefined = first
  return async () => {
    const known = given
    given = undefined
    if (known !== undefined) return known
    const again = credentialsOf(settingsOf(await options.reload(), options.catalogSettings))
    if (again !== undefined) return again
    throw new FirnError('invalid', 'FIRN_NO_CREDENTIALS', 'the catalog no longer gives out credentials for the table', {
      help: 'Check what this identity may do in the catalog, then run the same command again.',
    })
  }
}
