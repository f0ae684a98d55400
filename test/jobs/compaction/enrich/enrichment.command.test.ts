/** Groups of features, an origin and the operator's module in a table, as a user makes it: `firn … --enrichment FILE`. */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome } from '../../cli-support.ts'

const home = makeHome()
const env = { FIRN_WAREHOUSE: pathToFileURL(home.path('warehouse')).href }
afterAll(() => home.remove())

const dataset = {
  name: 'notes',
  key: 'id',
  fields: [
    { name: 'id', type: 'string', required: true },
    { name: 'body', type: 'string' },
    { name: 'place', type: 'string', required: true, from: { kind: 'origin' } },
    { name: 'shout', type: 'string', from: { kind: 'enrichment' } },
    { name: 'weight', type: 'double', required: true, from: { kind: 'enrichment' } },
    { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'body' } },
    { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
  ],
  sort: [{ source: 'place' }],
  features: [
    { group: 'quality', of: 'body' },
    { group: 'statistics', of: 'body', prefix: 'body_' },
    { group: 'near-duplicates', of: 'body' },
    { group: 'segmentation', of: 'body', locale: 'en' },
  ],
}
const enrichment = `export default async (batch) => {
  const bodies = [...batch.getChild('body')]
  if (bodies.includes('poison')) throw new TypeError('poison')
  return {
    shout: bodies.map((body) => body?.toUpperCase() ?? null),
    weight: Float64Array.from(batch.getChild('word_count'), (words) => (words ?? 0) / 4),
  }
}
`
const notes = [
  { id: 'a', body: 'two words' },
  { id: 'b', body: 'poison' },
  { id: 'c', body: null },
  { id: 'd', body: 'one two three. Four!' },
]

beforeAll(async () => {
  writeFileSync(home.path('notes.json'), JSON.stringify(dataset))
  writeFileSync(home.path('enrich.mjs'), enrichment)
  writeFileSync(home.path('notes.ndjson'), notes.map((note) => `${JSON.stringify(note)}\n`).join(''))
  const land = await home.firn(['land', '--from', home.path('notes.ndjson')], env)
  expect(land.stderr + land.code).toMatch(/0$/)
  const init = await home.firn(['init', 'shop.notes', '--dataset', home.path('notes.json')], env)
  expect(init.code).toBe(0)
})

describe('firn compact of a dataset with columns from enrichment', () => {
  it('asks for the module, and refuses one that is none', async () => {
    const without = await home.firn(['compact', 'shop.notes'], env)
    expect(without).toMatchObject({ code: 2, stderr: expect.stringMatching(/FIRN_ENRICHMENT_MISSING/) })
    const absent = await home.firn(['compact', 'shop.notes', '--enrichment', 'absent.mjs'], env)
    expect(absent.stderr).toMatch(/FIRN_ENRICHMENT_NOT_FOUND/)
    const none = await home.spawn(['compact', 'shop.notes', '--enrichment', 'notes.ndjson'], env)
    expect(none.stderr).toMatch(/FIRN_ENRICHMENT_INVALID/)
  })

  it('fills its columns and those of the groups, refuses the record it fails for, and verifies', async () => {
    const compact = await home.spawn(['compact', 'shop.notes', '--max-bad-ratio', '0.5', '--output', 'json'], {
      ...env,
      FIRN_ENRICHMENT: 'enrich.mjs',
    })
    expect(compact.code, compact.stderr).toBe(0)
    expect(JSON.parse(compact.stdout)).toMatchObject({ rows_added: 3, quarantined: { 'enrich.error': 1 } })
    const scan = await home.firn(['scan', 'shop.notes', '--output', 'jsonl'], env)
    const rows = scan.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(rows.map(({ id, shout, weight }) => [id, shout, weight])).toEqual([
      ['a', 'TWO WORDS', 0.5],
      ['c', null, 0],
      ['d', 'ONE TWO THREE. FOUR!', 1],
    ])
    expect(rows[0]).toMatchObject({ quality_pass: false, quality_reason: 'gopher_short_doc', body_length: 9 })
    expect(rows[1]).toMatchObject({ quality_pass: null, simhash64: null, feature_version: 1 })
    expect(rows[2]).toMatchObject({ segment_word_count: 4, segment_sentence_count: 2 })
    expect(rows[0]!['place']).toMatch(/^\d{16} \S+ \d{16} \S+ 0{63}1 0{8}$/)
    const verify = await home.firn(['verify', 'shop.notes'], env)
    expect(verify.code, verify.stdout).toBe(0)
  })
})
