import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellAt } from '../../../../../jobs/compaction/enrich/columns.ts'
import { createEnricher } from '../../../../../jobs/compaction/enrich/enrich.ts'
import { textMeasurer } from '../../../../../jobs/compaction/enrich/features/groups.ts'
import { MAX_MEASURED_UNITS } from '../../../../../jobs/compaction/enrich/features/scan.ts'
import { columnsOf, type DatasetDefinition, parseDataset } from '../../../../../jobs/datasets/index.ts'
import { bytesOf } from '../../fixture.ts'

const dataset: DatasetDefinition = parseDataset(
  {
    name: 'notes',
    key: 'id',
    fields: [
      { name: 'id', type: 'string', required: true },
      { name: 'body', type: 'string' },
      { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'body' } },
      { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
    ],
    features: [
      { group: 'quality', of: 'body' },
      { group: 'statistics', of: 'body', prefix: 'body_' },
      { group: 'near-duplicates', of: 'body' },
      { group: 'segmentation', of: 'body', locale: 'en' },
    ],
  },
  'test',
)

async function enriched(texts: readonly (string | null)[]): Promise<Record<string, unknown>[]> {
  const enricher = createEnricher(dataset)
  const records = texts.map((body, n) => ({ bytes: bytesOf({ id: `k${n}`, body }), arrivalMillis: 1 }))
  expect(await enricher.addBatch(records)).toEqual(texts.map(() => undefined))
  const { columns } = enricher.take()
  return texts.map((_, row) => Object.fromEntries([...columns].map(([name, column]) => [name, cellAt(column, row)])))
}

const groupColumns = columnsOf(dataset).filter(({ from }) => from.kind === 'group')

/** Texts of the marks and repetitions that the rules look at. */
const text: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom('the ', 'and ', 'to ', 'of ', 'word ', 'a', '# ', '... ', '… ', '\n', '\n\n', '- ', '• ', '  '),
      fc.constantFrom('今天', 'ǅ', 'ⅷ', '²', '٣', '😀', '\u0085', '\u2028', '\ufeff', '\r\n', '\u0000', 'É'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { maxLength: 80 },
  )
  .chain((parts) => fc.constantFrom(1, 1, 3, 40).map((times) => parts.join('').repeat(times).toWellFormed()))

describe('the groups of features', () => {
  it('give every column that the definition lists for them, and no other', () => {
    const [quality, statistics, duplicates, segmentation] = textMeasurer(dataset.features!)('One text. 2 words')
    const listed = (group: string): string[] =>
      groupColumns.flatMap(({ from }) => (from.kind === 'group' && from.group.group === group ? [from.value] : []))
    expect(Object.keys(quality!).sort()).toEqual(listed('quality').sort())
    expect(Object.keys(statistics!).sort()).toEqual(listed('statistics').sort())
    expect(Object.keys(duplicates!)).toEqual(listed('near-duplicates'))
    expect(Object.keys(segmentation!).sort()).toEqual(listed('segmentation').sort())
  })

  it('give values of the declared types for any text, and never throw', () => {
    const measure = textMeasurer(dataset.features!)
    fc.assert(
      fc.property(text, (given) => {
        const values = Object.assign({}, ...measure(given)) as Record<string, unknown>
        for (const { type, from, name } of groupColumns) {
          const value = from.kind === 'group' ? values[from.value] : undefined
          if (type === 'int') expect(Number.isInteger(value), name).toBe(true)
          if (type === 'double') expect(Number.isFinite(value) && (value as number) >= 0, name).toBe(true)
          if (type === 'long') expect(BigInt.asIntN(64, value as bigint), name).toBe(value)
        }
        expect(values['quality_pass']).toBe(values['quality_reason'] === null)
      }),
      { numRuns: 500 },
    )
  })

  it('do not depend on the other texts of the batch', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(text, { nil: null }), { minLength: 1, maxLength: 6 }), async (texts) => {
        const together = await enriched(texts)
        for (const [row, body] of texts.entries()) {
          const [alone] = await enriched([body])
          expect({ ...alone, id: '' }).toEqual({ ...together[row], id: '' })
        }
      }),
      { numRuns: 30 },
    )
  })

  it('are null for a null text, while the version is not', async () => {
    const [row] = await enriched([null])
    for (const { name } of groupColumns) expect(row![name], name).toBeNull()
    expect(row!['feature_version']).toBe(1)
  })

  it('say too_long of a text that is too long to measure', () => {
    const [quality, statistics] = textMeasurer(dataset.features!.slice(0, 2))('x'.repeat(MAX_MEASURED_UNITS + 1))
    expect(quality).toEqual({ quality_pass: false, quality_reason: 'too_long' })
    expect(statistics).toEqual({})
  })
})
