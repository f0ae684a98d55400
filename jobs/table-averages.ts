/** Averages from column data, for any snapshot: two columns are read, nothing is stored. */
import type { RecordBatch } from 'apache-arrow'
import { FirnError } from '../table/errors.ts'
import type { Table } from '../table/index.ts'
import type { AbortableOptions } from '../table/io/object-store.ts'
import type { Selector } from './commands/selectors.ts'
import { type Averages, AveragesBuilder, averagesOf } from './compaction/averages.ts'
import { datasetOfProperties } from './datasets/index.ts'
import { timestampMicros } from './rows.ts'

/** @throws {FirnError} `FIRN_NO_AVERAGES` (invalid) for a table without the column that is averaged. */
export async function tableAverages(
  table: Table,
  selector: Selector,
  options: AbortableOptions = {},
): Promise<Averages> {
  const dataset = datasetOfProperties(table.metadata.properties, table.location)
  const valueColumn = dataset?.averageOf ?? 'word_count'
  const eventColumn = dataset === undefined ? 'publish_date' : dataset.eventTime
  const { schema } = table.scan({ ...selector })
  const type = (name: string | undefined): unknown => schema.fields.find((field) => field.name === name)?.type
  if (type(valueColumn) !== 'int' && type(valueColumn) !== 'long') {
    throw new FirnError(
      'invalid',
      'FIRN_NO_AVERAGES',
      `${table.location} has no integer column ${valueColumn} to average`,
      {
        help: 'averages are for tables that firn compact made; for others use an SQL engine (firn export)',
      },
    )
  }
  const hasEvent = eventColumn !== undefined && type(eventColumn) === 'timestamptz'
  const columns = hasEvent ? [valueColumn, eventColumn] : [valueColumn]
  const builder = new AveragesBuilder()
  const scan = table.scan({ ...selector, columns })
  for await (const batch of scan.batches({ signal: options.signal })) {
    addBatch(builder, batch, valueColumn, hasEvent ? eventColumn : undefined)
  }
  return averagesOf(builder.state())
}

function addBatch(
  builder: AveragesBuilder,
  batch: RecordBatch,
  valueColumn: string,
  eventColumn: string | undefined,
): void {
  const values = batch.getChild(valueColumn)!
  const events = eventColumn === undefined ? undefined : timestampMicros(batch.getChild(eventColumn)!)
  for (let row = 0; row < batch.numRows; row++) {
    const value: unknown = values.get(row)
    if (value !== null) builder.add(Number(value), events === undefined ? null : events(row))
  }
}
