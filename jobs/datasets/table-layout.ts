/** From a dataset definition to an Iceberg table and back: schema, partitioning, sort order, properties. */
import { FirnError } from '../../table/errors.ts'
import type { Catalog, PartitionSpec, Schema, SortOrder, Table } from '../../table/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { columnsOf, type DatasetDefinition, defaultPartitionName, parseDataset } from './definition.ts'

/** Property that holds the definition, so that later runs need no flag. */
export const DATASET_PROPERTY = 'firn.dataset'
/** Rows of a row group: the unit in which the loader shuffles. */
export const ROW_GROUP_ROWS_PROPERTY = 'firn.row-group-rows'
export const TARGET_FILE_SIZE_PROPERTY = 'write.target-file-size-bytes'

export const DEFAULT_ROW_GROUP_ROWS = 2048
export const DEFAULT_TARGET_FILE_SIZE_BYTES: number = 128 * 1024 * 1024

/** First id of partition fields. Spec: "Partition Specs". */
const FIRST_PARTITION_FIELD_ID = 1000

export interface TableLayout {
  readonly schema: Schema
  readonly partitionSpec: PartitionSpec
  readonly sortOrder: SortOrder
  readonly properties: Readonly<Record<string, string>>
}

/**
 * What a new table for `dataset` looks like. Field ids count from 1 in the definition's order.
 * The key is no identifier field: with the scope `run` two runs may each add a version of the same key, and engines
 * may take identifier fields as a promise of uniqueness.
 */
export function layoutOf(dataset: DatasetDefinition): TableLayout {
  const columns = columnsOf(dataset)
  const idOf = (name: string): number => columns.findIndex((field) => field.name === name) + 1
  return {
    schema: {
      schemaId: 0,
      fields: columns.map((field, index) => ({
        id: index + 1,
        name: field.name,
        required: field.required,
        type: field.type,
        ...(field.doc === undefined ? {} : { doc: field.doc }),
      })),
      identifierFieldIds: [],
    },
    partitionSpec: {
      specId: 0,
      fields: dataset.partition.map((part, index) => ({
        sourceId: idOf(part.source),
        fieldId: FIRST_PARTITION_FIELD_ID + index,
        name: part.name ?? defaultPartitionName(part.source, part.transform),
        transform: part.transform,
      })),
    },
    // order 0 is reserved for "unsorted"
    sortOrder: {
      orderId: dataset.sort.length === 0 ? 0 : 1,
      fields: dataset.sort.map((sort) => ({
        sourceId: idOf(sort.source),
        transform: 'identity',
        direction: sort.direction,
        nullOrder: sort.nullOrder,
      })),
    },
    properties: {
      [DATASET_PROPERTY]: JSON.stringify(dataset),
      [TARGET_FILE_SIZE_PROPERTY]: String(DEFAULT_TARGET_FILE_SIZE_BYTES),
      [ROW_GROUP_ROWS_PROPERTY]: String(DEFAULT_ROW_GROUP_ROWS),
      'write.parquet.compression-codec': 'zstd',
    },
  }
}

/**
 * Create table `name` for `dataset`.
 * @throws {FirnError} `FIRN_TABLE_EXISTS` (conflict).
 */
export async function createTableFor(
  catalog: Catalog,
  name: string,
  dataset: DatasetDefinition,
  options: AbortableOptions = {},
): Promise<Table> {
  return await catalog.createTable(name, layoutOf(dataset), options)
}

/** The definition that the table was made from; `undefined` for tables of other engines. */
export function datasetOfProperties(
  properties: Readonly<Record<string, string>>,
  where: string,
): DatasetDefinition | undefined {
  const text = properties[DATASET_PROPERTY]
  if (text === undefined) return undefined
  try {
    return parseDataset(JSON.parse(text), `in property ${DATASET_PROPERTY} of ${where}`)
  } catch (cause) {
    if (FirnError.is(cause)) throw cause
    throw new FirnError('corrupt', 'FIRN_DATASET_INVALID', `property ${DATASET_PROPERTY} of ${where} is not JSON`, {
      cause,
      help: 'restore the property from an older metadata file',
    })
  }
}

/** A positive whole number from a table property, or `fallback` when it is absent. */
export function sizeProperty(properties: Readonly<Record<string, string>>, name: string, fallback: number): number {
  const text = properties[name]
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new FirnError(
    'invalid',
    'FIRN_PROPERTY_INVALID',
    `table property ${name} is "${text}", expected a positive integer`,
  )
}
