/** What `firn land` says about a run. */
import { appendFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LandResult, ShardResult } from '../../../ingest/index.ts'
import { landJson, landText } from '../../../jobs/landing/landing.ts'
import { complaint, type Home, makeHome } from '../cli-support.ts'

const shard = (shardId: string, rest: Partial<ShardResult> = {}): ShardResult => ({
  shardId,
  records: 0,
  lastSequenceNumber: null,
  millisBehindLatest: null,
  ended: false,
  ...rest,
})
const result = (shards: readonly ShardResult[], rest: Partial<LandResult> = {}): LandResult => ({
  ...{ stream: 'files', created: 0, records: 0, bytes: 0, chunks: 0, gaps: [] },
  ...{ endedBy: 'tip', throttled: 0, expiredIterators: 0 },
  shards,
  ...rest,
})

describe('a last line that is not ended', () => {
  const file = encodeURIComponent('file:///data/a b.ndjson')

  test('is counted in bytes for every shard', () => {
    const json = landJson(result([shard(file, { pendingBytes: 7 }), shard('shardId-000000000000')]))
    expect(json['shards']).toMatchObject([{ pending_bytes: 7 }, { pending_bytes: 0 }])
  })

  test.each([
    ['when records landed', { records: 2, bytes: 20, chunks: 1 }, /^landed 2 records/],
    ['when there was nothing to do', {}, /nothing to do/],
  ])('is named %s', (_when, rest, also) => {
    const text = landText(result([shard(file, { pendingBytes: 7 }), shard('other')], rest))
    expect(text).toMatch(also)
    expect(text).toContain(
      'note: the last line of file:///data/a b.ndjson is not ended (7 bytes): left for a later run\n',
    )
    expect(text).not.toContain('other is not ended')
  })

  test('is not worth a line where there is none', () => {
    expect(landText(result([shard(file)]))).toBe('nothing to do: files has nothing new (1 shard)\n')
    const dry = landText(result([shard(file, { records: 2 })], { records: 2 }), { dryRun: true })
    expect(dry).toMatch(/^would land 2 records [\s\S]*dry run: nothing was stored\n$/)
  })

  test('of more files than a screen has lines is summed up', () => {
    const many = Array.from({ length: 50 }, (_, i) => shard(`s${i}`, { pendingBytes: 1 }))
    const lines = landText(result(many)).split('\n')
    expect(lines.filter((line) => line.startsWith('note: '))).toHaveLength(21)
    expect(lines[20]).toBe('note: and of 30 more files')
  })
})

describe('the command', () => {
  let home: Home
  beforeAll(() => {
    home = makeHome()
  })
  afterAll(() => home.remove())

  test('shows an incomplete last line until it is ended, and then lands it', async () => {
    const path = home.path('growing.ndjson')
    writeFileSync(path, '{"article_id":"a","content":"x"}\n{"article_id"')
    const first = await home.json(['land', '--from', path])
    expect(first).toMatchObject({ records: 1, shards: [{ records: 1, pending_bytes: 13 }] })
    const again = await home.firn(['land', '--from', path])
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/is not ended \(13 bytes\)[\s\S]*nothing to do/),
    })
    appendFileSync(path, ':"b","content":"y"}\n')
    expect(await home.json(['land', '--from', path])).toMatchObject({ records: 1, shards: [{ pending_bytes: 0 }] })
  })

  test('lands the good files beside one that changed, and then fails with that one', async () => {
    const files = ['p.ndjson', 'q.ndjson', 'r.ndjson'].map((name) => home.path(`many/${name}`)) as [
      string,
      string,
      string,
    ]
    mkdirSync(home.path('many'))
    for (const path of files) writeFileSync(path, '{"article_id":"a","content":"x"}\n')
    const land = ['land', '--from', home.path('many'), '--as', 'many']
    expect(await home.json(land)).toMatchObject({ records: 3 })
    writeFileSync(files[0], '{"article_id":"changed","content":"x"}\n')
    for (const path of files.slice(1)) appendFileSync(path, '{"article_id":"b","content":"x"}\n')
    const outcome = await home.firn(land)
    expect(outcome.code).toBe(2)
    expect(complaint(outcome)).toMatchObject({ code: 'FIRN_FILE_CHANGED', error: expect.stringContaining('p.ndjson') })
    expect(await home.json(['land', '--from', ...files.slice(1), '--as', 'many'])).toMatchObject({ records: 0 })
    const staged = readdirSync(home.path('.firn/warehouse/_staging/many@0/shards'), { recursive: true })
    expect(staged.filter((name) => String(name).endsWith('.zst'))).toHaveLength(5)
  })

  test('lands a file once, by its own path and by a link', async () => {
    const path = home.path('linked.ndjson')
    writeFileSync(path, '{"article_id":"a","content":"x"}\n')
    symlinkSync(path, home.path('link.ndjson'))
    expect(await home.json(['land', '--from', home.path('link.ndjson'), '--as', 'linked'])).toMatchObject({
      records: 1,
    })
    expect(await home.json(['land', '--from', path, '--as', 'linked'])).toMatchObject({ records: 0 })
  })
})
