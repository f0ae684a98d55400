/** Documents of format versions 1 and 3, and documents that would mislead. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { parseJson, printJson } from '../../../table/format/json.ts'
import { valueFromJson, valueToJson } from '../../../table/spec/json-value.ts'
import {
  currentSchema,
  parseMetadata,
  printMetadata,
  schemaForSpec,
  statisticsPaths,
} from '../../../table/spec/metadata.ts'
import { fieldByName, fieldsById, parseSchema, printSchema, projectSchema } from '../../../table/spec/schema.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const SNAPSHOT = {
  'snapshot-id': 5,
  'sequence-number': 1,
  'timestamp-ms': 1_600_000_000_000,
  summary: { operation: 'append' },
  'manifest-list': 's3://b/t/metadata/s.avro',
  'schema-id': 0,
}
const DOCUMENT = {
  'format-version': 3,
  'table-uuid': '9c12d441-03fe-4693-9a96-a0705ddf69c1',
  location: 's3://b/t',
  'last-sequence-number': 1,
  'last-updated-ms': 1_600_000_000_000,
  'last-column-id': 12,
  'next-row-id': 100,
  'encryption-keys': [{ 'key-id': 'k', 'encrypted-key-metadata': 'AA==' }],
  'current-schema-id': 0,
  schemas: [
    {
      type: 'struct',
      'schema-id': 0,
      fields: [
        { id: 1, name: 'id', required: true, type: 'long' },
        { id: 2, name: 'ns', required: false, type: 'timestamp_ns' },
        { id: 3, name: 'v', required: false, type: 'variant' },
        { id: 4, name: 'geo', required: false, type: 'geography(srid:4326, spherical)' },
        { id: 5, name: 'n', required: true, type: 'int', 'initial-default': 7, 'write-default': 8 },
        {
          id: 6,
          name: 's',
          required: false,
          type: { type: 'struct', fields: [{ id: 7, name: 'deep', required: false, type: 'timestamptz_ns' }] },
        },
      ],
    },
  ],
  'default-spec-id': 0,
  'partition-specs': [
    { 'spec-id': 0, fields: [{ 'source-ids': [1], 'field-id': 1000, name: 'b', transform: 'bucket[4]' }] },
  ],
  'last-partition-id': 1000,
  'default-sort-order-id': 0,
  'sort-orders': [{ 'order-id': 0, fields: [] }],
  properties: {},
  'current-snapshot-id': 5,
  snapshots: [{ ...SNAPSHOT, 'first-row-id': 0, 'added-rows': 100, 'key-id': 'k' }],
  'snapshot-log': [{ 'snapshot-id': 5, 'timestamp-ms': 1_600_000_000_000 }],
  'metadata-log': [],
  refs: { main: { 'snapshot-id': 5, type: 'branch' } },
  statistics: [{ 'snapshot-id': 5, 'statistics-path': 's3://b/t/metadata/a.puffin', 'file-size-in-bytes': 1 }],
  'partition-statistics': [{ 'snapshot-id': 5, 'statistics-path': 's3://b/t/metadata/p.parquet' }],
}
const parse = (change: object = {}) => parseMetadata(printJson({ ...DOCUMENT, ...change }), 'v1.metadata.json')

describe('format version 3', () => {
  test('opens, with row lineage, keys and first row ids kept', () => {
    const metadata = parse()
    expect(metadata.formatVersion).toBe(3)
    expect(metadata.unknown).toMatchObject({ 'next-row-id': 100, 'encryption-keys': [{ 'key-id': 'k' }] })
    expect(metadata.snapshots[0]!.unknown).toEqual({ 'first-row-id': 0, 'added-rows': 100, 'key-id': 'k' })
    expect(metadata.partitionSpecs[0]!.fields[0]!.sourceId).toBe(1)
  })

  test('is not written', () => {
    expect(() => printMetadata(parse())).toThrow(expect.objectContaining({ code: 'FIRN_FORMAT_VERSION_UNSUPPORTED' }))
  })

  test('columns of its types are refused by name when they are read; the others are read', () => {
    const schema = currentSchema(parse())
    expect(projectSchema(schema, ['id', 'n']).fields.map((field) => field.id)).toEqual([1, 5])
    for (const [name, type] of [
      ['ns', 'timestamp_ns'],
      ['v', 'variant'],
      ['geo', 'geography'],
      ['s', 'timestamptz_ns'],
    ] as const) {
      const refused = expect.objectContaining({
        code: 'FIRN_TYPE_UNSUPPORTED',
        message: expect.stringContaining(`column "${name}" has the type ${type}`),
        help: 'Name the columns to read: id, n',
      })
      expect(() => projectSchema(schema, [name])).toThrow(refused)
    }
    expect(() => projectSchema(schema, undefined)).toThrow(/column "ns"/)
    expect(printSchema(schema)).toEqual(DOCUMENT.schemas[0])
  })

  test('defaults are values of the column', () => {
    expect(fieldByName(currentSchema(parse()), 'n')).toMatchObject({ initialDefault: 7, writeDefault: 8 })
    const wrong = {
      ...DOCUMENT.schemas[0]!,
      fields: [{ id: 1, name: 'n', required: true, type: 'int', 'initial-default': 'x' }],
    }
    expect(() => parse({ schemas: [wrong] })).toThrow(/initial-default is no value of type int/)
  })
})

test('statistics files of every snapshot are known, so that nobody takes them for orphans', () => {
  expect(statisticsPaths(parse())).toEqual(['s3://b/t/metadata/a.puffin', 's3://b/t/metadata/p.parquet'])
  expect(statisticsPaths(parse({ statistics: undefined, 'partition-statistics': null }))).toEqual([])
  // A path that cannot be read must not look like no path.
  expect(() => statisticsPaths(parse({ statistics: [{ 'snapshot-id': 5 }] }))).toThrow(/statistics-path/)
})

test('format version 1 with one schema and one spec, and without sequence numbers', () => {
  const { 'sequence-number': _, ...snapshot } = SNAPSHOT
  const metadata = parse({
    'format-version': 1,
    'last-sequence-number': undefined,
    schemas: undefined,
    'current-schema-id': undefined,
    schema: { type: 'struct', fields: [{ id: 1, name: 'id', required: true, type: 'long' }] },
    'partition-specs': undefined,
    'default-spec-id': undefined,
    'last-partition-id': undefined,
    'partition-spec': [
      { 'source-id': 1, name: 'id_bucket', transform: 'bucket[4]' },
      { 'source-id': 1, name: 'id', transform: 'identity' },
    ],
    'sort-orders': undefined,
    'default-sort-order-id': undefined,
    refs: undefined,
    snapshots: [{ ...snapshot, 'schema-id': undefined }],
  })
  expect(metadata).toMatchObject({ formatVersion: 1, lastSequenceNumber: 0, lastPartitionId: 1001, currentSchemaId: 0 })
  expect(metadata.partitionSpecs[0]!.fields.map((field) => field.fieldId)).toEqual([1000, 1001])
  expect(metadata.refs['main']).toEqual({ snapshotId: 5n, type: 'branch' })
  expect(metadata.sortOrders).toEqual([{ orderId: 0, fields: [] }])
})

describe('a document that would mislead is corrupt', () => {
  const schema = DOCUMENT.schemas[0]!
  const field = { id: 1, name: 'id', required: true, type: 'long' }
  let deep: unknown = 'int'
  for (let id = 200; id > 0; id--)
    deep = { type: 'list', 'element-id': id + 10, 'element-required': true, element: deep }
  test.each<[string, object, RegExp]>([
    [
      'two columns of one id',
      { schemas: [{ ...schema, fields: [field, { ...field, name: 'b' }] }] },
      /two fields have the id 1/,
    ],
    [
      'an id that a nested field has too',
      {
        schemas: [
          {
            ...schema,
            fields: [
              field,
              {
                ...field,
                id: 2,
                name: 'l',
                type: { type: 'list', 'element-id': 1, 'element-required': true, element: 'int' },
              },
            ],
          },
        ],
      },
      /two fields have the id 1/,
    ],
    [
      'two columns of one name',
      { schemas: [{ ...schema, fields: [field, { ...field, id: 2 }] }] },
      /two fields are named "id"/,
    ],
    ['types nested 200 deep', { schemas: [{ ...schema, fields: [{ ...field, type: deep }] }] }, /nest deeper than 100/],
    ['two schemas of one id', { schemas: [schema, schema] }, /two schemas have the same id/],
    ['two snapshots of one id', { snapshots: [SNAPSHOT, SNAPSHOT] }, /two snapshots have the same id/],
    [
      'a ref to nothing',
      { refs: { ...DOCUMENT.refs, tag: { 'snapshot-id': 6, type: 'tag' } } },
      /ref tag names the snapshot 6/,
    ],
    ['a ref of no kind', { refs: { main: { 'snapshot-id': 5, type: 'twig' } } }, /branch or a tag/],
    ['a snapshot ahead of the last sequence number', { 'last-sequence-number': 0 }, /above last-sequence-number/],
    [
      'a snapshot log out of order',
      { 'snapshot-log': [...DOCUMENT['snapshot-log'], { 'snapshot-id': 5, 'timestamp-ms': 1_599_999_000_000 }] },
      /snapshot-log entry 1/,
    ],
  ])('%s', (_name, change, message) => {
    const error = (() => {
      try {
        return parse(change)
      } catch (caught) {
        return caught
      }
    })()
    expect(FirnError.is(error, 'FIRN_METADATA_CORRUPT')).toBe(true)
    expect((error as FirnError).message).toMatch(message)
  })

  test('clocks of two writers may differ by seconds', () => {
    const log = [...DOCUMENT['snapshot-log'], { 'snapshot-id': 5, 'timestamp-ms': 1_599_999_990_000 }]
    expect(parse({ 'snapshot-log': log }).snapshotLog).toHaveLength(2)
  })

  test('brackets without end', () => {
    const text = '['.repeat(200_000)
    expect(() => parseMetadata(text, 'x')).toThrow(expect.objectContaining({ code: 'FIRN_METADATA_CORRUPT' }))
    const nested = printJson(DOCUMENT).replace('"long"', `${'{"type":'.repeat(50_000)}"list"${'}'.repeat(50_000)}`)
    expect(() => parseMetadata(nested, 'x')).toThrow(expect.objectContaining({ code: 'FIRN_METADATA_CORRUPT' }))
  })
})

describe('single values as JSON', () => {
  test.each<[PrimitiveType, PrimitiveValue, unknown]>([
    ['boolean', true, true],
    ['int', -1, -1],
    ['long', 2n ** 63n - 1n, 2n ** 63n - 1n],
    ['double', 1.5, 1.5],
    ['decimal(9, 2)', -1420n, '-14.20'],
    ['decimal(9, 2)', 5n, '0.05'],
    ['date', 17_486, '2017-11-16'],
    ['time', 81_068_123_456n, '22:31:08.123456'],
    ['timestamp', 1_510_871_468_123_456n, '2017-11-16T22:31:08.123456'],
    ['timestamptz', 1_510_871_468_123_456n, '2017-11-16T22:31:08.123456+00:00'],
    ['string', 'iceberg', 'iceberg'],
    [
      'uuid',
      Uint8Array.from(Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex')),
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    ],
    ['fixed[4]', Uint8Array.of(0, 1, 2, 255), '000102ff'],
    ['binary', Uint8Array.of(0, 255), '00ff'],
  ])('%s %s', (type, value, json) => {
    expect(valueToJson(type, value)).toEqual(json)
    expect(valueFromJson(type, parseJson(printJson(json)))).toEqual(value)
  })

  test('what is no value of the type is none', () => {
    const wrong: readonly (readonly [PrimitiveType, unknown])[] = [
      ['int', 2 ** 31],
      ['long', 2n ** 63n],
      ['decimal(4, 2)', '123.00'],
      ['decimal(4, 2)', '1.234'],
      ['timestamp', '2017-11-16T22:31:08+00:00'],
      ['timestamptz', '2017-11-16T22:31:08'],
      ['uuid', 'f79c3e09'],
      ['fixed[4]', '00'],
      ['binary', '0'],
      ['time', '24:00:00'],
    ]
    for (const [type, json] of wrong) expect(valueFromJson(type, json), `${type} ${json}`).toBeUndefined()
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom<PrimitiveType>('date', 'uuid', 'decimal(9, 2)', 'long'),
        (json, type) => {
          valueFromJson(type, json)
        },
      ),
    )
  })
})

test('a schema is indexed with its nested fields', () => {
  const schema = parseSchema(DOCUMENT.schemas[0])
  expect([...fieldsById(schema).keys()]).toEqual([1, 2, 3, 4, 5, 6, 7])
})

test('sources of an old spec that no schema has together any more are gathered from several', () => {
  const column = (id: number) => ({ id, name: `c${id}`, required: false, type: 'int' })
  const schemaOf = (id: number, ...fields: object[]) => ({ type: 'struct', 'schema-id': id, fields })
  const metadata = parse({ schemas: [schemaOf(1, column(1)), schemaOf(2, column(2)), schemaOf(0, column(3))] })
  const part = (sourceId: number) => ({
    sourceId,
    fieldId: 1000 + sourceId,
    name: `p${sourceId}`,
    transform: 'identity',
  })
  const ids = (...sources: number[]): number[] => {
    const schema = schemaForSpec(metadata, { specId: 9, fields: sources.map(part) }, currentSchema(metadata))
    return schema.fields.map((field) => field.id)
  }
  expect(ids(3)).toEqual([3])
  expect(ids(2)).toEqual([2])
  expect(ids(1, 2)).toEqual([3, 1, 2])
})
