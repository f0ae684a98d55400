import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { articles, layoutOf, parseDataset, resolveDataset } from '../../../jobs/datasets/index.ts'
import { FirnError } from '../../../table/errors.ts'

const field = (name: string, type = 'string', more: object = {}): object => ({ name, type, ...more })
const compactedAt = field('compacted_at', 'timestamptz', { required: true, from: { kind: 'compacted_at' } })
const small = {
  name: 'small',
  key: 'id',
  fields: [
    field('id', 'string', { required: true }),
    field('body'),
    field('word_count', 'int', { from: { kind: 'feature', feature: 'word_count', of: 'body' } }),
    compactedAt,
  ],
}

function faultsOf(json: unknown): string {
  try {
    parseDataset(json, 'test')
  } catch (error) {
    if (FirnError.is(error, 'FIRN_DATASET_INVALID')) return error.message
    throw error
  }
  return 'none'
}

describe('articles', () => {
  it('lays out the columns, partitioning and order of the table', () => {
    const { schema, partitionSpec, sortOrder, properties } = layoutOf(articles)
    expect(schema.fields.map(({ id, name, type, required }) => [id, name, type, required])).toEqual([
      [1, 'article_id', 'string', true],
      [2, 'title', 'string', false],
      [3, 'author', 'string', false],
      [4, 'publish_date', 'timestamptz', false],
      [5, 'content', 'string', true],
      [6, 'word_count', 'int', true],
      [7, 'char_count', 'int', true],
      [8, 'sentence_count', 'int', true],
      [9, 'content_sha256', 'string', true],
      [10, 'arrived_at', 'timestamptz', true],
      [11, 'compacted_at', 'timestamptz', true],
    ])
    expect(partitionSpec).toEqual({
      specId: 0,
      fields: [{ sourceId: 10, fieldId: 1000, name: 'arrived_at_day', transform: 'day' }],
    })
    expect(sortOrder.fields.map(({ sourceId, direction, nullOrder }) => [sourceId, direction, nullOrder])).toEqual([
      [4, 'asc', 'nulls-first'],
      [1, 'asc', 'nulls-first'],
    ])
    expect(properties).toMatchObject({
      'write.target-file-size-bytes': '134217728',
      'write.parquet.compression-codec': 'zstd',
      'firn.row-group-rows': '2048',
    })
    expect(parseDataset(JSON.parse(properties['firn.dataset']!), 'property')).toEqual(articles)
  })
})

describe('parseDataset', () => {
  it('fills in the defaults', () => {
    expect(parseDataset(small, 'test')).toMatchObject({
      maxRecordBytes: 10_485_760,
      averageOf: 'word_count',
      partition: [],
      sort: [],
      fields: [{ from: { kind: 'record' } }, { required: false }, {}, {}],
    })
  })

  it.each<[string, object, RegExp]>([
    ['an unknown member', { ...small, colour: 'red' }, /colour/],
    ['an unknown type', { ...small, fields: [...small.fields, field('x', 'uuid')] }, /fields\.4\.type/],
    ['two fields of one name', { ...small, fields: [...small.fields, field('id')] }, /unique/],
    ['no compacted_at', { ...small, fields: small.fields.slice(0, 3) }, /compacted_at/],
    ['an optional key', { ...small, key: 'body' }, /key: body/],
    ['a key that is computed', { ...small, key: 'word_count' }, /key: word_count/],
    [
      'an event time that is the time of the run',
      { ...small, eventTime: 'compacted_at' },
      /eventTime: compacted_at is the time of the run/,
    ],
    ['an event time of text', { ...small, eventTime: 'body' }, /eventTime/],
    [
      'a feature of another type',
      {
        ...small,
        fields: [...small.fields, field('n', 'long', { from: { kind: 'feature', feature: 'char_count', of: 'body' } })],
      },
      /n: must be of type int/,
    ],
    [
      'a feature of nothing',
      {
        ...small,
        fields: [...small.fields, field('n', 'int', { from: { kind: 'feature', feature: 'char_count', of: 'nope' } })],
      },
      /"of"/,
    ],
    [
      'a required feature of an optional field',
      {
        ...small,
        fields: [
          ...small.fields,
          field('n', 'int', { required: true, from: { kind: 'feature', feature: 'char_count', of: 'body' } }),
        ],
      },
      /optional/,
    ],
    ['an average of text', { ...small, averageOf: 'body' }, /averageOf/],
    [
      'a partition by an unknown field',
      { ...small, partition: [{ source: 'nope', transform: 'day' }] },
      /no field nope/,
    ],
    ['a day of a text', { ...small, partition: [{ source: 'body', transform: 'day' }] }, /does not fit/],
    ['an unknown transform', { ...small, partition: [{ source: 'body', transform: 'bucket[4]' }] }, /transform/],
    ['a sort by an unknown field', { ...small, sort: [{ source: 'nope' }] }, /sort: no field nope/],
    [
      'a feature for an origin',
      { ...small, fields: [...small.fields, field('o', 'int', { from: { kind: 'origin' } })] },
      /o: must be of type string/,
    ],
    [
      'a field of a group',
      { ...small, fields: [...small.fields, field('o', 'int', { from: { kind: 'group' } })] },
      /from/,
    ],
    ['the scope table without an origin', { ...small, dedup: { scope: 'table' } }, /dedup: scope table needs/],
    [
      'the scope table with an origin that may be null',
      {
        ...small,
        dedup: { scope: 'table' },
        fields: [...small.fields, field('o', 'string', { from: { kind: 'origin' } })],
      },
      /dedup: scope table needs/,
    ],
    ['an unknown group', { ...small, features: [{ group: 'sentiment', of: 'body' }] }, /features/],
    [
      'a group of an unknown field',
      { ...small, features: [{ group: 'quality', of: 'nope' }] },
      /features: "of" of quality/,
    ],
    [
      'a group of a number',
      { ...small, features: [{ group: 'quality', of: 'word_count' }] },
      /features: "of" of quality/,
    ],
    ['a segmentation of no language', { ...small, features: [{ group: 'segmentation', of: 'body' }] }, /locale/],
    [
      'a segmentation of a language that nobody knows',
      { ...small, features: [{ group: 'segmentation', of: 'body', locale: 'xx-qq-?' }] },
      /locale/,
    ],
    [
      'one group twice',
      {
        ...small,
        features: [
          { group: 'near-duplicates', of: 'body' },
          { group: 'near-duplicates', of: 'id' },
        ],
      },
      /column simhash64 would be there twice; give/,
    ],
    [
      'a group on top of a field',
      {
        ...small,
        features: [{ group: 'statistics', of: 'body', prefix: 'x_' }],
        fields: [...small.fields, field('x_length', 'int')],
      },
      /x_length would be there twice/,
    ],
    ['a record limit of nothing', { ...small, maxRecordBytes: 0 }, /maxRecordBytes/],
  ])('refuses %s', (_name, json, message) => {
    expect(faultsOf(json)).toMatch(message)
  })

  it.each([null, [], 'articles', 7])('refuses %j', (json) => {
    expect(faultsOf(json)).toMatch(/definition/)
  })
})

describe('a definition with groups of features', () => {
  const features = [
    { group: 'quality', of: 'body' },
    { group: 'statistics', of: 'body', prefix: 'body_' },
    { group: 'near-duplicates', of: 'body' },
    { group: 'near-duplicates', of: 'id', prefix: 'id_' },
    { group: 'segmentation', of: 'body', locale: 'ja' },
  ]
  const dataset = parseDataset(
    {
      ...small,
      fields: [...small.fields, field('place', 'string', { required: true, from: { kind: 'origin' } })],
      features,
      dedup: { scope: 'table' },
      sort: [{ source: 'simhash64' }],
    },
    'test',
  )

  it('survives JSON unchanged, and again', () => {
    const again = parseDataset(JSON.parse(JSON.stringify(dataset)), 'again')
    expect(again).toEqual(dataset)
    expect(JSON.stringify(again)).toBe(JSON.stringify(dataset))
    expect(dataset.dedup).toEqual({ scope: 'table', keep: 'latest' })
  })

  it('lays out their columns after the fields, documented, and nullable but for the version', () => {
    const { schema, sortOrder } = layoutOf(dataset)
    const names = schema.fields.map(({ name }) => name)
    expect(names.slice(0, 8)).toEqual([
      'id',
      'body',
      'word_count',
      'compacted_at',
      'place',
      'quality_pass',
      'quality_reason',
      'quality_word_count',
    ])
    expect(names.slice(-5)).toEqual([
      'simhash64',
      'id_simhash64',
      'segment_word_count',
      'segment_sentence_count',
      'feature_version',
    ])
    expect(new Set(names).size).toBe(names.length)
    expect(schema.fields.map(({ id }) => id)).toEqual(names.map((_, index) => index + 1))
    for (const { name, doc, required } of schema.fields.slice(5)) {
      expect(doc, name).toMatch(/\w/)
      expect(required, name).toBe(name === 'feature_version')
    }
    expect(sortOrder.fields[0]!.sourceId).toBe(names.indexOf('simhash64') + 1)
  })

  it('has no column of theirs without a group', () => {
    expect(layoutOf(parseDataset(small, 'test')).schema.fields.map(({ name }) => name)).not.toContain('feature_version')
    expect(layoutOf(parseDataset({ ...small, features: [] }, 'test')).schema.fields.length).toBe(4)
  })
})

describe('resolveDataset', () => {
  it('finds a built-in dataset by name and a definition by file', async () => {
    expect(await resolveDataset('articles')).toBe(articles)
    const folder = await mkdtemp(join(tmpdir(), 'firn-dataset-'))
    try {
      const file = join(folder, 'small.json')
      await writeFile(file, JSON.stringify(small))
      expect((await resolveDataset(file)).name).toBe('small')
      await writeFile(file, '{"name":')
      await expect(resolveDataset(file)).rejects.toMatchObject({ code: 'FIRN_DATASET_INVALID' })
      await expect(resolveDataset(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'FIRN_DATASET_NOT_FOUND' })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
