/** Protocols that look right and are not. Each leaves out one thing; the simulation has to see that. */
import './synchronous-zlib.ts'

import { fileTableOperations, loadMetadataFile } from '../../table/catalog/file.ts'
import { type Clock, FirnError, openCatalog, subStore, Table, type TableOperations } from '../../table/index.ts'
import { getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { printMetadata } from '../../table/spec/metadata.ts'
import { text, utf8 } from '../contract/object-store.ts'
import { FOLDER, type Protocol, TABLE } from './world.ts'

const keyOf = (version: number): string => `metadata/v${version}.metadata.json`
const HINT = 'metadata/version-hint.text'

/** The metadata file is put without a condition: who comes second overwrites who came first. */
export const plainPut: Protocol = {
  open: (store, clock) => openCatalog(unconditional(store), { clock }).loadTable(TABLE),
}

function unconditional(store: ObjectStore): ObjectStore {
  return {
    ...store,
    put: (key, body, options) => {
      if (!key.startsWith(`${FOLDER}/metadata/v`)) return store.put(key, body, options)
      return store.put(key, body, { signal: options?.signal })
    },
  }
}

/** The newest version is what the hint says. */
export const trustedHint: Protocol = {
  open: (store, clock) =>
    opened(store, clock, (table) => {
      const load = async () => {
        const hint = await table.get(HINT)
        const version = Number(text(hint.bytes))
        return loadMetadataFile(table, keyOf(version), version)
      }
      return { ...creating(table), load }
    }),
}

/** What the create of the next version was answered is the truth, and a failed commit is simply made again. */
export const noSecondLook: Protocol = {
  forgetful: true,
  open: (store, clock) =>
    opened(store, clock, (table) => ({
      ...fileTableOperations(table, clock),
      commit: async (base, { next }) => {
        const version = base.version + 1
        await table.put(keyOf(version), utf8(printMetadata(next)), { ifNoneMatch: '*' })
        return {
          kind: 'committed',
          state: { metadata: next, version, metadataLocation: `${table.url}/${keyOf(version)}` },
        }
      },
    })),
}

/** A request that got no answer is taken to have had no effect once the table was read again. */
export const forgottenTries: Protocol = {
  open: (store, clock) =>
    opened(store, clock, (table) => ({ ...fileTableOperations(table, clock), isSettled: () => true })),
}

/** A create that succeeds is a commit, however old its base: it may have gone where newer versions had been removed. */
export const noConfirmation: Protocol = {
  open: (store, clock) =>
    opened(store, clock, (table) => ({ ...fileTableOperations(table, clock), commit: creating(table).commit })),
}

/** Conditional create and look at who won, without a look at what is newer. */
function creating(table: ObjectStore): Omit<TableOperations, 'load'> {
  return {
    isSettled: (base, _proposal, current) => current.version > base.version,
    commit: async (base, { next }) => {
      const version = base.version + 1
      const bytes = utf8(printMetadata(next))
      try {
        await table.put(keyOf(version), bytes, { ifNoneMatch: '*' })
      } catch (cause) {
        if (FirnError.is(cause, 'FIRN_STORE_KILLED')) throw cause
        const found = await getIfExists(table, keyOf(version))
        if (found === undefined) return { kind: 'unknown', cause }
        if (Buffer.compare(found.bytes, bytes) !== 0) return { kind: 'conflict' }
      }
      await table.put(HINT, utf8(String(version))).catch(() => {})
      return {
        kind: 'committed',
        state: { metadata: next, version, metadataLocation: `${table.url}/${keyOf(version)}` },
      }
    },
  }
}

async function opened(
  store: ObjectStore,
  clock: Clock,
  operationsOf: (table: ObjectStore) => TableOperations,
): Promise<Table> {
  const table = subStore(store, FOLDER)
  const operations = operationsOf(table)
  return new Table(TABLE, table, await operations.load(), clock, { operations, writable: true })
}
