import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellAt } from '../../../../jobs/compaction/enrich/columns.ts'
import { createEnricher, type EnrichedRows, type Enricher } from '../../../../jobs/compaction/enrich/enrich.ts'
import { articles, parseDataset } from '../../../../jobs/datasets/index.ts'
import { bytesOf } from '../fixture.ts'

/** @returns the reasons, by record. */
async function add(enricher: Enricher, ...records: (string | Uint8Array | object)[]): Promise<(string | undefined)[]> {
  const outcomes = await enricher.addBatch(records.map((data) => ({ bytes: bytesOf(data), arrivalMillis: 1 })))
  return outcomes.map((refusal) => refusal?.reason)
}

const cell = (rows: EnrichedRows, name: string, row: number): unknown => cellAt(rows.columns.get(name)!, row)

describe('createEnricher', () => {
  it('keeps every text byte for byte, with its digest and counts', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 80 }).map((value) => value.toWellFormed())
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, fc.option(text, { nil: null })), { maxLength: 20 }), async (items) => {
        const enricher = createEnricher(articles)
        const records = items.map(([content, title], n) => ({
          bytes: bytesOf({ article_id: `k${n}`, content, title }),
          arrivalMillis: 1000 + n,
        }))
        expect(await enricher.addBatch(records)).toEqual(items.map(() => undefined))
        const rows = enricher.take()
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

  it('leaves no trace of a refused record', async () => {
    const enricher = createEnricher(articles)
    const reasons = await add(
      enricher,
      { article_id: 'a', content: 'one' },
      { article_id: 'b', title: 'T', content: 7 },
      { article_id: 'c', content: 'three' },
    )
    expect(reasons).toEqual([undefined, 'schema.type:/content', undefined])
    const rows = enricher.take()
    expect(rows.rowCount).toBe(2)
    expect([0, 1].map((row) => cell(rows, 'article_id', row))).toEqual(['a', 'c'])
    expect([0, 1].map((row) => cell(rows, 'title', row))).toEqual([null, null])
  })

  it('is empty after rows were taken, and leaves those alone', async () => {
    const enricher = createEnricher(articles)
    expect(enricher.heldBytes).toBe(0)
    await add(enricher, { article_id: 'a', content: 'x'.repeat(1_000_000) })
    expect(enricher.heldBytes).toBeGreaterThan(1_000_000)
    const first = enricher.take()
    expect([enricher.rowCount, enricher.heldBytes]).toEqual([0, 0])
    await add(enricher, { article_id: 'b', content: 'two' })
    const second = enricher.take()
    expect([first.rowCount, cell(first, 'article_id', 0)]).toEqual([1, 'a'])
    expect([second.rowCount, cell(second, 'article_id', 0)]).toEqual([1, 'b'])
  })

  it('gives null features for a null text, and reads members under other names', async () => {
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
    expect(await add(enricher, '{"id":"a"}', '{"id":"b","__proto__":"two words"}')).toEqual([undefined, undefined])
    const rows = enricher.take()
    expect([0, 1].map((row) => cell(rows, 'word_count', row))).toEqual([null, 2])
    expect(cell(rows, 'digest', 0)).toBeNull()
    expect(cell(rows, 'body', 1)).toBe('two words')
    expect(({} as Record<string, unknown>)['word_count']).toBeUndefined()
  })

  it('takes a record of exactly the largest size and refuses one byte more', async () => {
    const dataset = { ...articles, maxRecordBytes: 100 }
    const record = (bytes: number): Buffer => {
      const empty = JSON.stringify({ article_id: 'a', content: '' })
      return Buffer.from(JSON.stringify({ article_id: 'a', content: 'x'.repeat(bytes - empty.length) }))
    }
    expect(await add(createEnricher(dataset), record(100), record(101))).toEqual([undefined, 'too_large'])
  })
})
