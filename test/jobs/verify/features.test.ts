/** Which computed columns `verify` computes again, and which it leaves. */
import type { RecordBatch } from 'apache-arrow'
import { describe, expect, it } from 'vitest'
import { createEnricher } from '../../../jobs/compaction/enrich/enrich.ts'
import { gatherer } from '../../../jobs/compaction/gather.ts'
import { type DatasetDefinition, layoutOf, parseDataset } from '../../../jobs/datasets/index.ts'
import { featureChecks } from '../../../jobs/verify/features.ts'
import { Findings, RowFaults } from '../../../jobs/verify/problems.ts'
import { epochMicros } from '../../../table/ids.ts'
import { arrowSchema } from '../../../table/index.ts'
import { bytesOf } from '../compaction/fixture.ts'

const datasetOf = (of: string, locale = 'en'): DatasetDefinition =>
  parseDataset(
    {
      name: 'notes',
      key: 'id',
      fields: [
        { name: 'id', type: 'string', required: true },
        { name: 'body', type: 'string' },
        { name: 'other', type: 'string' },
        { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of } },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
      features: [
        { group: 'quality', of },
        { group: 'statistics', of, prefix: 's_' },
        { group: 'near-duplicates', of },
        { group: 'segmentation', of, locale },
      ],
    },
    'test',
  )

const { schema } = layoutOf(datasetOf('body'))

/** Rows whose features were computed from `of`. */
async function batchOf(of: string): Promise<RecordBatch> {
  const enricher = createEnricher(datasetOf(of))
  const records = [
    { id: 'a', body: 'One two. three\n\nTHREE', other: 'Another text …' },
    { id: 'b', body: null, other: null },
    { id: 'c', body: '', other: '今天 #' },
  ].map((record) => ({ bytes: bytesOf(record), arrivalMillis: 1 }))
  expect(await enricher.addBatch(records)).toEqual([undefined, undefined, undefined])
  return gatherer(enricher.take(), arrowSchema(schema), epochMicros(1n))(Uint32Array.of(0, 1, 2), 0, 3)
}

function faultsOf(batch: RecordBatch, dataset: DatasetDefinition): readonly string[] {
  const faults = new RowFaults()
  const findings = new Findings()
  for (const check of featureChecks(schema, dataset, faults)) check(batch.data.children, batch.numRows, 0)
  faults.report(findings, 'file')
  expect(new Set(findings.problems.map(({ code }) => code))).toEqual(
    new Set(findings.problems.length === 0 ? [] : ['feature']),
  )
  return findings.problems.map(({ message }) => message)
}

describe('verify of computed columns', () => {
  it('finds nothing in what compaction computes, nulls and empty texts included', async () => {
    expect(faultsOf(await batchOf('body'), datasetOf('body'))).toEqual([])
  })

  it('finds every column that another text gives, but for the segmentation', async () => {
    const messages = faultsOf(await batchOf('other'), datasetOf('body'))
    for (const column of ['word_count', 'quality_word_count', 'quality_hash_ratio', 's_length', 'simhash64']) {
      expect(
        messages.some((message) => message.includes(`: ${column} is not what body gives`)),
        column,
      ).toBe(true)
    }
    expect(messages.join()).not.toContain('segment_')
  })

  it('leaves the groups of rows of another version of the definitions alone', async () => {
    const batch = await batchOf('other')
    const version = schema.fields.findIndex(({ name }) => name === 'feature_version')
    ;(batch.data.children[version]!.values as Int32Array).fill(2)
    expect(faultsOf(batch, datasetOf('body')).every((message) => message.includes(': word_count'))).toBe(true)
  })
})
