/** Refused records read back: what was written, and every way in which an object can be damaged. */
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type QuarantinedRecord, quarantineWriter } from '../../../../jobs/compaction/refused/quarantine.ts'
import { readQuarantine } from '../../../../jobs/compaction/refused/read-quarantine.ts'
import { openStore } from '../../../../table/io/open-store.ts'

const PATH = '_quarantine/n.t/r1-0.jsonl.zst'
const origin = { stream: 'S', created: 7, shardId: 'a', sequenceNumber: '12', partitionKey: 'p', arrivalMillis: 1000 }
let stores = 0
const freshStore = () => openStore(`memory://read-quarantine-${stores++}`)

async function readAll(store: ReturnType<typeof freshStore>, rows?: number): Promise<QuarantinedRecord[]> {
  const records: QuarantinedRecord[] = []
  for await (const record of readQuarantine(store, PATH, { rows })) records.push(record)
  return records
}

const line: QuarantinedRecord = {
  attemptsMade: 1,
  arrivalTimestamp: 1000,
  errorCode: 'decode.json',
  errorMessage: 'm',
  attemptEndingTimestamp: 99,
  rawData: 'AAAA',
  stream: 'S',
  streamCreated: 7,
  shardId: 'a',
  sequenceNumber: '12',
  subSequenceNumber: 3,
  partitionKey: 'p',
}

describe('readQuarantine', () => {
  it('gives the exact bytes, origins and attempts of what was refused, in order', async () => {
    const refused = fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.nat(9), fc.nat(3))
    await fc.assert(
      fc.asyncProperty(fc.array(refused, { minLength: 1, maxLength: 30 }), async (records) => {
        const store = freshStore()
        const writer = quarantineWriter({ store, table: 'n.t', runId: 'r1', firstNumber: 0, plannedMillis: 99 })
        for (const [bytes, subSequenceNumber, attempts] of records) {
          await writer.add(bytes, { ...origin, subSequenceNumber, attempts }, { reason: 'decode.json', message: 'm' })
        }
        await writer.close()
        const read = await readAll(store, records.length)
        expect(
          read.map(({ rawData, subSequenceNumber, attemptsMade }) => [
            Uint8Array.from(Buffer.from(rawData, 'base64')),
            subSequenceNumber,
            attemptsMade - 1,
          ]),
        ).toEqual(records)
      }),
      { numRuns: 50 },
    )
  })

  it('reads records of many megabytes', async () => {
    const store = freshStore()
    const writer = quarantineWriter({ store, table: 'n.t', runId: 'r1', firstNumber: 0, plannedMillis: 99 })
    const large = Buffer.alloc(20 * 1024 * 1024, 'x')
    await writer.add(large, origin, { reason: 'too_large', message: 'm' })
    await writer.close()
    const [record] = await readAll(store)
    expect(Buffer.from(record!.rawData, 'base64').equals(large)).toBe(true)
  })

  const good = JSON.stringify(line)
  const damages: readonly (readonly [string, Uint8Array, string, number?])[] = [
    [
      'cut short',
      zstdCompressSync(Buffer.from(`${good}\n`.repeat(100))).subarray(0, 60),
      'line 1: the object does not decompress',
    ],
    ['no zstd', Buffer.from('hello'), 'line 1: the object does not decompress'],
    [
      'a last line that is cut',
      zstdCompressSync(Buffer.from(`${good}\n${good.slice(0, 30)}`)),
      'line 2: it has no end',
    ],
    ['no JSON', zstdCompressSync(Buffer.from(`${good}\n{\n`)), 'line 2: it is not JSON'],
    ['no object', zstdCompressSync(Buffer.from('null\n')), 'line 1: it is no object'],
    [
      'a missing text',
      zstdCompressSync(Buffer.from(`${JSON.stringify({ ...line, shardId: undefined })}\n`)),
      'shardId is no text',
    ],
    [
      'a wrong number',
      zstdCompressSync(Buffer.from(`${JSON.stringify({ ...line, attemptsMade: '1' })}\n`)),
      'attemptsMade is no number',
    ],
    [
      'no base64',
      zstdCompressSync(Buffer.from(`${JSON.stringify({ ...line, rawData: 'é===' })}\n`)),
      'rawData is not base64',
    ],
    ['fewer lines than listed', zstdCompressSync(Buffer.from(`${good}\n`)), 'expected 2 lines', 2],
  ]
  it.each(damages.map(([name, ...rest]) => [name, rest] as const))(
    'names object and line of %s',
    async (_name, [bytes, what, rows]) => {
      const store = freshStore()
      await store.put(PATH, bytes)
      const reading = readAll(store, rows)
      await expect(reading).rejects.toMatchObject({ code: 'FIRN_QUARANTINE_CORRUPT', kind: 'corrupt' })
      await expect(reading).rejects.toThrow(PATH)
      await expect(reading).rejects.toThrow(what)
    },
  )

  it('refuses an object that decompresses to more than any run writes', async () => {
    const store = freshStore()
    const lines = Buffer.from(`${JSON.stringify({ ...line, rawData: 'A'.repeat(4 * 1024 * 1024) })}\n`.repeat(32))
    await store.put(PATH, zstdCompressSync(lines))
    await expect(readAll(store)).rejects.toThrow(/the object holds over \d+ bytes of text/)
  })

  it('refuses a line that is longer than any record', async () => {
    const store = freshStore()
    await store.put(PATH, zstdCompressSync(Buffer.alloc(100 * 1024 * 1024, 'x')))
    await expect(readAll(store)).rejects.toThrow(/line 1: it is longer than/)
  })
})
