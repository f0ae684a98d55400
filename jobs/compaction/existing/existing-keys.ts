/** Keys and origins of rows of the table, as entries of the exchange. Other columns are not read. */
import type { Data, RecordBatch } from 'apache-arrow'
import {
  bytesAt,
  type FileScanTask,
  isValidAt,
  openFileTask,
  prefetch,
  type Table,
  type TaskReader,
} from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { KeyEntries, type KeyObject, keyDigest } from '../exchange/key-entries.ts'
import { FIRST_EXISTING_RUN } from '../exchange/key-table.ts'
import type { KeyFilter } from './key-filter.ts'

/** Of the exchange, about: what is collected before it is written. */
const ENTRIES_PER_OBJECT = 100_000
/** Row groups read at once, and files opened ahead. */
const DEPTH = 3
const FILES_DEPTH = 6

/** Lower than every origin, and taken for those that have none: rows of other writers are the oldest. */
export const NO_ORIGIN = ' '
/** What an origin begins with: a time, which may be before 1970. */
const FIRST_CHARACTERS = /^[-0-9]/
const MAX_ORIGIN_CHARACTERS = 2_048

export interface FileToRead {
  readonly task: FileScanTask
  /** Among all files of the snapshot. */
  readonly number: number
  readonly group: number
  /** Those that its deletes leave; known once it was read. */
  rows: number
}

export interface ExistingKeysOptions extends AbortableOptions {
  readonly table: Table
  readonly columns: { readonly key: string; readonly origin: string }
  readonly files: readonly FileToRead[]
  readonly filter: KeyFilter
  readonly exchange: Exchange
}

export async function readExistingKeys(options: ExistingKeysOptions): Promise<readonly KeyObject[]> {
  const { table, files, columns, filter, exchange, signal } = options
  const objects: KeyObject[] = []
  let entries = new KeyEntries(FIRST_EXISTING_RUN)
  let count = 0
  let seen = 0
  const flush = async (): Promise<void> => {
    if (count === 0) return
    objects.push(await entries.write(exchange, `existing-${objects.length}`, { signal }))
    entries = new KeyEntries(FIRST_EXISTING_RUN)
    count = 0
  }
  const schema = table.schemaFor()
  const open = async (file: FileToRead, abort: AbortSignal): Promise<readonly [FileToRead, TaskReader]> => [
    file,
    await openFileTask(table.store, table.location, file.task, schema, { signal: abort }),
  ]
  for await (const [file, reader] of prefetch(files, open, { depth: FILES_DEPTH, signal })) {
    const read = (group: number, abort: AbortSignal): Promise<RecordBatch> =>
      reader.read(group, { columns: [columns.key, columns.origin], signal: abort })
    for await (const batch of prefetch(reader.rowGroupRows.keys(), read, { depth: DEPTH, signal })) {
      const keys = columnOf(batch, columns.key)
      const origins = columnOf(batch, columns.origin)
      for (let row = 0; row < batch.numRows; row++) {
        if (!isValidAt(keys, row)) continue
        const key = bytesAt(keys, row)
        if (!filter.mayHave(keyDigest(key))) continue
        entries.add({
          key,
          arrivalMillis: 0,
          object: 0,
          record: seen++ % 2 ** 32,
          origin: originAt(origins, row),
          range: file.group,
          run: FIRST_EXISTING_RUN + file.number,
          row: file.rows + row,
        })
        count++
      }
      file.rows += batch.numRows
      if (count >= ENTRIES_PER_OBJECT) await flush()
    }
  }
  await flush()
  return objects
}

function originAt(origins: Data, row: number): string {
  if (!isValidAt(origins, row)) return NO_ORIGIN
  const text = Buffer.from(bytesAt(origins, row)).toString('utf8')
  return FIRST_CHARACTERS.test(text) && text.length <= MAX_ORIGIN_CHARACTERS ? text : NO_ORIGIN
}

const columnOf = (batch: RecordBatch, name: string): Data =>
  batch.data.children[batch.schema.fields.findIndex((field) => field.name === name)] as Data
