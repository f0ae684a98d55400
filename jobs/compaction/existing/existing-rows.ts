/**
 * The rows that a table has before a run, where a key has one row in the whole table: found by their keys, compared
 * together with the rows of the run, and, where one of those stays, taken out of their files by writing these anew.
 */
import { FirnError } from '../../../table/errors.ts'
import {
  currentSchema,
  type DataFile,
  fieldByName,
  type Schema,
  type Table,
  takeOutRows,
  type WrittenFile,
} from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import { columnsOf, type DatasetDefinition } from '../../datasets/index.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { BUCKETS, entryWords, type KeyObject, readEntries } from '../exchange/key-entries.ts'
import { FIRST_EXISTING_RUN } from '../exchange/key-table.ts'
import { type LoserObject, loserBits } from '../exchange/losers.ts'
import { type FileToRead, readExistingKeys } from './existing-keys.ts'
import { KeyFilter } from './key-filter.ts'
import { KeyMarks, pointsOf } from './key-marks.ts'

/** Groups of files, each of which has a stretch of every list of replaced rows. */
const MAX_GROUPS = 256
/** Bounds of files that tasks hold their keys against. */
const MAX_POINTS = 20_000

/** What a run takes out of files of the table. */
export interface Replacement {
  readonly replacedRows: number
  /** Rows of the removed files that were written anew. */
  readonly keptRows: number
  readonly removed: readonly DataFile[]
  readonly written: readonly WrittenFile[]
}

export interface ExistingRows {
  /** Base64; tasks note between which of them their keys lie. */
  readonly keyPoints: readonly string[]
  readonly fileGroups: number
  /** Files that `find` read. */
  readonly filesRead: number
  /**
   * Entries of the rows whose keys may be among those of the run.
   * @param marks of the tasks.
   */
  find(keys: readonly KeyObject[], marks: readonly string[], options: AbortableOptions): Promise<readonly KeyObject[]>
  /** Writes the files without the replaced rows. Commits nothing. */
  replace(
    replaced: readonly { readonly rows: number; readonly lists: readonly LoserObject[] }[],
    options: AbortableOptions,
  ): Promise<Replacement>
}

export interface ExistingOptions extends AbortableOptions {
  readonly table: Table
  readonly dataset: DatasetDefinition
  readonly exchange: Exchange
  /** For the filter of keys. */
  readonly filterBytes: number
  /** Of the files that are written. */
  readonly fileNamePrefix: string
}

/** Plans on the table's current snapshot. @throws {FirnError} `FIRN_DATASET_MISMATCH` (invalid); as planning a scan. */
export async function openExisting(options: ExistingOptions): Promise<ExistingRows> {
  const { table, dataset, exchange, filterBytes, fileNamePrefix } = options
  const schema = currentSchema(table.metadata)
  const columns = keyColumns(schema, dataset)
  const keyId = fieldByName(schema, columns.key).id
  const tasks = await table.scan().planFiles({ signal: options.signal })
  const files = tasks.map((task) => ({ task, bounds: boundsOf(task.file, keyId) }))
  const points = pointsOf(
    files.flatMap(({ bounds }) => bounds ?? []),
    MAX_POINTS,
  )
  const groupSize = Math.max(1, Math.ceil(files.length / MAX_GROUPS))
  let read: FileToRead[] = []

  return {
    keyPoints: points.map((point) => Buffer.from(point).toString('base64')),
    fileGroups: Math.ceil(files.length / groupSize),
    get filesRead() {
      return read.length
    },
    async find(keys, marks, { signal }) {
      const marked = new KeyMarks(points)
      for (const text of marks) marked.merge(text)
      read = files.flatMap(({ task, bounds }, number) =>
        bounds === undefined || marked.hasBetween(...bounds)
          ? [{ task, number, group: Math.floor(number / groupSize), rows: 0 }]
          : [],
      )
      if (read.length === 0) return []
      const filter = await filterOf(exchange, keys, filterBytes, { signal })
      return await readExistingKeys({ table, columns, files: read, filter, exchange, signal })
    },
    async replace(replaced, { signal }) {
      const lists = replaced.flatMap((each) => each.lists)
      const rewritten: Rewritten[] = []
      for (const group of new Set(lists.length === 0 ? [] : read.map((file) => file.group))) {
        const inGroup = read.filter((file) => file.group === group)
        const runs = inGroup.map(({ number, rows }) => ({ number: FIRST_EXISTING_RUN + number, rows }))
        const bits = await loserBits(exchange, lists, group, runs, { signal })
        for (const file of inGroup) {
          const gone = bits.get(FIRST_EXISTING_RUN + file.number)
          if (gone !== undefined)
            rewritten.push(await rewrite(table, file, gone, columns.key, fileNamePrefix, { signal }))
        }
      }
      const replacedRows = replaced.reduce((sum, { rows }) => sum + rows, 0)
      return replacementOf(rewritten, replacedRows)
    },
  }
}

/** @throws {FirnError} `FIRN_DATASET_MISMATCH` (invalid) when the table has lost a column that decides. */
function keyColumns(schema: Schema, dataset: DatasetDefinition): { readonly key: string; readonly origin: string } {
  const origin = columnsOf(dataset).find(({ from, required }) => from.kind === 'origin' && required)!.name
  for (const name of [dataset.key, origin]) {
    if (schema.fields.some((field) => field.name === name && field.type === 'string')) continue
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_MISMATCH',
      `dataset ${dataset.name} keeps one row of each key by column ${name}, which the table does not have as a string`,
    )
  }
  return { key: dataset.key, origin }
}

/** UTF-8, which bounds of strings are in. */
function boundsOf(file: DataFile, keyId: number): readonly [Uint8Array, Uint8Array] | undefined {
  const lower = file.lowerBounds.get(keyId)
  const upper = file.upperBounds.get(keyId)
  return lower === undefined || upper === undefined ? undefined : [lower, upper]
}

async function filterOf(
  exchange: Exchange,
  keys: readonly KeyObject[],
  maxBytes: number,
  options: AbortableOptions,
): Promise<KeyFilter> {
  const bytes = keys.reduce((sum, { offsets }) => sum + offsets.at(-1)!, 0)
  // an entry has 44 bytes and, of these tables, an origin of about a hundred: never more keys than this
  const filter = new KeyFilter(Math.ceil(bytes / 44), maxBytes)
  for (const object of keys) {
    for await (const words of readEntries(exchange, object, [0, BUCKETS], options)) {
      for (let at = 0; at < words.length; at += entryWords(words, at)) filter.add(words, at)
    }
  }
  return filter
}

interface Rewritten extends Pick<Replacement, 'removed' | 'written'> {
  readonly replacedRows: number
  readonly keptRows: number
}

/** @param gone a bit for each row that the deletes of the file leave, set where it is replaced. */
async function rewrite(
  table: Table,
  { task, number, rows }: FileToRead,
  gone: Uint8Array,
  column: string,
  prefix: string,
  { signal }: AbortableOptions,
): Promise<Rewritten> {
  const selection = {
    columns: [column],
    of: (_schema: Schema, _batch: unknown, firstRow: number) => (row: number) => {
      const at = firstRow + row
      return (gone[at >> 3]! & (1 << (at & 7))) !== 0
    },
  }
  const options = { fileNamePrefix: `${prefix}-kept${number}`, signal }
  const { removed, written } = await takeOutRows(table.store, table.metadata, [task], selection, options)
  const keptRows = written.reduce((sum, { dataFile }) => sum + dataFile.recordCount, 0)
  return { removed, written, keptRows, replacedRows: rows - keptRows }
}

/** @throws {FirnError} `FIRN_ACCOUNTING_FAILED` (failed) unless exactly the rows that lost went. */
function replacementOf(rewritten: readonly Rewritten[], replacedRows: number): Replacement {
  const gone = rewritten.reduce((sum, each) => sum + each.replacedRows, 0)
  if (gone !== replacedRows) {
    throw new FirnError(
      'failed',
      'FIRN_ACCOUNTING_FAILED',
      `${replacedRows} rows of the table are replaced, but ${gone} were taken out of its files`,
      { help: 'nothing was committed; please report this: it is a fault in firn' },
    )
  }
  return {
    replacedRows,
    keptRows: rewritten.reduce((sum, each) => sum + each.keptRows, 0),
    removed: rewritten.flatMap(({ removed }) => removed),
    written: rewritten.flatMap(({ written }) => written),
  }
}
