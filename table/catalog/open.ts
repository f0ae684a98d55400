/** Catalog of a warehouse: `<warehouse>/<namespace>/<table>/`. */
import type { Clock } from '../clock.ts'
import { newUuid } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { type AbortableOptions, type ObjectStore, subStore } from '../io/object-store.ts'
import { probeConditionalWrites } from '../io/probe.ts'
import { type AllowedLocations, routedStore } from '../io/routed.ts'
import { parseMetadata, printMetadata, type TableMetadata } from '../spec/metadata.ts'
import { NO_PARTITION_ID } from '../spec/partition.ts'
import { highestFieldId } from '../spec/schema.ts'
import { UNSORTED } from '../spec/sort.ts'
import { Table } from '../table.ts'
import type { TableOperations } from './catalog.ts'
import { checkDefinition, type TableDefinition } from './definition.ts'
import { createFileTable, fileTableOperations, loadMetadataFile } from './file.ts'
import { untilAborted } from './until-aborted.ts'

export interface LoadTableOptions extends AbortableOptions {
  /**
   * Places outside of the table's folder that its metadata may name files of: the folder's URL and a store rooted
   * there. They are only ever read. Default: none, since whoever writes metadata could make a reader fetch anything.
   */
  readonly allowedLocations?: AllowedLocations
}

export interface Catalog {
  /** Who has the tables' pointers: their own folders, or a service. */
  readonly kind: 'file' | 'rest'
  /**
   * @param name `namespace.table`.
   * @throws {FirnError} `FIRN_TABLE_EXISTS` (conflict); `FIRN_CONDITIONAL_WRITES_IGNORED` (invalid): on such an
   *   endpoint two writers would overwrite each other; `FIRN_TABLE_DEFINITION_INVALID`, `FIRN_TABLE_NAME_INVALID`.
   */
  createTable(name: string, definition: TableDefinition, options?: AbortableOptions): Promise<Table>
  /** @throws {FirnError} `FIRN_TABLE_NOT_FOUND` (not-found); `FIRN_TABLE_NAME_INVALID` (invalid). */
  loadTable(name: string, options?: LoadTableOptions): Promise<Table>
  /** Names, sorted. */
  listTables(options?: AbortableOptions): Promise<readonly string[]>
}

export interface CatalogOptions {
  readonly clock: Clock
}

/** @param store rooted at the warehouse. */
export function openCatalog(store: ObjectStore, { clock }: CatalogOptions): Catalog {
  // One probe serves every commit of this process: an endpoint does not change its ways meanwhile. It belongs to no
  // caller, so that one caller's abort does not fail another.
  let probed: Promise<void> | undefined
  const probe = (options: AbortableOptions): Promise<void> => {
    probed ??= probeConditionalWrites(store).catch((error: unknown) => {
      probed = undefined
      throw error
    })
    return untilAborted(probed, options.signal)
  }
  const guarded = (table: ObjectStore, name: string): TableOperations => {
    const operations = fileTableOperations(table, clock)
    return {
      ...operations,
      table: name,
      commit: async (base, proposal, options = {}) => {
        await probe(options)
        return operations.commit(base, proposal, options)
      },
    }
  }
  return {
    kind: 'file',
    async createTable(name, definition, options = {}) {
      const table = subStore(store, tableFolder(name))
      const metadata = firstMetadata(table.url, definition, clock)
      await probe(options)
      return new Table(name, table, await createFileTable(table, metadata, options), clock, {
        operations: guarded(table, name),
        writable: true,
      })
    },
    async loadTable(name, { allowedLocations = {}, ...options } = {}) {
      const table = subStore(store, tableFolder(name))
      const operations = guarded(table, name)
      try {
        const files = routedStore(table, allowedLocations)
        return new Table(name, files, await operations.load(options), clock, { operations, writable: true })
      } catch (error) {
        if (!FirnError.is(error, 'FIRN_TABLE_NOT_FOUND')) throw error
        throw new FirnError('not-found', 'FIRN_TABLE_NOT_FOUND', `table ${name} is not in warehouse ${store.url}`, {
          cause: error,
          detail: { table: name, warehouse: store.url },
          help: `Create it with: firn init ${name} --dataset articles`,
        })
      }
    },
    listTables: (options) => listTables(store, options),
  }
}

export interface OpenTableOptions extends LoadTableOptions {
  readonly clock: Clock
  /** Key of one metadata file, e.g. `metadata/v3.metadata.json`; default: the newest. */
  readonly metadataFile?: string
}

/**
 * A table by its folder, read-only, whatever catalog it belongs to.
 * @param store rooted at the table's folder.
 */
export async function openTableAt(store: ObjectStore, options: OpenTableOptions): Promise<Table> {
  const { clock, metadataFile, allowedLocations = {}, ...abort } = options
  const file = fileTableOperations(store, clock)
  const load = (again?: AbortableOptions): ReturnType<typeof file.load> =>
    metadataFile === undefined ? file.load(again) : loadMetadataFile(store, metadataFile, 0, again)
  const access = { operations: { ...file, load }, writable: false }
  return new Table(undefined, routedStore(store, allowedLocations), await load(abort), clock, access)
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z0-9][A-Za-z0-9_-]*$/

/** @throws {FirnError} `FIRN_TABLE_NAME_INVALID` (invalid). */
export function tableFolder(name: string): string {
  if (!NAME.test(name)) {
    throw new FirnError('invalid', 'FIRN_TABLE_NAME_INVALID', `"${name}" is not a table name`, {
      help: 'A table is named namespace.table, of letters, digits, _ and -, e.g. news.articles',
    })
  }
  return name.replace('.', '/')
}

/** @throws {FirnError} `FIRN_TABLE_DEFINITION_INVALID` (invalid). */
function firstMetadata(location: string, definition: TableDefinition, clock: Clock): TableMetadata {
  const { schema, partitionSpec, sortOrder, properties } = definition
  checkDefinition(definition)
  const metadata: TableMetadata = {
    formatVersion: 2,
    tableUuid: newUuid(clock),
    location,
    lastSequenceNumber: 0,
    lastUpdatedMillis: clock.nowMillis(),
    lastColumnId: highestFieldId(schema),
    schemas: [schema],
    currentSchemaId: schema.schemaId,
    partitionSpecs: [partitionSpec],
    defaultSpecId: partitionSpec.specId,
    lastPartitionId: Math.max(NO_PARTITION_ID, ...partitionSpec.fields.map((field) => field.fieldId)),
    sortOrders: sortOrder.orderId === 0 ? [UNSORTED] : [UNSORTED, sortOrder],
    defaultSortOrderId: sortOrder.orderId,
    properties,
    snapshots: [],
    snapshotLog: [],
    metadataLog: [],
    refs: {},
    unknown: { statistics: [], 'partition-statistics': [] },
  }
  // What cannot be read back must not take the name.
  return parseMetadata(printMetadata(metadata), `definition of ${location}`)
}

/** Above every key that starts with what stands before it. */
const AFTER = '\u{10ffff}'

/** Jumps from folder to folder, so the number of requests follows the number of tables, not of objects. */
async function listTables(store: ObjectStore, options: AbortableOptions = {}): Promise<readonly string[]> {
  const tables: string[] = []
  let startAfter = ''
  for (;;) {
    const key = await firstKey(store, startAfter, options)
    if (key === undefined) return tables
    const [namespace, table, ...rest] = key.split('/') as [string, string | undefined, ...string[]]
    if (table === undefined || rest.length === 0) {
      startAfter = key
    } else if (namespace.startsWith('_')) {
      startAfter = `${namespace}/${AFTER}`
    } else {
      const name = `${namespace}.${table}`
      const folder = subStore(store, `${namespace}/${table}`)
      if (NAME.test(name) && (await firstKey(folder, '', options, 'metadata/v')) !== undefined) tables.push(name)
      startAfter = `${namespace}/${table}/${AFTER}`
    }
  }
}

async function firstKey(
  store: ObjectStore,
  startAfter: string,
  options: AbortableOptions,
  prefix = '',
): Promise<string | undefined> {
  for await (const { key } of store.list(prefix, { ...options, ...(startAfter === '' ? {} : { startAfter }) }))
    return key
  return undefined
}
