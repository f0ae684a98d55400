/** A table's columns as OpenLineage has them. */
import { currentSchema, type IcebergType, isPrimitive, type NestedField, type Table } from '../../table/index.ts'
import type { LineageContext, LineageField } from './lineage-events.ts'

export const describeTable = (table: Table): NonNullable<LineageContext['table']> => ({
  location: table.location,
  fields: currentSchema(table.metadata).fields.map(fieldOf),
})

function fieldOf({ name, type }: Pick<NestedField, 'name' | 'type'>): LineageField {
  if (isPrimitive(type)) return { name, type: String(type) }
  if (type.type === 'unsupported') return { name, type: type.name }
  return { name, type: type.type, fields: childrenOf(type) }
}

function childrenOf(type: Exclude<IcebergType, string>): readonly LineageField[] {
  switch (type.type) {
    case 'struct':
      return type.fields.map(fieldOf)
    case 'list':
      return [fieldOf({ name: 'element', type: type.element })]
    case 'map':
      return [fieldOf({ name: 'key', type: type.key }), fieldOf({ name: 'value', type: type.value })]
    case 'unsupported':
      return []
  }
}
