/** The canonical text of a filter: what `parseWhere` reads back, the same for filters that differ in spaces alone. */
import { valueToJson } from '../spec/json-value.ts'
import { fieldChain, type Schema } from '../spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../spec/types.ts'
import type { ColumnReference, Expression } from './expression.ts'

/** Words of the language, which a column's name needs quotes for. */
const WORDS: ReadonlySet<string> = new Set('and or not in is between starts with null nan true false'.split(' '))

/** @param schema that the filter was made with: a name may hold dots. */
export function printWhere(filter: Expression, schema: Schema): string {
  switch (filter.kind) {
    case 'and':
    case 'or': {
      // "and" and "or" may stand side by side without parentheses only among their own kind.
      const side = (operand: Expression): string => {
        const text = printWhere(operand, schema)
        const mixed = (operand.kind === 'and' || operand.kind === 'or') && operand.kind !== filter.kind
        return mixed ? `(${text})` : text
      }
      return `${side(filter.left)} ${filter.kind} ${side(filter.right)}`
    }
    case 'not':
      return `not (${printWhere(filter.operand, schema)})`
    case 'is-null':
      return `${nameOf(filter.column, schema)} is null`
    case 'is-nan':
      return `${nameOf(filter.column, schema)} is nan`
    case 'starts-with':
      return `${nameOf(filter.column, schema)} starts with ${quoted(filter.prefix)}`
    case 'in': {
      const values = filter.values.map((value) => literalText(filter.column.type, value))
      return `${nameOf(filter.column, schema)} in (${values.join(', ')})`
    }
    case 'compare': {
      const { column, operator, value } = filter
      return `${nameOf(column, schema)} ${operator} ${literalText(column.type, value)}`
    }
  }
}

const nameOf = ({ fieldId, name }: ColumnReference, schema: Schema): string =>
  (fieldChain(schema, fieldId)?.map((field) => field.name) ?? [name])
    .map((part) =>
      /^[A-Za-z_][A-Za-z0-9_]*$/.test(part) && !WORDS.has(part.toLowerCase())
        ? part
        : `"${part.replaceAll('"', '""')}"`,
    )
    .join('.')

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

function literalText(type: PrimitiveType, value: PrimitiveValue): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return quoted(value)
  switch (type) {
    case 'int':
    case 'long':
      return String(value)
    case 'float':
    case 'double':
      if (Object.is(value, -0)) return '-0'
      return Number.isFinite(value) ? String(value) : quoted(String(value))
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'uuid':
      return quoted(String(valueToJson(type, value)))
    default: {
      if (value instanceof Uint8Array) return `X'${Buffer.from(value).toString('hex')}'`
      return String(valueToJson(type, value))
    }
  }
}
