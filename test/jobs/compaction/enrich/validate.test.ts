import { describe, expect, it } from 'vitest'
import { type CellValue, recordValidator } from '../../../../jobs/compaction/enrich/validate.ts'
import { articles, parseDataset } from '../../../../jobs/datasets/index.ts'

const good = {
  article_id: 'a1',
  title: 'T',
  author: 'A',
  publish_date: '2026-11-21T13:45:10.123456Z',
  content: 'Some text.',
}

function refusalOf(record: Record<string, unknown>, dataset = articles): string | undefined {
  return recordValidator(dataset)(record, [])?.reason
}

describe('recordValidator of articles', () => {
  it('turns a record into the cells of its row', () => {
    const cells: CellValue[] = []
    expect(recordValidator(articles)({ ...good, extra: { ignored: true } }, cells)).toBeUndefined()
    expect(cells).toEqual(['a1', 'T', 'A', 1795268710123456n, 'Some text.'])
  })

  it('takes absent and null optional members for null, and an empty content for a text', () => {
    const cells: CellValue[] = []
    expect(recordValidator(articles)({ article_id: 'a1', content: '', author: null }, cells)).toBeUndefined()
    expect(cells).toEqual(['a1', null, null, null, ''])
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['no key', { ...good, article_id: undefined }, 'missing_key'],
    ['a null key', { ...good, article_id: null }, 'missing_key'],
    ['an empty key', { ...good, article_id: '' }, 'missing_key'],
    ['a numeric key', { ...good, article_id: 7 }, 'schema.type:/article_id'],
    ['no content', { article_id: 'a1' }, 'schema.required:/content'],
    ['a null content', { ...good, content: null }, 'schema.type:/content'],
    ['a number for content', { ...good, content: 7 }, 'schema.type:/content'],
    ['an array for content', { ...good, content: ['x'] }, 'schema.type:/content'],
    ['an object for title', { ...good, title: {} }, 'schema.type:/title'],
    ['a boolean for author', { ...good, author: false }, 'schema.type:/author'],
    ['an epoch number for publish_date', { ...good, publish_date: 1795268710 }, 'schema.type:/publish_date'],
    ['a word for publish_date', { ...good, publish_date: 'yesterday' }, 'bad_timestamp'],
    ['an empty publish_date', { ...good, publish_date: '' }, 'bad_timestamp'],
    ['month 13', { ...good, publish_date: '2026-13-01T00:00:00Z' }, 'bad_timestamp'],
    ['year 10000', { ...good, publish_date: '10000-01-01T00:00:00Z' }, 'bad_timestamp'],
    ['half a surrogate pair', { ...good, content: 'cut \ud83d' }, 'decode.utf8'],
    ['half a surrogate pair in the key', { ...good, article_id: '\udc00' }, 'decode.utf8'],
    ['the key first of several faults', { content: 7, publish_date: 'x' }, 'missing_key'],
    ['inherited members as absent', Object.create(good) as Record<string, unknown>, 'missing_key'],
  ])('refuses %s', (_name, record, reason) => {
    expect(refusalOf(record)).toBe(reason)
  })

  it('never repeats a value of the record in its message', () => {
    const validate = recordValidator(articles)
    for (const member of Object.keys(good)) {
      for (const value of ['SECRET-\ud800', 424242, ['SECRET'], { SECRET: 1 }]) {
        expect(validate({ ...good, [member]: value }, [])?.message ?? '').not.toMatch(/SECRET|424242/)
      }
    }
  })
})

describe('recordValidator of any dataset', () => {
  const dataset = parseDataset(
    {
      name: 'all',
      key: 'id',
      averageOf: 'n',
      fields: [
        { name: 'id', type: 'string', required: true },
        { name: 'n', type: 'int' },
        { name: 'big', type: 'long' },
        { name: 'ratio', type: 'double' },
        { name: 'flag', type: 'boolean' },
        { name: 'day', type: 'date' },
        { name: 'constructor', type: 'string' },
        { name: 'renamed', type: 'string', from: { kind: 'record', member: 'a/b~c' } },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
    },
    'test',
  )

  it('converts every type', () => {
    const cells: CellValue[] = []
    const record = { id: 'x', n: -5, big: 2 ** 53 - 1, ratio: 0.5, flag: true, day: '1969-12-31', 'a/b~c': 'r' }
    expect(recordValidator(dataset)(record, cells)).toBeUndefined()
    expect(cells).toEqual(['x', -5, 9007199254740991n, 0.5, true, -1, null, 'r'])
  })

  it.each<[Record<string, unknown>, string]>([
    [{ n: 1.5 }, 'schema.type:/n'],
    [{ n: 2 ** 31 }, 'schema.type:/n'],
    [{ n: '1' }, 'schema.type:/n'],
    [{ big: 2 ** 53 }, 'schema.type:/big'],
    [{ ratio: '0.5' }, 'schema.type:/ratio'],
    [{ ratio: Number.POSITIVE_INFINITY }, 'schema.type:/ratio'],
    [{ flag: 1 }, 'schema.type:/flag'],
    [{ day: 7 }, 'schema.type:/day'],
    [{ day: '2026-02-30' }, 'bad_timestamp'],
    [{ 'a/b~c': 7 }, 'schema.type:/a~1b~0c'],
  ])('refuses %j as %s', (members, reason) => {
    expect(refusalOf({ id: 'x', ...members }, dataset)).toBe(reason)
  })
})
