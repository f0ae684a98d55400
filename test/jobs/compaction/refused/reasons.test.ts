/** The reasons that users read about are those that records are refused for. */
import { readFile } from 'node:fs/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checkReasonPrefix, REASON_LABELS } from '../../../../jobs/compaction/refused/reasons.ts'
import { loadTable, memoryWarehouse, NOON, rowsOf, runCompaction, stage } from '../fixture.ts'
import { setLargestRecord } from '../replay-support.ts'

const article = { article_id: 'a', title: 't', author: 'b', publish_date: '2026-01-01T00:00:00Z', content: 'c' }
const damaged = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - 9)
const text = Buffer.from(JSON.stringify(article).repeat(9))

/** A record for each reason that bytes alone can have; `enrich.*` needs the user's module. */
const RECORDS: Readonly<Record<string, Uint8Array | string | object>> = {
  'decode.gzip': damaged(gzipSync(text)),
  'decode.zlib': Buffer.from([0x78, 0x9c, 1, 2, 3, 4, 5, 6, 7, 8]),
  'decode.zstd': damaged(zstdCompressSync(text)),
  'decode.utf8': Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
  'decode.json': '{',
  too_large: { ...article, content: 'x'.repeat(1000) },
  missing_key: { ...article, article_id: '' },
  bad_timestamp: { ...article, publish_date: 'yesterday' },
  'schema.required': { ...article, content: undefined },
  'schema.type': { ...article, title: 1 },
}

describe('reasons for which records are refused', () => {
  it('are those of the table in docs/quarantine.md', async () => {
    const page = await readFile(new URL('../../../../docs/quarantine.md', import.meta.url), 'utf8')
    const section = page.slice(page.indexOf('## Reasons'), page.indexOf('## replay'))
    const listed = [...section.matchAll(/^\| `([a-z_.0-9]+)` \|/gm)].map((match) => match[1])
    expect(listed).toEqual([...REASON_LABELS])
  })

  it('each come from records that are so', async () => {
    expect([...Object.keys(RECORDS), 'enrich.error', 'enrich.timeout'].sort()).toEqual([...REASON_LABELS].sort())
    for (const [label, data] of Object.entries(RECORDS)) {
      const warehouse = memoryWarehouse()
      await stage(warehouse, { a: { records: [{ sequence: '1', arrivalMillis: NOON, data }] } })
      const { quarantined } = await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
      expect(
        Object.keys(quarantined).map((reason) => reason.replace(/:.*/, '')),
        label,
      ).toEqual([label])
      expect(await rowsOf(await loadTable(warehouse))).toEqual([])
    }
  })

  it('are known to the choice of a replay, in part or with a pointer', () => {
    for (const prefix of ['', 'schema', 'schema.type', 'schema.type:/title', 'decode.', 'too_large'])
      checkReasonPrefix(prefix)
    for (const prefix of ['json', 'schema.typo', 'too_larger', 'decode.json.x']) {
      expect(() => checkReasonPrefix(prefix), prefix).toThrow(/no record is ever refused/)
    }
  })
})
