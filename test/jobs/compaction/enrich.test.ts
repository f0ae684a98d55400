import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellAt } from '../../../jobs/compaction/columns.ts'
import { createEnricher, type EnrichedRows } from '../../../jobs/compaction/enrich.ts'
import { articles, parseDataset } from '../../../jobs/datasets/index.ts'

const cell = (rows: EnrichedRows, name: string, row: number): unknown => cellAt(rows.columns.get(name)!, row)

describe('createEnricher', () => {
  it('keeps every text byte for byte, with its digest and counts', () => {
    const text = fc.string({ unit: 'binary', maxLength: 80 }).map((value) => value.toWellFormed())
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fc.option(text, { nil: null })), { maxLength: 20 }), (items) => {
        const enricher = createEnricher(articles)
        items.forEach(([content, title], n) => {
          const record = Buffer.from(JSON.stringify({ article_id: `k${n}`, content, title }))
          expect(enricher.add(record, 1000 + n)).toBeUndefined()
        })
        const { rows } = enricher
        expect(rows.rowCount).toBe(items.length)
        items.forEach(([content, title], n) => {
          expect(cell(rows, 'content', n)).toBe(content)
          expect(cell(rows, 'title', n)).toBe(title)
          expect(cell(rows, 'content_sha256', n)).toBe(createHash('sha256').update(content).digest('hex'))
          expect(cell(rows, 'char_count', n)).toBe([...content].length)
          expect(cell(rows, 'word_count', n)).toBe(content.match(/\P{White_Space}+/gu)?.length ?? 0)
          expect(cell(rows, 'arrived_at', n)).toBe(BigInt(1000 + n) * 1000n)
        })
      }),
    )
  })

  it('leaves no trace of a refused record', () => {
    const enricher = createEnricher(articles)
    const add = (record: object): string | undefined => enricher.add(Buffer.from(JSON.stringify(record)), 1)?.reason
    expect(add({ article_id: 'a', content: 'one' })).toBeUndefined()
    expect(add({ article_id: 'b', title: 'T', content: 7 })).toBe('schema.type:/content')
    expect(add({ article_id: 'c', content: 'three' })).toBeUndefined()
    expect(enricher.rows.rowCount).toBe(2)
    expect([0, 1].map((row) => cell(enricher.rows, 'article_id', row))).toEqual(['a', 'c'])
    expect([0, 1].map((row) => cell(enricher.rows, 'title', row))).toEqual([null, null])
  })

  it('gives null features for a null text, and reads members under other names', () => {
    const dataset = parseDataset(
      {
        name: 'notes',
        key: 'id',
        fields: [
          { name: 'id', type: 'string', required: true },
          { name: 'body', type: 'string', from: { kind: 'record', member: '__proto__' } },
          { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'body' } },
          { name: 'digest', type: 'string', from: { kind: 'feature', feature: 'content_sha256', of: 'body' } },
          { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
        ],
      },
      'test',
    )
    const enricher = createEnricher(dataset)
    expect(enricher.add(Buffer.from('{"id":"a"}'), 1)).toBeUndefined()
    expect(enricher.add(Buffer.from('{"id":"b","__proto__":"two words"}'), 1)).toBeUndefined()
    expect([0, 1].map((row) => cell(enricher.rows, 'word_count', row))).toEqual([null, 2])
    expect(cell(enricher.rows, 'digest', 0)).toBeNull()
    expect(cell(enricher.rows, 'body', 1)).toBe('two words')
    expect(({} as Record<string, unknown>)['word_count']).toBeUndefined()
  })

  it('takes a record of exactly the largest size and refuses one byte more', () => {
    const dataset = { ...articles, maxRecordBytes: 100 }
    const record = (bytes: number): Buffer => {
      const empty = JSON.stringify({ article_id: 'a', content: '' })
      return Buffer.from(JSON.stringify({ article_id: 'a', content: 'x'.repeat(bytes - empty.length) }))
    }
    const enricher = createEnricher(dataset)
    expect(enricher.add(record(100), 1)).toBeUndefined()
    expect(enricher.add(record(101), 1)?.reason).toBe('too_large')
  })
})
