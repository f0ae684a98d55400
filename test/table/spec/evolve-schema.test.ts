import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { evolveSchema } from '../../../table/spec/evolve-schema.ts'
import {
  fieldByPath,
  fieldPathText,
  fieldsById,
  highestFieldId,
  parseSchema,
  printSchema,
} from '../../../table/spec/schema.ts'
import type { SchemaChange } from '../../../table/spec/schema-change.ts'
import { NESTED, tableWith } from './evolve.ts'

const evolve = (...changes: SchemaChange[]) => evolveSchema(tableWith(), changes)
const columns = (...changes: SchemaChange[]): string[] => evolve(...changes).schema.fields.map((field) => field.name)
const field = (path: string, ...changes: SchemaChange[]) => fieldByPath(evolve(...changes).schema, path)

describe('a schema change', () => {
  test('adds an optional column at the end under the next id, in a schema with the next id', () => {
    const { schema, lastColumnId } = evolve({ add: { name: 'note', type: 'string', doc: 'free' } })
    expect(schema).toMatchObject({ schemaId: 1, identifierFieldIds: [1] })
    expect(schema.fields.at(-1)).toEqual({ id: 14, name: 'note', required: false, type: 'string', doc: 'free' })
    expect(lastColumnId).toBe(14)
  })

  test('adds nested columns with fresh ids, level by level as Java numbers them', () => {
    const point = { type: 'struct', fields: [NESTED.fields[0]!, NESTED.fields[3]!] } as const
    const { schema, lastColumnId } = evolve({ add: { name: 'p', type: point } })
    expect(fieldByPath(schema, 'p')).toMatchObject({
      id: 14,
      type: {
        fields: [
          { id: 15, name: 'id' },
          { id: 16, name: 'place', type: { fields: [{ id: 17 }, { id: 18 }] } },
        ],
      },
    })
    expect(lastColumnId).toBe(18)
    const map = { type: 'map', keyId: 1, key: 'string', valueId: 2, valueRequired: true, value: point } as const
    expect(field('m', { add: { name: 'm', type: map } })).toMatchObject({ id: 14, type: { keyId: 15, valueId: 16 } })
  })

  test('adds to structs, to structs in lists and, through the values, in maps', () => {
    expect(field('place.zip', { add: { parent: 'place', name: 'zip', type: 'int' } }).id).toBe(14)
    expect(field('tags.element.kind', { add: { parent: 'tags', name: 'kind', type: 'int' } }).id).toBe(14)
    expect(field('tags.element.kind', { add: { parent: 'tags.element', name: 'kind', type: 'int' } }).id).toBe(14)
    expect(() => evolve({ add: { parent: 'scores', name: 'x', type: 'int' } })).toThrow(/not a struct/)
    expect(() => evolve({ add: { parent: 'id', name: 'x', type: 'int' } })).toThrow(/not a struct/)
  })

  test('drops, renames, comments and makes optional, at any depth, and keeps every id', () => {
    expect(columns({ drop: 'price' })).not.toContain('price')
    expect(field('place', { drop: 'place.at' })).toMatchObject({ type: { fields: [{ id: 5 }] } })
    expect(field('place.town', { rename: 'place.city', to: 'town' })).toMatchObject({ id: 5, required: true })
    expect(field('place.city', { makeOptional: 'place.city' }).required).toBe(false)
    expect(field('tags', { makeOptional: 'tags.element' })).toMatchObject({ type: { elementRequired: false } })
    expect(field('name', { doc: 'name' })).not.toHaveProperty('doc')
    expect(field('place.at', { doc: 'place.at', text: 'where' }).doc).toBe('where')
  })

  test.each([
    [{ move: 'price', first: true }, ['price', 'id', 'ts', 'name', 'place', 'tags', 'scores']],
    [{ move: 'id', after: 'name' }, ['ts', 'name', 'id', 'place', 'tags', 'scores', 'price']],
    [{ move: 'price', before: 'ts' }, ['id', 'price', 'ts', 'name', 'place', 'tags', 'scores']],
  ] as const)('moves: %o', (change, expected) => {
    expect(columns(change)).toEqual(expected)
  })

  test('moves within a struct only', () => {
    expect(field('place', { move: 'place.at', first: true })).toMatchObject({
      type: { fields: [{ id: 6 }, { id: 5 }] },
    })
    expect(field('place', { move: 'place.city', after: 'place.at' })).toMatchObject({
      type: { fields: [{ id: 6 }, { id: 5 }] },
    })
    expect(() => evolve({ move: 'place.at', after: 'id' })).toThrow(/no other column beside it/)
    expect(() => evolve({ move: 'id', before: 'id' })).toThrow(/no other column beside it/)
    expect(() => evolve({ move: 'tags.element', first: true })).toThrow(/not a column of the table or of a struct/)
  })

  test('promotes, and never narrows', () => {
    expect(field('id', { promote: 'id', type: 'long' }).type).toBe('long')
    expect(field('place.at', { promote: 'place.at', type: 'double' }).type).toBe('double')
    expect(field('scores', { promote: 'scores.value', type: 'long' })).toMatchObject({ type: { value: 'long' } })
    expect(field('price', { promote: 'price', type: 'decimal(12, 2)' }).type).toBe('decimal(12, 2)')
    for (const type of ['decimal(8, 2)', 'decimal(12, 3)', 'long', 'double'] as const) {
      expect(() => evolve({ promote: 'price', type })).toThrow(/Types widen|cannot become/)
    }
    expect(() => evolve({ promote: 'ts', type: 'timestamp' })).toThrow(/cannot become/)
    expect(() => evolve({ promote: 'place', type: 'int' })).toThrow(/cannot become int from struct/)
  })

  test('refuses what the keys of a map would change by', () => {
    expect(() => evolve({ promote: 'scores.key', type: 'long' })).toThrow(/key of a map/)
    expect(() => evolve({ doc: 'scores.key', text: 'x' })).toThrow(/key of a map/)
  })

  test.each<[SchemaChange, RegExp]>([
    [{ add: { name: 'x', type: 'int', required: true } }, /cannot be required/],
    [{ add: { name: 'id', type: 'int' } }, /a column "id" already/],
    [{ add: { name: '', type: 'int' } }, /needs a name/],
    [{ add: { name: 'place.city', type: 'int' } }, /the path "place.city"/],
    [{ add: { name: 'ts_day', type: 'int' } }, /name of a partition field/],
    [{ add: { name: 'x', type: { type: 'unsupported', name: 'variant' } } }, /variant/],
    [{ rename: 'name', to: 'ts' }, /a column "ts" already/],
    [{ rename: 'name', to: 'ts_day' }, /name of a partition field/],
    [{ drop: 'ts' }, /source of the partition field ts_day/],
    [{ drop: 'name' }, /in the sort order/],
    [{ drop: 'id' }, /identifies rows/],
    [{ makeOptional: 'id' }, /identifies rows/],
    [{ identifier: ['ts'] }, /is required/],
    [{ identifier: ['place.city'] }, /"place" identifies rows/],
    [{ identifier: ['tags.element.word'] }, /inside a list or map/],
    [{ identifier: ['place'] }, /nested or a floating point/],
  ])('%o is refused with the reason', (change, reason) => {
    const error = (() => {
      try {
        return evolve(change)
      } catch (caught) {
        return caught
      }
    })()
    expect(FirnError.is(error, 'FIRN_SCHEMA_CHANGE_INVALID')).toBe(true)
    expect((error as FirnError).message).toMatch(reason)
  })

  test('names a column that is not there', () => {
    expect(() => evolve({ drop: 'place.nope' })).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
  })

  test('allows names that differ in letter case only, as Java does', () => {
    expect(columns({ add: { name: 'ID', type: 'int' } })).toContain('ID')
  })

  test('never leaves a struct without columns', () => {
    expect(() => evolve({ drop: 'place.at' }, { drop: 'place.city' })).toThrow(/last column there/)
  })

  test('drops a source that only an older spec has', () => {
    const metadata = tableWith({
      partitionSpecs: [...tableWith().partitionSpecs, { specId: 1, fields: [] }],
      defaultSpecId: 1,
    })
    expect(evolveSchema(metadata, [{ drop: 'ts' }]).schema.fields.map((one) => one.name)).not.toContain('ts')
  })

  test('drops a source of which the spec takes nothing any more', () => {
    const fields = [{ sourceId: 2, fieldId: 1000, name: 'gone', transform: 'void' }]
    const metadata = tableWith({ partitionSpecs: [{ specId: 0, fields }] })
    expect(evolveSchema(metadata, [{ drop: 'ts' }]).schema.fields.map((one) => one.name)).not.toContain('ts')
  })

  test('applies changes in order: an identifier can be moved to another column before the old one goes', () => {
    const { schema } = evolve({ identifier: ['name'] }, { drop: 'id' }, { add: { name: 'id', type: 'long' } })
    expect(schema.identifierFieldIds).toEqual([3])
    // The new column is another one, although it has the name of the old.
    expect(fieldByPath(schema, 'id').id).toBe(14)
  })
})

test('a schema that the table had before is used again, and gives no ids away', () => {
  const once = evolve({ rename: 'price', to: 'cost' })
  const metadata = tableWith({ schemas: [NESTED, once.schema], currentSchemaId: 1 })
  const back = evolveSchema(metadata, [{ rename: 'cost', to: 'price' }])
  expect(back.schema).toBe(NESTED)
  expect(back.lastColumnId).toBe(13)
  expect(evolve({ add: { name: 'x', type: 'int' } }, { drop: 'x' })).toMatchObject({
    schema: { schemaId: 0 },
    lastColumnId: 13,
  })
})

test('ids go on from the highest of any schema, also where last-column-id lags behind', () => {
  const metadata = tableWith({ lastColumnId: 3 })
  expect(fieldByPath(evolveSchema(metadata, [{ add: { name: 'x', type: 'int' } }]).schema, 'x').id).toBe(14)
})

test('whatever is changed, a column keeps its id and no id is given twice', () => {
  const name = fc.constantFrom(
    'id',
    'ts',
    'name',
    'place',
    'place.city',
    'tags',
    'tags.element.word',
    'scores',
    'price',
    'a',
    'b',
    'a.b',
  )
  const change: fc.Arbitrary<SchemaChange> = fc.oneof(
    name.map((path): SchemaChange => ({ add: { name: path.replace('.', '_'), type: 'int' } })),
    fc
      .tuple(name, fc.constantFrom('a', 'b'))
      .map(([parent, added]): SchemaChange => ({ add: { parent, name: added, type: NESTED.fields[4]!.type } })),
    name.map((path): SchemaChange => ({ drop: path })),
    fc.tuple(name, fc.constantFrom('a', 'b', 'price')).map(([path, to]): SchemaChange => ({ rename: path, to })),
    fc.tuple(name, name).map(([path, after]): SchemaChange => ({ move: path, after })),
    name.map((path): SchemaChange => ({ promote: path, type: 'long' })),
    name.map((path): SchemaChange => ({ makeOptional: path })),
  )
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      let metadata = tableWith()
      for (const one of changes) {
        const before = metadata.schemas.find((schema) => schema.schemaId === metadata.currentSchemaId)!
        try {
          const { schema, lastColumnId } = evolveSchema(metadata, [one])
          expect(lastColumnId).toBeGreaterThanOrEqual(Math.max(metadata.lastColumnId, highestFieldId(schema)))
          const old = fieldsById(before)
          // What the schema did not have comes from an older one as a whole, or has an id that never was.
          for (const id of fieldsById(schema).keys()) {
            expect(old.has(id) || metadata.schemas.includes(schema) || id > metadata.lastColumnId).toBe(true)
          }
          expect(parseSchema(printSchema(schema))).toEqual(schema)
          const schemas = metadata.schemas.includes(schema) ? metadata.schemas : [...metadata.schemas, schema]
          metadata = { ...metadata, schemas, currentSchemaId: schema.schemaId, lastColumnId }
        } catch (error) {
          if (!FirnError.is(error)) throw error
        }
      }
    }),
    { numRuns: 300 },
  )
})

describe('properties that name columns', () => {
  const mapping = JSON.stringify([
    { 'field-id': 1, names: ['id'] },
    {
      'field-id': 4,
      names: ['place', 'spot'],
      fields: [
        { 'field-id': 5, names: ['city'] },
        { 'field-id': 6, names: ['at'] },
      ],
    },
    { 'field-id': 13, names: ['price', 'note'] },
  ])
  const properties = {
    'schema.name-mapping.default': mapping,
    'write.metadata.metrics.column.place.city': 'counts',
    'write.metadata.metrics.column.price': 'none',
    'write.parquet.bloom-filter-enabled.column.place.city': 'true',
  }
  const changed = (...changes: SchemaChange[]) => evolveSchema(tableWith({ properties }), changes).properties

  test('the name mapping knows old and new names, and gives a name to the newest column that has it', () => {
    const set = changed({ rename: 'place.city', to: 'town' }, { add: { name: 'note', type: 'string' } }).set
    expect(JSON.parse(set['schema.name-mapping.default']!)).toEqual([
      { 'field-id': 1, names: ['id'] },
      {
        'field-id': 4,
        names: ['place', 'spot'],
        fields: [
          { 'field-id': 5, names: ['city', 'town'] },
          { 'field-id': 6, names: ['at'] },
        ],
      },
      { 'field-id': 13, names: ['price'] },
      { 'field-id': 14, names: ['note'] },
    ])
  })

  test('settings of a column follow its path and go with it', () => {
    expect(changed({ rename: 'place', to: 'spot' }, { drop: 'price' })).toMatchObject({
      set: {
        'write.metadata.metrics.column.spot.city': 'counts',
        'write.parquet.bloom-filter-enabled.column.spot.city': 'true',
      },
      remove: [
        'write.metadata.metrics.column.place.city',
        'write.metadata.metrics.column.price',
        'write.parquet.bloom-filter-enabled.column.place.city',
      ],
    })
  })

  test('nothing changes without a mapping, or with one that cannot be read', () => {
    expect(evolve({ rename: 'price', to: 'cost' }).properties).toEqual({ set: {}, remove: [] })
    const broken = tableWith({ properties: { 'schema.name-mapping.default': '{' } })
    expect(evolveSchema(broken, [{ rename: 'price', to: 'cost' }]).properties.set).toEqual({})
  })
})

test('paths are found through every kind of nesting, and names may hold dots', () => {
  const schema = {
    ...NESTED,
    fields: [...NESTED.fields, { id: 20, name: 'a.b', required: false, type: 'int' } as const],
  }
  expect(
    ['place.city', 'tags.element.word', 'scores.key', 'scores.value', 'a.b'].map(
      (path) => fieldByPath(schema, path).id,
    ),
  ).toEqual([5, 9, 11, 12, 20])
  expect(fieldPathText(schema, 9)).toBe('tags.element.word')
  expect(() => fieldByPath(schema, 'place.nope')).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
})
