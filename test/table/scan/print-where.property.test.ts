import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnReference, Expression } from '../../../table/scan/expression.ts'
import { printWhere } from '../../../table/scan/print-where.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { NestedField, PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const MICROS = { min: -60_000_000_000_000_000n, max: 250_000_000_000_000_000n }
const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })

/** Names that need quotes, and a value of every type that the text form has. */
const COLUMNS: readonly (readonly [name: string, type: PrimitiveType, values: fc.Arbitrary<PrimitiveValue>])[] = [
  ['flag', 'boolean', fc.boolean()],
  ['n', 'int', fc.integer()],
  ['not', 'long', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['ratio', 'float', fc.float()],
  ['a b', 'double', fc.double()],
  ['price', 'decimal(20, 2)', fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n })],
  ['whole', 'decimal(5, 0)', fc.bigInt({ min: -99_999n, max: 99_999n })],
  ['day', 'date', fc.integer({ min: -700_000, max: 2_900_000 })],
  ['clock', 'time', fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  ['at', 'timestamp', fc.bigInt(MICROS)],
  ['at.utc', 'timestamptz', fc.bigInt(MICROS)],
  ['in"side', 'string', fc.string({ unit: 'binary' })],
  ['uuid', 'uuid', bytes(16)],
  ['blob', 'binary', fc.uint8Array({ maxLength: 5 })],
  ['fixed', 'fixed[3]', bytes(3)],
]
const LEAVES: readonly NestedField[] = COLUMNS.map(([name, type], index) => ({
  id: index + 1,
  name,
  required: false,
  type,
}))
const INNER: NestedField = { id: 102, name: 'x.y', required: false, type: 'int' }
const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [...LEAVES, { id: 101, name: 'point', required: false, type: { type: 'struct', fields: [INNER] } }],
}

const leaf: fc.Arbitrary<Expression> = fc
  .oneof(
    fc.nat(COLUMNS.length - 1).map((index) => {
      const [name, type, values] = COLUMNS[index]!
      return { column: { fieldId: index + 1, name, type } as ColumnReference, values }
    }),
    fc.constant({
      column: { fieldId: 102, name: 'point.x.y', type: 'int' } as ColumnReference,
      values: fc.integer() as fc.Arbitrary<PrimitiveValue>,
    }),
  )
  .chain(({ column, values }) => {
    const kinds: fc.Arbitrary<Expression>[] = [
      fc.constant({ kind: 'is-null', column }),
      fc
        .array(values, { minLength: 1, maxLength: 3 })
        .map((some): Expression => ({ kind: 'in', column, values: some })),
      fc
        .tuple(fc.constantFrom('=', '!=', '<', '<=', '>', '>=' as const), values)
        .map(([operator, value]) => ({ kind: 'compare', operator, column, value }) as Expression),
    ]
    if (column.type === 'string') {
      kinds.push(values.map((prefix): Expression => ({ kind: 'starts-with', column, prefix: prefix as string })))
    }
    if (column.type === 'float' || column.type === 'double') kinds.push(fc.constant({ kind: 'is-nan', column }))
    return fc.oneof(...kinds)
  })

const filter: fc.Arbitrary<Expression> = fc.letrec<{ filter: Expression }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      left: tie('filter'),
      right: tie('filter'),
    }) as fc.Arbitrary<Expression>,
    fc.record({ kind: fc.constant('not'), operand: tie('filter') }) as fc.Arbitrary<Expression>,
  ),
})).filter

/** Chains of "and" and of "or" lean to the left, as the parser makes them. */
function leftward(expression: Expression): Expression {
  if (expression.kind === 'not') return { kind: 'not', operand: leftward(expression.operand) }
  if (expression.kind !== 'and' && expression.kind !== 'or') return expression
  const { kind } = expression
  const operands = (each: Expression): Expression[] =>
    each.kind === kind ? [...operands(each.left), ...operands(each.right)] : [leftward(each)]
  return operands(expression).reduce((left, right) => ({ kind, left, right }))
}

describe('the text of a filter', () => {
  test('is read back as the filter, of every type and any name', () => {
    fc.assert(
      fc.property(filter, (expression) => {
        const text = printWhere(expression, SCHEMA)
        const parsed = parseWhere(text, SCHEMA)
        expect(parsed).toEqual(leftward(expression))
        expect(printWhere(parsed, SCHEMA)).toBe(text)
      }),
      { numRuns: 500 },
    )
  })
})
