/**
 * The groups against what datatrove measured (0.10.1, words split at white space), saved by
 * `npm run test:features 82 7 test/fixtures/features/datatrove.json`; that run compares thousands of texts.
 */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { compareMeasured, type Measured } from '../../../../interop/feature-comparison.ts'
import { featureTexts } from '../../../../interop/feature-texts.ts'

describe('quality and statistics', () => {
  it('are what datatrove measures, value by value', async () => {
    const file = new URL('../../../../fixtures/features/datatrove.json', import.meta.url)
    const measured = JSON.parse(await readFile(file, 'utf8')) as readonly Measured[]
    const { values, reasons, differences } = compareMeasured(featureTexts(82, 7), measured)
    expect(differences).toEqual([])
    expect(values).toBeGreaterThan(3000)
    // the texts reach most of the rules, and some pass
    expect(reasons.size).toBeGreaterThan(12)
    expect(reasons.get('passes')).toBeGreaterThan(10)
  })
})
