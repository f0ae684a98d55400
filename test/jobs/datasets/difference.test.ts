import { describe, expect, it } from 'vitest'
import { articles, type DatasetDefinition, datasetDifferences, parseDataset } from '../../../jobs/datasets/index.ts'
import { articleRecords, memoryWarehouse, runCompaction, stage } from '../compaction/fixture.ts'

const changed = (change: (fields: DatasetDefinition['fields']) => DatasetDefinition['fields'], more: object = {}) =>
  parseDataset({ ...articles, fields: change(articles.fields), ...more }, 'test')

describe('datasetDifferences', () => {
  it('are none between a definition and itself, however it is written', () => {
    const { name, fields, ...parts } = articles
    const rewritten = {
      ...Object.fromEntries(Object.entries(parts).reverse()),
      fields: fields.map((field) => ({ ...Object.fromEntries(Object.entries(field).reverse()), doc: 'other words' })),
      name,
    }
    expect(datasetDifferences(articles, parseDataset(rewritten, 'test'))).toEqual([])
  })

  it.each<[string, DatasetDefinition, string[]]>([
    [
      'a new field',
      changed((all) => [...all, { name: 'views', type: 'int', required: false, from: { kind: 'record' } }]),
      ['field views is new'],
    ],
    ['a field less', changed((all) => all.filter(({ name }) => name !== 'title')), ['field title is left out']],
    [
      'a field that became required',
      changed((all) => all.map((field) => (field.name === 'title' ? { ...field, required: true } : field))),
      ['field title: required is true, the table has false'],
    ],
    ['another order', changed((all) => [...all].reverse()), ['the fields are in another order']],
    [
      'another partitioning and event time',
      changed((all) => all, { partition: [], eventTime: undefined }),
      [
        'eventTime is not given, the table has "publish_date"',
        'partition is [], the table has [{"source":"arrived_at","transform":"day"}]',
      ],
    ],
  ])('name %s', (_what, given, lines) => {
    expect([...datasetDifferences(articles, given)].sort()).toEqual(lines.sort())
  })
})

describe('a run that is given another definition than the table has', () => {
  const warnings: { detail: object; message: string }[] = []
  const log = { info: () => {}, warn: (detail: object, message: string) => void warnings.push({ detail, message }) }

  it('warns with the differences and goes on with the stored one', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 10) } })
    await runCompaction(warehouse, { log })
    expect(await runCompaction(warehouse, { log }), 'the same definition').toMatchObject({ nothing_to_do: true })
    expect(warnings).toEqual([])

    const other = changed((all) => [...all, { name: 'views', type: 'int', required: false, from: { kind: 'record' } }])
    await stage(warehouse, { a: { records: articleRecords(0, 12) } })
    expect(await runCompaction(warehouse, { log, dataset: other })).toMatchObject({ rows_added: 2 })
    expect(warnings).toEqual([
      {
        detail: { table: 'news.articles', differences: ['field views is new'] },
        message: expect.stringContaining('keeps the definition it was made with'),
      },
    ])
  })

  it('says nothing about a definition that was only there for a table that does not exist', async () => {
    warnings.length = 0
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 10) } })
    const other = parseDataset({ ...articles, name: 'other' }, 'test')
    await runCompaction(warehouse, { log, dataset: undefined, fallbackDataset: other })
    await runCompaction(warehouse, { log, dataset: undefined, fallbackDataset: articles })
    expect(warnings).toEqual([])
  })
})
