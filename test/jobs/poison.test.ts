/** Hostile records through landing and compaction: no crash, and each accounted for under its reason. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileSource, kinesisSource, land, type RecordSource } from '../../ingest/index.ts'
import type { CompactOptions } from '../../jobs/compaction/index.ts'
import { readQuarantine } from '../../jobs/compaction/refused/read-quarantine.ts'
import { parseDataset } from '../../jobs/datasets/index.ts'
import { MemoryKinesis } from '../contract/memory-kinesis.ts'
import { virtualClock } from '../ingest/virtual-clock.ts'
import { loadTable, memoryWarehouse, runCompaction, type Warehouse } from './compaction/fixture.ts'
import { POISON_RECORDS, type Poison, poisonDataset, poisonRecords, totalsOf } from './poison.ts'

const STREAM = 'poison'
const TIMEOUT_MILLIS = 120_000
/** Made once: the bombs alone take a second. */
const ALL = poisonRecords()

/** Land, compact, and compare with what had to come of it. `numbers[i]` is the sequence number of `poisons[i]`. */
async function expectAccounted(
  warehouse: Warehouse,
  source: RecordSource,
  poisons: readonly Poison[],
  numbers: readonly string[],
  options: Pick<CompactOptions, 'tasks' | 'memoryLimitBytes'> = {},
): Promise<void> {
  const { store, clock } = warehouse
  const landed = await land({ store, source, clock })
  expect(landed.records).toBe(poisons.length)
  const dataset = parseDataset(poisonDataset, 'poison')
  const result = await runCompaction(warehouse, { dataset, streams: [source.stream], maxBadRatio: 1, ...options })
  const totals = totalsOf(poisons)
  expect(result.quarantined).toEqual(totals.quarantined)
  const { kinesis_records, records_read, rows_added, duplicates } = result
  expect({ kinesis_records, records_read, rows_added, duplicates }).toEqual({
    kinesis_records: poisons.length,
    records_read: totals.records,
    rows_added: totals.rows.size,
    duplicates: totals.duplicates,
  })
  await expectQuarantined(warehouse, result.quarantine_objects, poisons, numbers)
  await expectRows(warehouse, totals.rows)
}

/** Every refused record once, with its reason and the bytes as they came. */
async function expectQuarantined(
  { store }: Warehouse,
  objects: readonly string[],
  poisons: readonly Poison[],
  numbers: readonly string[],
): Promise<void> {
  const wanted = new Map<string, { refused: string; bytes: Uint8Array; what: string }>()
  for (const [index, { outcomes, data, what }] of poisons.entries()) {
    for (const [sub, outcome] of outcomes.entries()) {
      if ('row' in outcome) continue
      wanted.set(`${numbers[index]} ${sub}`, { refused: outcome.refused, bytes: outcome.bytes ?? data, what })
    }
  }
  for (const path of objects) {
    for await (const line of readQuarantine(store, path)) {
      const name = `${line.sequenceNumber} ${line.subSequenceNumber}`
      const expected = wanted.get(name)
      wanted.delete(name)
      expect({ what: expected?.what, reason: line.errorCode }).toEqual({
        what: expected?.what,
        reason: expected?.refused,
      })
      if (!Buffer.from(line.rawData, 'base64').equals(expected!.bytes))
        throw new Error(`other bytes: ${expected!.what}`)
    }
  }
  expect([...wanted.values()].map(({ what }) => what)).toEqual([])
}

async function expectRows(warehouse: Warehouse, wanted: ReadonlyMap<string, string>): Promise<void> {
  const table = await loadTable(warehouse)
  const left = new Map(wanted)
  for await (const batch of table.scan({ columns: ['article_id', 'content'] }).batches()) {
    for (const row of batch) {
      const { article_id, content } = row.toJSON() as { article_id: string; content: string }
      if (left.get(article_id) !== content) throw new Error(`unexpected row ${article_id.slice(0, 80)}`)
      left.delete(article_id)
    }
  }
  expect([...left.keys()].map((id) => id.slice(0, 80))).toEqual([])
}

test('10,000 hostile records of a stream, by three tasks: each is a row, a duplicate, or in quarantine under its reason, byte for byte', {
  timeout: TIMEOUT_MILLIS,
}, async () => {
  expect(ALL.length).toBe(POISON_RECORDS)
  const clock = virtualClock()
  const warehouse = memoryWarehouse(clock)
  const kinesis = new MemoryKinesis({ clock })
  kinesis.createStream(STREAM, 3)
  const numbers = ALL.map(({ data }, index) => {
    clock.advance(1) // the order of duplicates is that of arrival
    return kinesis.putInto(STREAM, `shardId-00000000000${index % 3}`, data)
  })
  clock.advance(1_000)
  const source = kinesisSource({ stream: STREAM, client: kinesis, start: { type: 'TRIM_HORIZON' }, clock })
  await expectAccounted(warehouse, source, ALL, numbers, { tasks: 3, memoryLimitBytes: 340 * 1024 * 1024 })
})

test('what a line of a file can carry of them, by one task', { timeout: TIMEOUT_MILLIS }, async () => {
  const lines = ALL.filter(({ data }) => !data.includes(0x0a) && !/^[ \t\r]*$/.test(text(data)))
  expect(lines.length).toBeGreaterThan(POISON_RECORDS * 0.7)
  const folder = await mkdtemp(join(tmpdir(), 'firn-poison-'))
  try {
    const path = join(folder, 'poison.ndjson')
    await writeFile(path, Buffer.concat(lines.flatMap(({ data }) => [data, Buffer.from('\n')])))
    const warehouse = memoryWarehouse()
    const source = fileSource({ paths: [path], as: STREAM, clock: warehouse.clock })
    const numbers = lines.map((_, index) => String(index + 1))
    await expectAccounted(warehouse, source, lines, numbers)
  } finally {
    await rm(folder, { recursive: true })
  }
})

const text = (data: Uint8Array): string => (data.byteLength > 100 ? 'long' : Buffer.from(data).toString('latin1'))

test('the records cover every reason that decoding and the schema have', () => {
  const reasons = new Set(
    ALL.flatMap(({ outcomes }) => outcomes.map((o) => ('row' in o ? 'row' : o.refused.split(':')[0]!))),
  )
  expect([...reasons].toSorted()).toEqual([
    'bad_timestamp',
    'decode.gzip',
    'decode.json',
    'decode.utf8',
    'decode.zlib',
    'decode.zstd',
    'missing_key',
    'row',
    'schema.required',
    'schema.type',
    'too_large',
  ])
})
