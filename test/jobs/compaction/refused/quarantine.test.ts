import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RefusalReason } from '../../../../jobs/compaction/enrich/validate.ts'
import { type QuarantinedRecord, quarantineWriter, reasonsOf } from '../../../../jobs/compaction/refused/quarantine.ts'
import { openStore } from '../../../../table/io/open-store.ts'

const origin = { stream: 'S', created: 7, shardId: 'a', sequenceNumber: '12', partitionKey: 'p', arrivalMillis: 1000 }
let stores = 0

describe('quarantineWriter', () => {
  it('keeps the exact bytes of every refused record, its reason and its position', async () => {
    const record = fc.tuple(
      fc.uint8Array({ maxLength: 50 }),
      fc.constantFrom<RefusalReason>('decode.utf8', 'decode.json', 'schema.type:/content'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 20 }), async (records) => {
        const store = openStore(`memory://quarantine-${stores++}`)
        const options = { store, table: 'n.t', runId: 'r1', firstNumber: 5, plannedMillis: 99 }
        const writer = quarantineWriter(options)
        for (const [bytes, reason] of records) await writer.add(bytes, origin, { reason, message: 'm' })
        const objects = await writer.close()
        expect(objects.map((object) => object.path)).toEqual(
          records.length === 0 ? [] : ['_quarantine/n.t/r1-5.jsonl.zst'],
        )
        const lines: QuarantinedRecord[] = []
        for (const { path, rows, bytes, reasons } of objects) {
          const stored = (await store.get(path)).bytes
          expect(stored.length).toBe(bytes)
          const text = zstdDecompressSync(stored).toString('utf8')
          const parsed = text.trimEnd().split('\n')
          expect(parsed.length).toBe(rows)
          expect(Object.values(reasons).reduce((a, b) => a + b, 0)).toBe(rows)
          lines.push(...parsed.map((line) => JSON.parse(line) as QuarantinedRecord))
        }
        expect(lines.map((line) => [Uint8Array.from(Buffer.from(line.rawData, 'base64')), line.errorCode])).toEqual(
          records,
        )
        for (const line of lines) {
          expect(line).toMatchObject({
            attemptsMade: 1,
            arrivalTimestamp: 1000,
            attemptEndingTimestamp: 99,
            errorMessage: 'm',
            stream: 'S',
            streamCreated: 7,
            shardId: 'a',
            sequenceNumber: '12',
            partitionKey: 'p',
          })
        }
      }),
      { numRuns: 50 },
    )
  })

  it('starts another object when one is large enough', async () => {
    const store = openStore(`memory://quarantine-${stores++}`)
    const writer = quarantineWriter({ store, table: 'n.t', runId: 'r1', firstNumber: 0, plannedMillis: 99 })
    const large = Buffer.alloc(7 * 1024 * 1024, 1)
    for (let i = 0; i < 3; i++) await writer.add(large, origin, { reason: 'too_large', message: 'm' })
    const objects = await writer.close()
    expect(objects.map(({ path, rows }) => [path, rows])).toEqual([
      ['_quarantine/n.t/r1-0.jsonl.zst', 2],
      ['_quarantine/n.t/r1-1.jsonl.zst', 1],
    ])
    expect(reasonsOf(objects)).toEqual({ too_large: 3 })
  })
})
