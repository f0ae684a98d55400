/**
 * What a filter can come out as over a set of rows of which only some facts are known: true, false, unknown, or several
 * of them. A row "may match" when true is among them, all rows "surely match" when nothing else is. One evaluation
 * gives both, so that skipping and deleting whole files cannot disagree.
 */
import { assertNever } from '../errors.ts'
import { compareValues } from '../spec/compare.ts'
import { afterPrefix, compareOrdered, type OrderedValue, toOrdered } from '../spec/transform-range.ts'
import type { PrimitiveType, PrimitiveValue } from '../spec/types.ts'
import type { ColumnFacts } from './column-facts.ts'
import { type ComparisonOperator, type Expression, holds } from './expression.ts'

/** A set of outcomes, as bits. */
export type Truths = number
export const TRUE: Truths = 1
export const FALSE: Truths = 2
export const UNKNOWN: Truths = 4
export const ANY: Truths = TRUE | FALSE | UNKNOWN

/** A condition on one column. */
export type Leaf = Exclude<Expression, { readonly kind: 'and' | 'or' | 'not' }>

/**
 * @param narrow what a leaf can come out as: `leafTruths` of everything that is known of its column, each narrowing the
 *   outcomes.
 */
export function truthsOf(filter: Expression, narrow: (leaf: Leaf) => Truths): Truths {
  switch (filter.kind) {
    case 'not':
      return negate(truthsOf(filter.operand, narrow))
    case 'and': {
      const left = truthsOf(filter.left, narrow)
      return left === FALSE ? FALSE : both(left, truthsOf(filter.right, narrow))
    }
    case 'or': {
      const left = truthsOf(filter.left, narrow)
      return left === TRUE ? TRUE : negate(both(negate(left), negate(truthsOf(filter.right, narrow))))
    }
    default:
      return narrow(filter)
  }
}

/** Nothing is left to narrow: one outcome, or none where sources contradict each other. */
export const isDecided = (truths: Truths): boolean => (truths & (truths - 1)) === 0

const negate = (truths: Truths): Truths =>
  (truths & UNKNOWN) | (truths & TRUE ? FALSE : 0) | (truths & FALSE ? TRUE : 0)

/** Every outcome of "and" over the outcomes of its sides, which may or may not depend on each other. */
function both(left: Truths, right: Truths): Truths {
  if (left === 0 || right === 0) return 0
  const notFalse = (truths: Truths): boolean => (truths & (TRUE | UNKNOWN)) !== 0
  const unknown = (left & UNKNOWN && notFalse(right)) || (right & UNKNOWN && notFalse(left))
  return (left & right & TRUE) | ((left | right) & FALSE) | (unknown ? UNKNOWN : 0)
}

/** What a condition can come out as over rows of which `facts` is known. */
export function leafTruths(leaf: Leaf, facts: ColumnFacts): Truths {
  const { mayBeNull, mayBeNan, mayBeOrdinary } = facts
  if (leaf.kind === 'is-null') return (mayBeNull ? TRUE : 0) | (mayBeNan || mayBeOrdinary ? FALSE : 0)
  if (leaf.kind === 'is-nan') return (mayBeNan ? TRUE : 0) | (mayBeNull || mayBeOrdinary ? FALSE : 0)
  if (leaf.kind === 'compare' && leaf.value === null) return UNKNOWN
  return (mayBeNull ? UNKNOWN : 0) | (mayBeNan ? nanTruth(leaf) : 0) | (mayBeOrdinary ? ordinaryTruths(leaf, facts) : 0)
}

type ValueLeaf = Exclude<Leaf, { readonly kind: 'is-null' | 'is-nan' }>

/** NaN equals itself and is above everything. */
function nanTruth(leaf: ValueLeaf): Truths {
  if (leaf.kind === 'starts-with') return FALSE
  if (leaf.kind === 'in') {
    return leaf.values.some((value) => Number.isNaN(value)) ? TRUE : leaf.values.includes(null) ? UNKNOWN : FALSE
  }
  return holds(leaf.operator, compareValues(leaf.column.type, Number.NaN, leaf.value)) ? TRUE : FALSE
}

function ordinaryTruths(leaf: ValueLeaf, facts: ColumnFacts): Truths {
  const { type } = leaf.column
  switch (leaf.kind) {
    case 'compare':
      return Number.isNaN(leaf.value)
        ? truthWhen(leaf.operator, -1)
        : compareTruths(leaf.operator, orderOf(type, facts, leaf.value))
    case 'in': {
      const orders = leaf.values
        .filter((value) => value !== null && !Number.isNaN(value))
        .map((value) => orderOf(type, facts, value))
      const missing = leaf.values.includes(null) ? UNKNOWN : FALSE
      // Every value equals one of them only where there is just one value.
      const surely = orders.some((order) => order.mayEqual && !order.mayBeLess && !order.mayBeGreater)
      return (orders.some((order) => order.mayEqual) ? TRUE : 0) | (surely ? 0 : missing)
    }
    case 'starts-with':
      return prefixTruths(leaf.prefix, facts, type)
    default:
      return assertNever(leaf)
  }
}

/** How the column's values may stand to a literal. */
interface Order {
  readonly mayBeLess: boolean
  readonly mayEqual: boolean
  readonly mayBeGreater: boolean
}

function orderOf(type: PrimitiveType, facts: ColumnFacts, value: PrimitiveValue): Order {
  const { lower, upper, upperOpen } = facts
  const literal = orderedLiteral(value)
  if (literal === undefined) return { mayBeLess: true, mayEqual: true, mayBeGreater: true }
  const toLower = lower === undefined ? 1 : compareOrdered(type, literal, lower)
  const toUpper = upper === undefined ? -1 : compareOrdered(type, literal, upper)
  return {
    mayBeLess: toLower > 0,
    mayEqual:
      toLower >= 0 && (toUpper < 0 || (toUpper === 0 && upperOpen !== true)) && facts.mayEqual?.(value) !== false,
    mayBeGreater: toUpper < 0,
  }
}

function compareTruths(operator: ComparisonOperator, order: Order): Truths {
  return (
    (order.mayBeLess ? truthWhen(operator, -1) : 0) |
    (order.mayEqual ? truthWhen(operator, 0) : 0) |
    (order.mayBeGreater ? truthWhen(operator, 1) : 0)
  )
}

const truthWhen = (operator: ComparisonOperator, order: number): Truths => (holds(operator, order) ? TRUE : FALSE)

/** Texts with a prefix are a range of UTF-8: from the prefix up to, and without, the next one. */
function prefixTruths(prefix: string, { lower, upper, upperOpen }: ColumnFacts, type: PrimitiveType): Truths {
  const start = orderedLiteral(prefix)
  if (prefix === '') return TRUE
  if (!(start instanceof Uint8Array)) return TRUE | FALSE
  const end = afterPrefix(start)
  /** Whether a value may be `bound` or above. */
  const mayReach = (bound: Uint8Array): boolean => {
    const order = upper === undefined ? 1 : compareOrdered(type, upper, bound)
    return order > 0 || (order === 0 && upperOpen !== true)
  }
  const mayBeBelow = (bound: Uint8Array): boolean => lower === undefined || compareOrdered(type, lower, bound) < 0
  const inside = mayReach(start) && (end === undefined || mayBeBelow(end))
  const outside = mayBeBelow(start) || (end !== undefined && mayReach(end))
  return (inside ? TRUE : 0) | (outside ? FALSE : 0)
}

/** The literals of a filter, encoded once: planning compares them with the bounds of every file. */
const encoded = new Map<string, Uint8Array>()

/** `undefined` for half of a surrogate pair, which UTF-8 cannot say and whose place in its order is nowhere. */
function orderedLiteral(value: PrimitiveValue): OrderedValue | undefined {
  if (value === null) return undefined
  if (typeof value !== 'string') return toOrdered(value)
  const known = encoded.get(value)
  if (known !== undefined) return known
  if (!value.isWellFormed()) return undefined
  if (encoded.size >= 10_000) encoded.clear()
  const bytes = Buffer.from(value, 'utf8')
  encoded.set(value, bytes)
  return bytes
}
