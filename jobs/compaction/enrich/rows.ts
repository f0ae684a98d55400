/** Rows of a run in the making: columns, and the features that are computed as each row comes in. */
import { FirnError } from '../../../table/errors.ts'
import { columnsOf, type DatasetColumn, type DatasetDefinition, FEATURE_VERSION } from '../../datasets/index.ts'
import {
  appendCell,
  type Column,
  columnFor,
  copyCell,
  type Int32Column,
  Int64Column,
  type Utf8Column,
} from './columns.ts'
import { featureSetsOf } from './feature-sets.ts'
import { type CellValue, recordFields } from './validate.ts'

/** The accepted records of a run as columns, in the order in which they were added. */
export interface EnrichedRows {
  readonly dataset: DatasetDefinition
  /** By column name; all but `compacted_at`, which is one value for the whole run. */
  readonly columns: ReadonlyMap<string, Column>
  /** Arrival time in milliseconds, whether or not the dataset has a column for it. */
  readonly arrivals: Int64Column
  readonly rowCount: number
}

/** Where a record came from, as far as columns say it. */
export interface RowOrigin {
  readonly arrivalMillis: number
  readonly origin?: string | undefined
}

export interface RowBuilder {
  readonly rows: EnrichedRows
  readonly heldBytes: number
  /** `cells` as the record validator fills them. Columns of the user's enrichment get no value here. */
  append(cells: readonly CellValue[], from: RowOrigin): void
  /** A row of another builder of the same dataset, with the values of its enrichment columns. */
  appendRow(from: EnrichedRows, row: number, enriched: readonly CellValue[]): void
}

/** Columns that the user's module fills, in the definition's order. */
export const enrichmentFields = (dataset: DatasetDefinition): readonly DatasetColumn[] =>
  columnsOf(dataset).filter((column) => column.from.kind === 'enrichment')

export function rowBuilder(dataset: DatasetDefinition): RowBuilder {
  const declared = columnsOf(dataset)
  const columns = new Map<string, Column>()
  for (const { name, type, from } of declared) if (from.kind !== 'compacted_at') columns.set(name, columnFor(type))
  const named = <T extends Column>(kind: DatasetColumn['from']['kind']): readonly T[] =>
    declared.filter(({ from }) => from.kind === kind).map(({ name }) => columns.get(name) as T)
  const recordColumns = recordFields(dataset).map(({ name }) => columns.get(name)!)
  const featureSets = featureSetsOf(declared, columns)
  const arrivedColumns = named<Int64Column>('arrived_at')
  const originColumns = named<Utf8Column>('origin')
  const versionColumns = named<Int32Column>('feature_version')
  const enrichmentColumns = named<Column>('enrichment')
  const copied = [...columns.values()].filter((column) => !enrichmentColumns.includes(column))
  const names = [...columns].filter(([, column]) => copied.includes(column)).map(([name]) => name)
  const arrivals = new Int64Column()
  let rowCount = 0
  return {
    append(cells, { arrivalMillis, origin }) {
      const row = rowCount++
      for (let index = 0; index < recordColumns.length; index++) appendCell(recordColumns[index]!, cells[index]!)
      for (const features of featureSets) features.append(row)
      arrivals.append(BigInt(arrivalMillis))
      for (const column of arrivedColumns) column.append(BigInt(arrivalMillis) * 1000n)
      for (const column of originColumns) column.append(origin ?? missingOrigin(dataset))
      for (const column of versionColumns) column.append(FEATURE_VERSION)
    },
    appendRow(from, row, enriched) {
      rowCount++
      for (const [index, name] of names.entries()) copyCell(from.columns.get(name)!, row, copied[index]!)
      for (const [index, column] of enrichmentColumns.entries()) appendCell(column, enriched[index]!)
      arrivals.append(from.arrivals.at(row))
    },
    get heldBytes() {
      if (rowCount === 0) return 0
      let bytes = arrivals.heldBytes
      for (const column of columns.values()) bytes += column.heldBytes
      return bytes
    },
    rows: {
      dataset,
      columns,
      arrivals,
      get rowCount() {
        return rowCount
      },
    },
  }
}

function missingOrigin({ name }: DatasetDefinition): never {
  throw new FirnError('failed', 'FIRN_INTERNAL', `dataset ${name} has a column from origin, a record came without one`)
}
