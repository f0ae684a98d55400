/**
 * Row filters: data that can be printed, evaluated and projected. Three-valued logic as in SQL: a comparison with null
 * is unknown, and a row is taken only when the whole is true. Spec: "Scan Planning".
 */
import { assertNever } from '../errors.ts'
import { compareValues } from '../spec/compare.ts'
import type { PrimitiveType, PrimitiveValue } from '../spec/types.ts'

export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>='

export interface ColumnReference {
  readonly fieldId: number
  readonly name: string
  readonly type: PrimitiveType
}

export type Expression =
  | { readonly kind: 'and'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'is-null'; readonly column: ColumnReference }
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
    case 'in': {
      const value = readColumn(expression.column)
      if (value === null) return undefined
      return expression.values.some((candidate) => compareValues(expression.column.type, value, candidate) === 0)
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

/** Ids of the columns that the filter looks at. */
export function columnsOf(expression: Expression): ReadonlySet<number> {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return new Set([...columnsOf(expression.left), ...columnsOf(expression.right)])
    case 'not':
      return columnsOf(expression.operand)
    case 'is-null':
    case 'in':
    case 'compare':
      return new Set([expression.column.fieldId])
    default:
      return assertNever(expression)
  }
}
