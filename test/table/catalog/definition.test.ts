/** What a table with nested columns may be. */
import { expect, test } from 'vitest'
import { checkDefinition, type TableDefinition } from '../../../table/catalog/definition.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { UNSORTED } from '../../../table/spec/sort.ts'
import type { NestedField } from '../../../table/spec/types.ts'

const place: NestedField = {
  id: 2,
  name: 'place',
  required: true,
  type: {
    type: 'struct',
    fields: [
      { id: 3, name: 'city', required: true, type: 'string' },
      {
        id: 4,
        name: 'tags',
        required: false,
        type: { type: 'list', elementId: 5, elementRequired: true, element: 'string' },
      },
    ],
  },
}
const counts: NestedField = {
  id: 6,
  name: 'counts',
  required: false,
  type: { type: 'map', keyId: 7, key: 'uuid', valueId: 8, valueRequired: false, value: 'long' },
}
const FIELDS: readonly NestedField[] = [{ id: 1, name: 'id', required: true, type: 'long' }, place, counts]

const define = (fields: readonly NestedField[], more: Partial<Schema & TableDefinition> = {}): TableDefinition => ({
  schema: { schemaId: 0, identifierFieldIds: more.identifierFieldIds ?? [], fields },
  partitionSpec: more.partitionSpec ?? { specId: 0, fields: [] },
  sortOrder: more.sortOrder ?? UNSORTED,
  properties: {},
})
const by = (sourceId: number): PartitionSpec => ({
  specId: 0,
  fields: [{ sourceId, fieldId: 1000, name: 'part', transform: 'identity' }],
})
const sorted = (sourceId: number): TableDefinition['sortOrder'] => ({
  orderId: 1,
  fields: [{ sourceId, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
})
const refused = (definition: TableDefinition): unknown => {
  try {
    return checkDefinition(definition)
  } catch (error) {
    return (error as Error).message
  }
}

test('nested columns are fine; a struct child may be partitioned by, sorted by and a key', () => {
  checkDefinition(define(FIELDS))
  checkDefinition(define(FIELDS, { partitionSpec: by(3), sortOrder: sorted(3), identifierFieldIds: [1, 3] }))
})

test('what is in a list or map is no partition or sort source and no key, nor is a nested column itself', () => {
  for (const id of [5, 7, 8]) {
    expect(refused(define(FIELDS, { partitionSpec: by(id) }))).toMatch('is in a list or map')
    expect(refused(define(FIELDS, { sortOrder: sorted(id) }))).toMatch('is in a list or map')
    expect(refused(define(FIELDS, { identifierFieldIds: [id] }))).toMatch('must be a required column')
  }
  expect(refused(define(FIELDS, { partitionSpec: by(2) }))).toMatch('column place is nested')
  expect(refused(define(FIELDS, { identifierFieldIds: [2] }))).toMatch('cannot be struct')
})

test('a key inside an optional struct is refused: it could be null', () => {
  expect(refused(define([FIELDS[0]!, { ...place, required: false }], { identifierFieldIds: [3] }))).toMatch('required')
})

test('ids differ over all depths, names among siblings, and a struct has fields', () => {
  const twice = { ...counts, type: { ...(counts.type as object), valueId: 3 } } as NestedField
  expect(refused(define([place, twice]))).toMatch('ids must differ')
  const named = (...names: string[]): NestedField => ({
    id: 1,
    name: 's',
    required: false,
    type: { type: 'struct', fields: names.map((name, n) => ({ id: 2 + n, name, required: false, type: 'int' })) },
  })
  expect(refused(define([named('a', 'a')]))).toMatch('one name')
  expect(refused(define([named('')]))).toMatch('no name')
  expect(refused(define([named()]))).toMatch('no fields')
  expect(refused(define([named('s')]))).toBe(undefined)
})

test('two spans of time, or a column twice as it is, make no two partition fields of one column; buckets may', () => {
  const twice = (...transforms: readonly string[]): TableDefinition => {
    const at: NestedField = { id: 9, name: 'at', required: true, type: 'timestamptz' }
    const fields = transforms.map((transform, index) => ({
      sourceId: 9,
      fieldId: 1000 + index,
      name: `part${index}`,
      transform,
    }))
    return define([at], { partitionSpec: { specId: 0, fields } })
  }
  expect(refused(twice('day', 'day'))).toMatch('part1 is redundant')
  expect(refused(twice('month', 'hour'))).toMatch('part1 is redundant')
  expect(refused(twice('day', 'bucket[4]', 'bucket[16]'))).toBe(undefined)
})
