/** Random Iceberg types to any depth, values of them, and batches of both. */
import type { Data, RecordBatch } from 'apache-arrow'
import fc from 'fast-check'
import { systemClock } from '../../../table/clock.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { type IcebergValue, valueAt } from '../../../table/format/arrow-values.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { type IcebergType, isPrimitive, type NestedField, type PrimitiveType } from '../../../table/spec/types.ts'
import { FLAT_TYPES } from '../flat-types.ts'

export const LEAVES: readonly (readonly [PrimitiveType, fc.Arbitrary<IcebergValue>])[] = [
  ...FLAT_TYPES,
  ['uuid', fc.uint8Array({ minLength: 16, maxLength: 16 })],
]

type Shape =
  | { kind: 'leaf'; type: PrimitiveType }
  | { kind: 'struct'; members: readonly { shape: Shape; required: boolean }[] }
  | { kind: 'list'; item: Shape; required: boolean }
  | { kind: 'map'; key: Shape; value: Shape; required: boolean }

const leaf: fc.Arbitrary<Shape> = fc.constantFrom(...LEAVES).map(([type]) => ({ kind: 'leaf', type }))

const shape = (depth: number): fc.Arbitrary<Shape> => {
  if (depth === 0) return leaf
  const inner = shape(depth - 1)
  const member = fc.record({ shape: inner, required: fc.boolean() })
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('struct' as const),
        members: fc.array(member, { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('list' as const), item: inner, required: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('map' as const), key: leaf, value: inner, required: fc.boolean() }),
    },
  )
}

function typeOf(described: Shape, nextId: () => number): IcebergType {
  switch (described.kind) {
    case 'leaf':
      return described.type
    case 'struct':
      return {
        type: 'struct',
        fields: described.members.map(({ shape: member, required }, index) => ({
          id: nextId(),
          name: `m${index}`,
          required,
          type: typeOf(member, nextId),
        })),
      }
    case 'list':
      return {
        type: 'list',
        elementId: nextId(),
        elementRequired: described.required,
        element: typeOf(described.item, nextId),
      }
    case 'map':
      return {
        type: 'map',
        keyId: nextId(),
        key: typeOf(described.key, nextId),
        valueId: nextId(),
        valueRequired: described.required,
        value: typeOf(described.value, nextId),
      }
  }
}

export const randomSchema = (depth: number): fc.Arbitrary<Schema> =>
  fc
    .array(fc.record({ shape: shape(depth), required: fc.boolean() }), { minLength: 1, maxLength: 4 })
    .map((columns) => {
      let id = 0
      const fields = columns.map(({ shape: column, required }, index): NestedField => {
        const own = ++id
        return { id: own, name: `c${index}`, required, type: typeOf(column, () => ++id) }
      })
      return { schemaId: 0, identifierFieldIds: [], fields }
    })

export function valuesOf(type: IcebergType): fc.Arbitrary<IcebergValue> {
  if (isPrimitive(type)) return LEAVES.find(([leafType]) => leafType === type)![1]
  const optional = (inner: IcebergType, required: boolean): fc.Arbitrary<IcebergValue> =>
    required ? valuesOf(inner) : fc.option(valuesOf(inner), { freq: 3, nil: null })
  switch (type.type) {
    case 'unsupported':
      throw new Error('no values')
    case 'struct':
      return fc.record(
        Object.fromEntries(type.fields.map((field) => [field.name, optional(field.type, field.required)])),
      ) as fc.Arbitrary<IcebergValue>
    case 'list':
      return fc.array(optional(type.element, type.elementRequired), { maxLength: 4 })
    case 'map':
      return fc.array(fc.tuple(valuesOf(type.key), optional(type.value, type.valueRequired)), { maxLength: 3 })
  }
}

export type NestedRow = { readonly [column: string]: IcebergValue }

export const rowsFor = (schema: Schema, maxLength: number): fc.Arbitrary<readonly NestedRow[]> =>
  fc.array(
    fc.record(
      Object.fromEntries(
        schema.fields.map(({ name, type, required }) => [
          name,
          required ? valuesOf(type) : fc.option(valuesOf(type), { freq: 4, nil: null }),
        ]),
      ),
    ) as fc.Arbitrary<NestedRow>,
    { minLength: 1, maxLength },
  )

/** A schema with rows of it. */
export const randomTable = (
  depth: number,
  maxRows: number,
): fc.Arbitrary<{ schema: Schema; rows: readonly NestedRow[] }> =>
  randomSchema(depth).chain((schema) => rowsFor(schema, maxRows).map((rows) => ({ schema, rows })))

export const nestedBatch = (schema: Schema, rows: readonly NestedRow[]): RecordBatch =>
  batchOfColumns(
    schema,
    schema.fields.map(({ name, type }) =>
      columnFromValues(
        type,
        rows.map((row) => row[name] ?? null),
        name,
      ),
    ),
    rows.length,
  )

export const nestedRows = (schema: Schema, batch: RecordBatch): NestedRow[] =>
  Array.from({ length: batch.numRows }, (_, row) =>
    Object.fromEntries(
      schema.fields.map(({ name, type }, column) => [name, valueAt(type, batch.data.children[column] as Data, row)]),
    ),
  )

/** Values in a form in which equal means the same: bytes in hexadecimal, the two zeros apart. */
export function canonical(value: IcebergValue): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Object.is(value, -0)) return '-0'
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, canonical(member as IcebergValue)]))
}

let stores = 0
export const memoryStore = (): ObjectStore =>
  openMemoryStore(`format-${process.pid}-${stores++}`, { clock: systemClock })
