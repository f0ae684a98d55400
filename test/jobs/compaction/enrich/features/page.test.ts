import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import {
  OTHER_DIGIT_RANGES,
  PUNCTUATION_RANGES,
  SENTENCE_END_RANGES,
} from '../../../../../jobs/compaction/enrich/features/characters.ts'
import { columnsOf, FEATURE_VERSION, parseDataset } from '../../../../../jobs/datasets/index.ts'

describe('the page of features', async () => {
  const page = await readFile(new URL('../../../../../docs/features.md', import.meta.url), 'utf8')

  it('defines every column, and the number of the definitions', () => {
    const columns = columnsOf(
      parseDataset(
        {
          name: 'all',
          key: 'id',
          averageOf: 'length',
          fields: [
            { name: 'id', type: 'string', required: true },
            { name: 'compacted_at', type: 'timestamptz', from: { kind: 'compacted_at' } },
          ],
          features: [
            { group: 'quality', of: 'id' },
            { group: 'statistics', of: 'id' },
            { group: 'near-duplicates', of: 'id' },
            { group: 'segmentation', of: 'id', locale: 'en' },
          ],
        },
        'test',
      ),
    )
    for (const { name } of columns.slice(2)) expect(page, name).toContain(`\`${name}\``)
    expect(page).toContain(`the number of these definitions, now ${FEATURE_VERSION}.`)
  })

  it('has the lists of characters as they are', () => {
    for (const list of [OTHER_DIGIT_RANGES, PUNCTUATION_RANGES, SENTENCE_END_RANGES])
      expect(page).toContain(`\`${list}\``)
  })
})
