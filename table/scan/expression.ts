/**
 * Row filters: data that can be printed, evaluated and projected. Three-valued logic as in SQL: a comparison with null
 * is unknown, and a row is taken only when the whole is true. NaN is a number like others: equal to itself and above all
 * (as Spark and DuckDB have it). Spec: "Scan Planning".
 */
import { assertNever } from '../errors.ts'
import { compareValues } from '../spec/compare.ts'
import type { PrimitiveType, PrimitiveValue } from '../spec/types.ts'

export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>='

export interface ColumnReference {
  readonly fieldId: number
  /** Dotted path for a column inside structs. */
  readonly name: string
  readonly type: PrimitiveType
}

export type Expression =
  | { readonly kind: 'and'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'is-null'; readonly column: ColumnReference }
  /** False for null; only for float and double. */
  | { readonly kind: 'is-nan'; readonly column: ColumnReference }
  /** Only for text. */
  | { readonly kind: 'starts-with'; readonly column: ColumnReference; readonly prefix: string }
  | { readonly kind: 'in'; readonly column: ColumnReference; readonly values: readonly PrimitiveValue[] }
  | {
      readonly kind: 'compare'
      readonly operator: ComparisonOperator
      readonly column: ColumnReference
      readonly value: PrimitiveValue
    }

/** True, false or, as `undefined`, unknown. */
type Truth = boolean | undefined

/** @param readColumn the row's value of a column. */
export function evaluate(expression: Expression, readColumn: (column: ColumnReference) => PrimitiveValue): Truth {
  switch (expression.kind) {
    case 'and': {
      const left = evaluate(expression.left, readColumn)
      if (left === false) return false
      const right = evaluate(expression.right, readColumn)
      return right === false ? false : left === undefined || right === undefined ? undefined : true
    }
    case 'or': {
      const left = evaluate(expression.left, readColumn)
      if (left === true) return true
      const right = evaluate(expression.right, readColumn)
      return right === true ? true : left === undefined || right === undefined ? undefined : false
    }
    case 'not': {
      const truth = evaluate(expression.operand, readColumn)
      return truth === undefined ? undefined : !truth
    }
    case 'is-null':
      return readColumn(expression.column) === null
    case 'is-nan':
      return Number.isNaN(readColumn(expression.column))
    case 'starts-with': {
      const value = readColumn(expression.column)
      return value === null ? undefined : (value as string).startsWith(expression.prefix)
    }
    case 'in': {
      const value = readColumn(expression.column)
      if (value === null) return undefined
      const { values, column } = expression
      if (values.some((candidate) => candidate !== null && compareValues(column.type, value, candidate) === 0))
        return true
      return values.includes(null) ? undefined : false
    }
    case 'compare': {
      const value = readColumn(expression.column)
      if (value === null || expression.value === null) return undefined
      return holds(expression.operator, compareValues(expression.column.type, value, expression.value))
    }
    default:
      return assertNever(expression)
  }
}

export function holds(operator: ComparisonOperator, order: number): boolean {
  switch (operator) {
    case '=':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    default:
      return assertNever(operator)
  }
}

/** Ids of the columns that the filter looks at; of the leaf where it stands inside a struct. */
export function columnsOf(expression: Expression): ReadonlySet<number> {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return new Set([...columnsOf(expression.left), ...columnsOf(expression.right)])
    case 'not':
      return columnsOf(expression.operand)
    case 'is-null':
    case 'is-nan':
    case 'starts-with':
    case 'in':
    case 'compare':
      return new Set([expression.column.fieldId])
    default:
      return assertNever(expression)
  }
}
