/** Metadata to evolve: one schema with every kind of nesting, partitioned and sorted. */
import { epochMillis } from '../../../table/ids.ts'
import type { TableMetadata } from '../../../table/spec/metadata.ts'
import type { Schema } from '../../../table/spec/schema.ts'

export const NESTED: Schema = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'id', required: true, type: 'int' },
    { id: 2, name: 'ts', required: false, type: 'timestamptz' },
    { id: 3, name: 'name', required: true, type: 'string', doc: 'who' },
    {
      id: 4,
      name: 'place',
      required: false,
      type: {
        type: 'struct',
        fields: [
          { id: 5, name: 'city', required: true, type: 'string' },
          { id: 6, name: 'at', required: false, type: 'float' },
        ],
      },
    },
    {
      id: 7,
      name: 'tags',
      required: false,
      type: {
        type: 'list',
        elementId: 8,
        elementRequired: true,
        element: { type: 'struct', fields: [{ id: 9, name: 'word', required: false, type: 'string' }] },
      },
    },
    {
      id: 10,
      name: 'scores',
      required: false,
      type: { type: 'map', keyId: 11, key: 'int', valueId: 12, valueRequired: false, value: 'int' },
    },
    { id: 13, name: 'price', required: false, type: 'decimal(9, 2)' },
  ],
}

export const tableWith = (change: Partial<TableMetadata> = {}): TableMetadata => ({
  formatVersion: 2,
  tableUuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
  location: 'memory://t',
  lastSequenceNumber: 0,
  lastUpdatedMillis: epochMillis(1),
  lastColumnId: 13,
  schemas: [NESTED],
  currentSchemaId: 0,
  partitionSpecs: [{ specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'ts_day', transform: 'day' }] }],
  defaultSpecId: 0,
  lastPartitionId: 1000,
  sortOrders: [
    { orderId: 0, fields: [] },
    { orderId: 1, fields: [{ sourceId: 3, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }] },
  ],
  defaultSortOrderId: 1,
  properties: {},
  snapshots: [],
  snapshotLog: [],
  metadataLog: [],
  refs: {},
  unknown: {},
  ...change,
})
