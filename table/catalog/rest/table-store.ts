/**
 * The store of a table as its catalog describes it: endpoint, region, and credentials that the catalog gives out for
 * this table alone ("vended"). Names of the settings as Iceberg's FileIO has them.
 */
import type { Clock } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import type { ObjectStore } from '../../io/object-store.ts'
import { openStore, type S3Credentials, type S3Options, type StoreOptions } from '../../io/open-store.ts'
import { normaliseLocation } from '../../spec/location.ts'
import { printable } from './errors.ts'
import { isLoopback, keepEncrypted } from './trust.ts'
import type { LoadedTable } from './wire.ts'

type Settings = Readonly<Record<string, string>>

export interface TableStoreOptions {
  /** As the user named it. */
  readonly catalogUri: string
  /** Of the catalog, `s3.*` and `client.region` among others: beneath `storeOptions`, and above them. */
  readonly defaults: Settings
  readonly overrides: Settings
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  /** Also for a catalog that is elsewhere. */
  readonly allowLocalFiles?: boolean | undefined
  readonly clock: Clock
  /** The table anew, for credentials that run out. */
  reload(): Promise<LoadedTable>
}

export interface TableStore {
  readonly store: ObjectStore
  /** How a worker thread opens it too: plain data, with the credentials of this moment. */
  workerOptions(): Promise<Omit<StoreOptions, 'clock'>>
}

/** @throws {FirnError} `FIRN_BAD_WAREHOUSE_URL`, `FIRN_CATALOG_REFUSED` (both invalid). */
export function openTableStore(table: LoadedTable, options: TableStoreOptions): TableStore {
  const { clock, storeOptions } = options
  const location = normaliseLocation(table.state.metadata.location)
  checkPlace(location, options)
  const settings = settingsOf(table, options.overrides)
  const s3: S3Options = { ...s3OptionsOf(options.defaults), ...storeOptions.s3, ...s3OptionsOf(settings) }
  checkEndpoint(s3, options)
  const first = keysOf(table, options)
  const current = first === undefined ? undefined : renewing(first, options)
  const open: StoreOptions = {
    ...storeOptions,
    clock,
    s3: current === undefined ? s3 : { ...s3, credentials: current },
  }
  return {
    store: openStore(location, open),
    workerOptions: async () => ({
      ...storeOptions,
      s3: current === undefined ? s3 : { ...s3, credentials: await current() },
    }),
  }
}

function s3OptionsOf(settings: Settings): S3Options {
  const endpoint = settings['s3.endpoint']
  const region = settings['client.region'] ?? settings['s3.region']
  const pathStyle = settings['s3.path-style-access']
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle: pathStyle !== 'false' }),
  }
}

/** What is on this computer is not for a catalog elsewhere to point at. */
function checkPlace(
  location: string,
  { catalogUri, allowLocalFiles = isLoopback(catalogUri) }: TableStoreOptions,
): void {
  if (allowLocalFiles || !/^(file|memory):/i.test(location)) return
  const message = `the catalog at ${catalogUri} says that the table lies at ${printable(location)}, on this computer`
  throw new FirnError('invalid', 'FIRN_CATALOG_REFUSED', message, {
    help: 'Move the table to a store that the catalog shares, or open the catalog with allowLocalFiles: true.',
  })
}

/** The table's bytes, and the token that reads them, go there. */
function checkEndpoint({ endpoint }: S3Options, { catalogUri, storeOptions }: TableStoreOptions): void {
  if (endpoint === undefined || endpoint === storeOptions.s3?.endpoint || isLoopback(endpoint)) return
  keepEncrypted(catalogUri, endpoint, 's3.endpoint')
}

/** What is given out for the table or to everybody, unless the user has keys and the catalog only a default. */
function keysOf(
  table: LoadedTable,
  { overrides, defaults, storeOptions }: TableStoreOptions,
): S3Credentials | undefined {
  const given = credentialsOf(settingsOf(table, overrides))
  if (given !== undefined || storeOptions.s3?.credentials !== undefined) return given
  return credentialsOf(defaults)
}

function settingsOf({ state, config, storageCredentials }: LoadedTable, overrides: Settings): Settings {
  const location = normaliseLocation(state.metadata.location)
  const closest = storageCredentials
    .filter(({ prefix }) => location.startsWith(normaliseLocation(prefix)))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0]
  return { ...overrides, ...config, ...closest?.config }
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

/** The S3 client asks again five minutes before what it was given runs out. */
const MARGIN_MILLIS = 360_000
/** After a renewal that failed: every request would wait for another one. */
const PAUSE_MILLIS = 15_000

/** The credentials of this moment; the table is loaded again for new ones when they are about to run out. */
function renewing(first: S3Credentials, options: TableStoreOptions): () => Promise<S3Credentials> {
  const { clock, reload } = options
  let held = first
  let pending: Promise<S3Credentials> | undefined
  const renew = async (): Promise<S3Credentials> => {
    const again = keysOf(await reload(), options)
    if (again !== undefined) return again
    throw new FirnError('invalid', 'FIRN_NO_CREDENTIALS', 'the catalog no longer gives out credentials for the table', {
      help: 'Check what this identity may do in the catalog, then run the same command again.',
    })
  }
  const expires = (): number => held.expiresAtMillis ?? Number.POSITIVE_INFINITY
  let failedAtMillis = Number.NEGATIVE_INFINITY
  return async () => {
    if (clock.nowMillis() < expires() - MARGIN_MILLIS) return held
    const paused = clock.monotonicMillis() - failedAtMillis < PAUSE_MILLIS
    if (paused && clock.nowMillis() < expires()) return held
    // many requests find it run out at once; one of them asks
    pending ??= renew().finally(() => {
      pending = undefined
    })
    try {
      held = await pending
    } catch (error) {
      // what is held serves to its very end
      if (clock.nowMillis() >= expires()) throw error
      failedAtMillis = clock.monotonicMillis()
    }
    return held
  }
}
