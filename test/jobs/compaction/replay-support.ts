/** Tables with refused records: what is too large today may pass once the rules say so. */

import { readQuarantine } from '../../../jobs/compaction/refused/read-quarantine.ts'
import { refusedObjects } from '../../../jobs/compaction/refused/refused-objects.ts'
import { type ReplayOptions, type ReplayResult, replay } from '../../../jobs/compaction/refused/replay.ts'
import { articles, type DatasetDefinition } from '../../../jobs/datasets/index.ts'
import { DATASET_PROPERTY } from '../../../jobs/datasets/table-layout.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import type { Table } from '../../../table/index.ts'
import { loadTable, NOON, rowsOf, TABLE, type TestRecord, type Warehouse } from './fixture.ts'

/** `count` articles `<name>-<n>` of about `bytes` bytes of text, at the sequence numbers from `from`. */
export const sized = (name: string, from: number, count: number, bytes: number): TestRecord[] =>
  Array.from({ length: count }, (_, index) => ({
    sequence: String(from + index),
    arrivalMillis: NOON - 1000 + from + index,
    data: {
      article_id: `${name}-${from + index}`,
      title: name,
      author: null,
      publish_date: new Date(NOON - 3_600_000).toISOString(),
      content: 'x'.repeat(bytes),
    },
  }))

/** The rules with another bound on the size of records; with a warehouse, those of its table. */
export function setLargestRecord(bytes: number): DatasetDefinition
export function setLargestRecord(bytes: number, warehouse: Warehouse): Promise<Table>
export function setLargestRecord(bytes: number, warehouse?: Warehouse): DatasetDefinition | Promise<Table> {
  if (warehouse === undefined) return { ...articles, maxRecordBytes: bytes }
  return loadTable(warehouse).then((table) => {
    const dataset = JSON.parse(table.metadata.properties[DATASET_PROPERTY]!) as DatasetDefinition
    return table.setProperties({ [DATASET_PROPERTY]: JSON.stringify({ ...dataset, maxRecordBytes: bytes }) })
  })
}

export const runReplay = (
  { store, catalog, clock }: Warehouse,
  options: Partial<ReplayOptions> = {},
): Promise<ReplayResult> => replay({ store, catalog, clock, table: TABLE, executor: inlineExecutor(store), ...options })

/** Keys of the table's rows, sorted; one twice when it is there twice. */
export async function idsOf(warehouse: Warehouse): Promise<string[]> {
  return (await rowsOf(await loadTable(warehouse))).map((row) => String(row['article_id'])).sort()
}

/** Keys of the refused records that count, sorted. */
export async function refusedIds(warehouse: Warehouse): Promise<string[]> {
  const { store } = warehouse
  const ids: string[] = []
  for (const { path, rows } of await refusedObjects({ store, table: await loadTable(warehouse), tableName: TABLE })) {
    for await (const { rawData } of readQuarantine(store, path, { rows })) {
      const text = Buffer.from(rawData, 'base64').toString('utf8')
      ids.push(/"article_id": ?"([^"]+)"/.exec(text)?.[1] ?? text)
    }
  }
  return ids.sort()
}
