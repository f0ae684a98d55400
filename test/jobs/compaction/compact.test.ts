import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CompactResult, previewCompaction, readManifest } from '../../../jobs/compaction/index.ts'
import type { QuarantinedRecord } from '../../../jobs/compaction/refused/quarantine.ts'
import { articles } from '../../../jobs/datasets/index.ts'
import { type Executor, inlineExecutor } from '../../../jobs/executors/executor.ts'
import { FirnError, openCatalog, snapshotId } from '../../../table/index.ts'
import {
  articleRecords,
  bytesOf,
  fixedClock,
  loadTable,
  memoryWarehouse,
  NOON,
  rowsOf,
  runCompaction,
  stage,
  TABLE,
  type TestRecord,
  type Warehouse,
} from './fixture.ts'

async function errorOf(work: Promise<unknown>): Promise<FirnError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (FirnError.is(error)) return error
  throw error ?? new Error('it did not fail')
}

async function quarantineOf({ store }: Warehouse, result: CompactResult): Promise<QuarantinedRecord[]> {
  const records: QuarantinedRecord[] = []
  for (const path of result.quarantine_objects) {
    const text = zstdDecompressSync((await store.get(path)).bytes).toString('utf8')
    for (const line of text.trimEnd().split('\n')) records.push(JSON.parse(line) as QuarantinedRecord)
  }
  return records
}

async function keysUnder({ store }: Warehouse, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const info of store.list(prefix)) keys.push(info.key)
  return keys
}

const idsOf = (rows: readonly Record<string, unknown>[]): string[] =>
  rows.map((row) => row['article_id'] as string).sort()

describe('compact', () => {
  it('creates the table, adds every record once and commits one snapshot', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 500) }, b: { records: articleRecords(500, 1000) } })
    const result = await runCompaction(warehouse)
    expect(result).toMatchObject({
      records_read: 1000,
      rows_added: 1000,
      quarantined: {},
      duplicates: 0,
      files_added: 1,
      nothing_to_do: false,
      compacted_at: '2026-11-21T12:00:00.000000Z',
    })
    const table = await loadTable(warehouse)
    expect(table.metadata.snapshots.length).toBe(1)
    expect(String(table.currentSnapshot()?.snapshotId)).toBe(result.snapshot_id)
    expect(table.currentSnapshot()?.summary).toMatchObject({
      'firn.run-id': result.run_id,
      'firn.compacted-at': String(NOON * 1000),
      'added-records': '1000',
    })
    expect(table.metadata.properties).toMatchObject({
      'firn.positions.MyStream@7': '{"a":"500","b":"1000"}',
      'firn.compacted-at': String(NOON * 1000),
      'firn.last-run': result.run_id,
      'firn.streams': '["MyStream"]',
    })
    const rows = await rowsOf(table)
    expect(new Set(idsOf(rows)).size).toBe(1000)
    expect(rows.find((row) => row['article_id'] === 'article-000007')).toEqual({
      article_id: 'article-000007',
      title: 'Title 7',
      author: 'Author 0',
      publish_date: NOON - 7 * 37 * 60_000,
      content: `Article 7. ${'word '.repeat(7)}end!`,
      word_count: 10,
      char_count: 50,
      sentence_count: 2,
      content_sha256: '0b8482031d8514ed2318a16f6c8752d30c99cf9b12be8ce97441742d970bd4cb',
      arrived_at: NOON - 3_593_000,
      compacted_at: NOON,
    })
  })

  it('has nothing to do the second time: no snapshot, no new object', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 50) } })
    await runCompaction(warehouse)
    const before = await keysUnder(warehouse, '')
    const again = await runCompaction(warehouse)
    expect(again).toMatchObject({ nothing_to_do: true, snapshot_id: null, records_read: 0, rows_added: 0 })
    expect(again.averages).toMatchObject({ run: null, articles: 0 })
    expect(await keysUnder(warehouse, '')).toEqual(before)
    expect((await loadTable(warehouse)).metadata.snapshots.length).toBe(1)
  })

  it('adds only what is new, also when a chunk grew out of a partly consumed chain', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 50) } }, { recordsPerChunk: 20 })
    await runCompaction(warehouse)
    await stage(warehouse, { a: { records: articleRecords(0, 90) } }, { recordsPerChunk: 20 })
    const result = await runCompaction(warehouse)
    expect(result).toMatchObject({ records_read: 40, rows_added: 40 })
    const table = await loadTable(warehouse)
    expect(idsOf(await rowsOf(table)).length).toBe(90)
    // the clock stands still: the planned time moves all the same
    expect(result.compacted_at).toBe('2026-11-21T12:00:00.000001Z')
    const first = table.metadata.snapshots[0]!
    let rows = 0
    for await (const batch of table.scan({ snapshotId: first.snapshotId }).batches()) rows += batch.numRows
    expect(rows).toBe(50)
  })

  it('keeps the latest version of a key in the run, and both across runs', async () => {
    const warehouse = memoryWarehouse()
    const version = (sequence: string, arrivalMillis: number, content: string): TestRecord => {
      return { sequence, arrivalMillis, data: { article_id: 'k', content } }
    }
    await stage(warehouse, {
      a: { records: [version('1', NOON - 10, 'late'), version('2', NOON - 20, 'early')] },
      b: { records: [version('1', NOON - 10, 'same time, later shard')] },
    })
    expect(await runCompaction(warehouse)).toMatchObject({ records_read: 3, rows_added: 1, duplicates: 2 })
    const table = await loadTable(warehouse)
    expect((await rowsOf(table)).map((row) => row['content'])).toEqual(['same time, later shard'])
    await stage(warehouse, {
      b: { records: [version('1', NOON, ''), version('9', NOON, 'next run')] },
      a: { records: [] },
    })
    expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 1, duplicates: 0 })
    expect((await rowsOf(await loadTable(warehouse))).length).toBe(2)
  })

  it('writes a file per day of arrival, sorted, and reports the averages of exactly the rows added', async () => {
    const warehouse = memoryWarehouse()
    const days = articleRecords(0, 300).map((record, n) => ({ ...record, arrivalMillis: NOON - (n % 3) * 86_400_000 }))
    await stage(warehouse, { a: { records: days } })
    const result = await runCompaction(warehouse)
    expect(result.files_added).toBe(3)
    const table = await loadTable(warehouse)
    const tasks = await table.scan().planFiles()
    expect(tasks.map(({ file }) => file.partition[0]).sort()).toEqual([20776, 20777, 20778])
    const rows = await rowsOf(table)
    const words = rows.map((row) => row['word_count'] as number)
    expect(result.averages.run).toBeCloseTo(words.reduce((a, b) => a + b) / 300)
    expect(result.averages.hourly.reduce((sum, hour) => sum + hour.articles, 0)).toBe(300)
    expect(result.averages.daily.reduce((sum, day) => sum + day.articles, 0)).toBe(300)
  })

  it('rolls files in sorted order, so that none of a commit overlap in a partition', async () => {
    const warehouse = memoryWarehouse()
    const dataset = {
      ...articles,
      sort: [{ source: 'article_id', direction: 'desc', nullOrder: 'nulls-last' }],
    } as const
    // numbers compress badly enough for files to fill up
    const digits = (n: number): string =>
      Array.from({ length: 40 }, (_, i) => (n * 7919 + i * 104_729) % 999_983).join(' ')
    await stage(warehouse, { a: { records: articleRecords(0, 4000, (n) => ({ content: digits(n) })) } })
    const executor = inlineExecutor(warehouse.store)
    const smallFiles: Executor = {
      run: (tasks, options) =>
        executor.run(
          tasks.map((task) => ({ ...task, targetFileSizeBytes: 40_000, rowGroupRows: 256 })),
          options,
        ),
    }
    const result = await runCompaction(warehouse, { dataset, executor: smallFiles })
    expect(result.files_added).toBeGreaterThan(3)
    const table = await loadTable(warehouse)
    const ids = (await rowsOf(table)).map((row) => row['article_id'] as string)
    expect(new Set(ids).size).toBe(4000)
    const manifest = await readManifest(warehouse.store, TABLE, snapshotId(BigInt(result.snapshot_id!)))
    const ranges: string[][] = []
    for (const { rows } of manifest!.added) ranges.push(ids.splice(0, rows))
    for (const range of ranges) expect(range).toEqual(range.toSorted().reverse())
    for (let i = 1; i < ranges.length; i++) expect(ranges[i]![0]! < ranges[i - 1]!.at(-1)!).toBe(true)
  })

  it('commits a snapshot without files when all records are refused, so that it does not read them again', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: [{ sequence: '1', arrivalMillis: NOON, data: 'not json' }] } })
    const result = await runCompaction(warehouse, { maxBadRatio: 1 })
    expect(result).toMatchObject({ rows_added: 0, files_added: 0, quarantined: { 'decode.json': 1 } })
    expect(result.snapshot_id).not.toBeNull()
    expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
  })

  it('commits the end of a shard, and then reads its children', async () => {
    const warehouse = memoryWarehouse()
    const records = articleRecords(0, 10)
    await stage(warehouse, { a: { records } })
    await runCompaction(warehouse)
    await stage(warehouse, {
      a: { records, ended: true },
      c: { records: articleRecords(10, 20), parents: ['a'] },
    })
    expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 10 })
    const { properties } = (await loadTable(warehouse)).metadata
    expect(properties['firn.positions.MyStream@7']).toBe('{"a":"10!","c":"20"}')
    expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
  })

  it('reads every incarnation of a stream that was deleted and made again', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 10) } })
    await stage(warehouse, { a: { records: articleRecords(10, 25) } }, { created: 8 })
    expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 25 })
    await stage(warehouse, { a: { records: articleRecords(10, 30) } }, { created: 8 })
    expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 5 })
  })

  it('reads at most as much as it may and goes on next time', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 40) } }, { recordsPerChunk: 10 })
    let rows = 0
    for (let left = 3; left >= 0; left--) {
      const result = await runCompaction(warehouse, { maxReadBytes: 1 })
      expect(result).toMatchObject({ rows_added: 10, chunks_left: left })
      rows += result.rows_added
    }
    expect(rows).toBe(40)
    expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
  })

  it('previews without creating or registering anything', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 10) } })
    const before = await keysUnder(warehouse, '')
    const { plan, streams, unreadStreams } = await previewCompaction({ ...warehouse, table: TABLE, dataset: articles })
    expect([streams, unreadStreams]).toEqual([['MyStream'], []])
    expect(plan.inputs[0]).toMatchObject({ shardId: 'a', from: '0', to: '10' })
    expect(await keysUnder(warehouse, '')).toEqual(before)
  })

  it('writes the JSON manifest of the snapshot: files, positions, provenance', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 100) } })
    const result = await runCompaction(warehouse)
    const manifest = await readManifest(warehouse.store, TABLE, snapshotId(BigInt(result.snapshot_id!)))
    expect(manifest).toMatchObject({
      schema: 'firn.manifest/1',
      snapshot_id: result.snapshot_id,
      operation: 'append',
      run_id: result.run_id,
      compacted_at: '2026-11-21T12:00:00.000000Z',
      positions: { before: { 'MyStream@7': {} }, after: { 'MyStream@7': { a: '100' } } },
      records: { kinesis_records: 100, read: 100, added: 100, quarantined: 0, duplicates: 0 },
      removed: [],
      quarantined: [],
    })
    const [file] = manifest!.added
    expect(file).toMatchObject({ rows: 100, partition: { arrived_at_day: '2026-11-21' }, row_groups: [{ rows: 100 }] })
    expect(file!.column_bounds['article_id']).toEqual({ lower: 'article-000000', upper: 'article-000099' })
    expect(file!.column_bounds['compacted_at']!.lower).toBe('2026-11-21T12:00:00.000000Z')
    expect(manifest!.averages).toEqual(result.averages)
  })

  it('registers the table with every stream that it reads before anything else', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: [{ sequence: '1', arrivalMillis: NOON, data: 'bad' }] } })
    expect((await errorOf(runCompaction(warehouse))).code).toBe('FIRN_TOO_MANY_BAD_RECORDS')
    const key = `_staging/MyStream@7/consumers/${TABLE}.json`
    const consumer = JSON.parse(Buffer.from((await warehouse.store.get(key)).bytes).toString()) as object
    const table = await loadTable(warehouse)
    expect(consumer).toEqual({
      table: TABLE,
      table_uuid: table.metadata.tableUuid,
      catalog: 'file',
      location: table.location,
    })
  })
})

describe('bad records', () => {
  const good = { article_id: 'g', content: 'x' }
  const large = JSON.stringify({ ...good, content: 'y'.repeat(articles.maxRecordBytes) })
  const bad: readonly (readonly [reason: string, data: TestRecord['data']])[] = [
    ['decode.utf8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['decode.utf8', '{"article_id":"a","content":"\\ud800"}'],
    ['decode.json', '{"article_id":'],
    ['decode.json', ''],
    ['decode.json', '[1]'],
    ['decode.json', '"text"'],
    ['too_large', large],
    ['missing_key', { content: 'x' }],
    ['missing_key', { ...good, article_id: '' }],
    ['schema.required:/content', { article_id: 'a' }],
    ['schema.type:/content', { ...good, content: 5 }],
    ['schema.type:/article_id', { ...good, article_id: 5 }],
    ['schema.type:/title', { ...good, title: ['t'] }],
    ['schema.type:/publish_date', { ...good, publish_date: 1_700_000_000 }],
    ['bad_timestamp', { ...good, publish_date: '2026-13-01T00:00:00Z' }],
    ['bad_timestamp', { ...good, publish_date: 'soon' }],
  ]
  const mixed = (): TestRecord[] => {
    const goods = articleRecords(0, 30)
    const bads = bad.map(([, data], n) => ({ sequence: String(100 + n), arrivalMillis: NOON - n, data }))
    return [...goods, ...bads, { sequence: '999', arrivalMillis: NOON, data: good }]
  }

  it('of every kind go to quarantine with reason, bytes and position; the good ones land', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: mixed() } })
    const result = await runCompaction(warehouse, { maxBadRatio: 0.5 })
    expect(result).toMatchObject({ records_read: 47, rows_added: 31, duplicates: 0 })
    const counts: Record<string, number> = {}
    for (const [reason] of bad) counts[reason] = (counts[reason] ?? 0) + 1
    expect(result.quarantined).toEqual(counts)
    const lines = await quarantineOf(warehouse, result)
    expect(lines.map((line) => [line.errorCode, line.sequenceNumber, line.shardId])).toEqual(
      bad.map(([reason], n) => [reason, String(100 + n), 'a']),
    )
    lines.forEach((line, n) => {
      expect(Buffer.from(line.rawData, 'base64').equals(bytesOf(bad[n]![1]))).toBe(true)
      expect(line.arrivalTimestamp).toBe(NOON - n)
    })
    const manifest = await readManifest(warehouse.store, TABLE, snapshotId(BigInt(result.snapshot_id!)))
    expect(manifest!.quarantined.map((object) => object.path)).toEqual(result.quarantine_objects)
    expect(manifest!.records).toMatchObject({ read: 47, added: 31, quarantined: 16, duplicates: 0 })
  })

  it('above the ratio fail the run before its commit, and the table is untouched', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 10) } })
    await runCompaction(warehouse)
    const before = await loadTable(warehouse)
    await stage(warehouse, { a: { records: [...articleRecords(0, 10), ...mixed().slice(30)] } })
    const error = await errorOf(runCompaction(warehouse))
    expect(error).toMatchObject({ kind: 'failed', code: 'FIRN_TOO_MANY_BAD_RECORDS' })
    expect(error.message).toMatch(/16 of 17 records .*94.12 %.*bad_timestamp 2.*too_large 1.*unchanged/)
    const after = await loadTable(warehouse)
    expect(after.metadata).toEqual(before.metadata)
    // a refused run does not write data files that nothing will ever refer to
    expect((await keysUnder(warehouse, 'news/articles/data/')).length).toBe(1)
    expect(await runCompaction(warehouse, { maxBadRatio: 1 })).toMatchObject({ rows_added: 1 })
  })

  it('are counted against the ratio exactly at its bound', async () => {
    const warehouse = memoryWarehouse()
    const broken = { sequence: '20', arrivalMillis: NOON, data: 'bad' }
    await stage(warehouse, { a: { records: [...articleRecords(0, 19), broken] } })
    expect(await runCompaction(warehouse)).toMatchObject({ rows_added: 19 }) // 1 of 20 is 5 %
    const other = memoryWarehouse()
    await stage(other, { a: { records: [...articleRecords(0, 18), broken] } })
    expect((await errorOf(runCompaction(other))).code).toBe('FIRN_TOO_MANY_BAD_RECORDS')
  })

  it('never break the accounting identity, whatever comes in', async () => {
    const data = fc.oneof(
      { weight: 3, arbitrary: fc.record({ article_id: fc.constantFrom('a', 'b', 'c', ''), content: fc.string() }) },
      fc.constantFrom(...bad.map(([, each]) => each).filter((each) => each !== large)),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.uint8Array({ maxLength: 20 }),
    )
    const arrivals = fc.integer({ min: 0, max: 3 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(data, arrivals), { maxLength: 30 }), async (items) => {
        const warehouse = memoryWarehouse()
        const records = items.map(([each, arrival], n) => ({
          sequence: String(n + 1),
          arrivalMillis: NOON + arrival,
          data: each as TestRecord['data'],
        }))
        await stage(warehouse, {
          a: { records: records.filter((_, n) => n % 2 === 0) },
          b: { records: records.filter((_, n) => n % 2 === 1) },
        })
        const result = await runCompaction(warehouse, { maxBadRatio: 1 })
        const quarantined = Object.values(result.quarantined).reduce((a, b) => a + b, 0)
        expect(result.records_read).toBe(items.length)
        expect(result.rows_added + quarantined + result.duplicates).toBe(items.length)
        expect((await quarantineOf(warehouse, result)).length).toBe(quarantined)
        const rows = result.snapshot_id === null ? [] : await rowsOf(await loadTable(warehouse))
        expect(rows.length).toBe(result.rows_added)
        expect(new Set(idsOf(rows)).size).toBe(rows.length)
      }),
      { numRuns: 40 },
    )
  })
})

describe('racing compactors', () => {
  it('lose nothing and double nothing: the slower one plans anew', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 100) } }, { recordsPerChunk: 10 })
    const results = await Promise.all(
      Array.from({ length: 4 }, () =>
        runCompaction(warehouse, { maxReadBytes: 1500 }).catch((error: unknown) => error),
      ),
    )
    for (let i = 0; i < 20 && !(await runCompaction(warehouse)).nothing_to_do; i++);
    const table = await loadTable(warehouse)
    expect(idsOf(await rowsOf(table))).toEqual(
      idsOf(articleRecords(0, 100).map((record) => record.data as Record<string, unknown>)),
    )
    const done = results.filter((result): result is CompactResult => !(result instanceof Error))
    expect(done.some((result) => result.plans > 1)).toBe(true)
  })

  it('plan anew when another run commits while theirs is at work', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 60) } })
    await runCompaction(warehouse)
    await stage(warehouse, { a: { records: articleRecords(0, 90) } })
    const executor = inlineExecutor(warehouse.store)
    let meanwhile: CompactResult | undefined
    const slow: Executor = {
      run: async (tasks, options) => {
        const results = await executor.run(tasks, options)
        meanwhile ??= await runCompaction(warehouse)
        return results
      },
    }
    const result = await runCompaction(warehouse, { executor: slow })
    expect(meanwhile).toMatchObject({ rows_added: 30 })
    expect(result).toMatchObject({ nothing_to_do: true, rows_added: 0, plans: 2 })
    const table = await loadTable(warehouse)
    expect(table.metadata.snapshots.length).toBe(2)
    expect((await rowsOf(table)).length).toBe(90)
    expect(table.metadata.properties['firn.last-run']).toBe(meanwhile!.run_id)
  })
})

describe('a commit whose answer is lost', () => {
  /** The store answers the first creation of that metadata version with an error, before or after it took effect. */
  function losing(warehouse: Warehouse, version: number, takesEffect: boolean): Warehouse {
    const { store, clock } = warehouse
    let lost = false
    const faulty: typeof store = {
      url: store.url,
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      list: (prefix, options) => store.list(prefix, options),
      delete: (key, options) => store.delete(key, options),
      put: async (key, body, options) => {
        if (lost || !key.endsWith(`/v${version}.metadata.json`)) return await store.put(key, body, options)
        lost = true
        if (takesEffect) await store.put(key, body, options)
        throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
      },
    }
    return { store: faulty, catalog: openCatalog(faulty, { clock }), clock }
  }

  it.each([true, false])('adds the rows once, whether it took effect (%s)', async (takesEffect) => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 50) } })
    const result = await runCompaction(losing(warehouse, 2, takesEffect))
    expect(result).toMatchObject({ rows_added: 50, plans: 1 })
    const table = await loadTable(warehouse)
    expect(table.metadata.snapshots.map((snapshot) => String(snapshot.snapshotId))).toEqual([result.snapshot_id])
    expect((await rowsOf(table)).length).toBe(50)
    expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
  })
})

describe('compact refuses', () => {
  it('to guess between streams, and remembers the answer', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 5) } }, { stream: 'One' })
    await stage(warehouse, { a: { records: articleRecords(5, 12) } }, { stream: 'Two' })
    const error = await errorOf(runCompaction(warehouse))
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_STREAM_AMBIGUOUS' })
    expect(error.message).toMatch(/One, Two/)
    expect(await keysUnder(warehouse, 'news/')).toEqual([])
    expect(await runCompaction(warehouse, { streams: ['Two'] })).toMatchObject({ rows_added: 7 })
    expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
    expect(await runCompaction(warehouse, { streams: ['One'] })).toMatchObject({ rows_added: 5 })
    expect((await loadTable(warehouse)).metadata.properties['firn.streams']).toBe('["One","Two"]')
  })

  it('a stream that was never landed, an empty staging, and an unknown table without dataset', async () => {
    const warehouse = memoryWarehouse()
    expect((await errorOf(runCompaction(warehouse))).code).toBe('FIRN_STREAM_NOT_STAGED')
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    const error = await errorOf(runCompaction(warehouse, { streams: ['Typo'] }))
    expect(error).toMatchObject({ kind: 'not-found', code: 'FIRN_STREAM_NOT_STAGED' })
    expect(error.message).toMatch(/Typo.*MyStream/)
    expect((await errorOf(runCompaction(warehouse, { dataset: undefined }))).code).toBe('FIRN_TABLE_NOT_FOUND')
    expect(await keysUnder(warehouse, 'news/')).toEqual([])
  })

  it('a clock that is more than an hour behind the table', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    await runCompaction(warehouse)
    await stage(warehouse, { a: { records: articleRecords(0, 9) } })
    const behind = { ...warehouse, clock: fixedClock(NOON - 3_600_001) }
    expect(await errorOf(runCompaction(behind))).toMatchObject({ kind: 'failed', code: 'FIRN_CLOCK_BEHIND' })
    const barely = { ...warehouse, clock: fixedClock(NOON - 3_600_000) }
    expect(await runCompaction(barely)).toMatchObject({ rows_added: 4, compacted_at: '2026-11-21T12:00:00.000001Z' })
  })

  it('a clock that is far behind the table, until somebody says that it is right', async () => {
    const warehouse = memoryWarehouse()
    const yearsAhead = { ...warehouse, clock: fixedClock(NOON + 1000 * 86_400_000) }
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    const { compacted_at: ahead } = await runCompaction(yearsAhead)
    await stage(warehouse, { a: { records: articleRecords(0, 9) } })
    expect(await errorOf(runCompaction(warehouse))).toMatchObject({ code: 'FIRN_CLOCK_BEHIND' })
    const accepted = await runCompaction(warehouse, { acceptClock: true })
    expect(accepted).toMatchObject({ rows_added: 4, compacted_at: ahead?.replace('000000Z', '000001Z') })
    // from then on runs go on by themselves, each after the one before
    await stage(warehouse, { a: { records: articleRecords(0, 12) } })
    expect(await runCompaction(warehouse)).toMatchObject({ compacted_at: ahead?.replace('000000Z', '000002Z') })
    // and another clock that is wrong is not believed because of that
    const wrong = { ...warehouse, clock: fixedClock(NOON + 3000 * 86_400_000) }
    await stage(warehouse, { a: { records: articleRecords(0, 15) } })
    await runCompaction(wrong)
    await stage(warehouse, { a: { records: articleRecords(0, 18) } })
    expect(await errorOf(runCompaction(warehouse))).toMatchObject({ code: 'FIRN_CLOCK_BEHIND' })
  })

  it('a chain with a missing link, whether the listing shows it or only the chunks do', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 50) } }, { recordsPerChunk: 10 })
    const chunks = await keysUnder(warehouse, '_staging/MyStream@7/shards/')
    await warehouse.store.delete(chunks[2]!)
    const hole = await errorOf(runCompaction(warehouse))
    expect(hole).toMatchObject({ kind: 'corrupt', code: 'FIRN_CHAIN_BROKEN' })
    expect(hole.message).toContain(chunks[1]!)
    expect((await loadTable(warehouse)).metadata.snapshots).toEqual([])
  })

  it('to commit when records are unaccounted for', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    const executor = inlineExecutor(warehouse.store)
    const losing: Executor = {
      run: async (tasks, options) => (await executor.run(tasks, options)).map((result) => ({ ...result, files: [] })),
    }
    expect((await errorOf(runCompaction(warehouse, { executor: losing }))).code).toBe('FIRN_ACCOUNTING_FAILED')
    expect((await loadTable(warehouse)).metadata.snapshots).toEqual([])
  })
})
