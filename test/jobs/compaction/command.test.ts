/** `firn compact` and `firn verify` as a user runs them. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const BIN = join(import.meta.dirname, '../../../jobs/bin.ts')
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-compact-'))
  const articles = Array.from({ length: 40 }, (_, n) =>
    JSON.stringify({ article_id: `a${n}`, content: 'two words', publish_date: `2026-11-${10 + (n % 3)}T10:30:00Z` }),
  )
  await writeFile(join(folder, 'good.ndjson'), `${articles.join('\n')}\n`)
  await writeFile(join(folder, 'bad.ndjson'), '{"article_id":"x"}\nnot json\n')
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function firn(...args: string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'], FIRN_WAREHOUSE: pathToFileURL(join(folder, 'warehouse')).href }
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

describe('firn compact', () => {
  it('lands, compacts, verifies, and fails as it should', async () => {
    expect(await firn('compact', 'news.articles')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/FIRN_STREAM_NOT_STAGED/),
    })
    expect((await firn('land', '--from', 'good.ndjson')).code).toBe(0)
    const dry = await firn('compact', 'news.articles', '--dry-run', '--output', 'json')
    expect(JSON.parse(dry.stdout)).toMatchObject({
      dry_run: true,
      nothing_to_do: false,
      inputs: [{ stream: 'files@0', to: '40' }],
    })
    const first = await firn('compact', 'news.articles', '--output', 'json')
    expect(JSON.parse(first.stdout)).toMatchObject({
      rows_added: 40,
      snapshot_id: expect.stringMatching(/^\d+$/),
      averages: { run: 2, daily: [{ day: '2026-11-10', average_word_count: 2, articles: 14 }, {}, {}] },
    })
    const again = await firn('compact', 'news.articles')
    expect(again).toMatchObject({
      code: 0,
      stdout: 'nothing to do: news.articles has everything of files that is in staging\n',
    })

    expect((await firn('land', '--from', 'bad.ndjson')).code).toBe(0)
    const refused = await firn('compact', 'news.articles')
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/2 of 2 records are bad .*decode.json 1, schema.required:\/content 1/)
    expect(refused.stderr).toMatch(/FIRN_TOO_MANY_BAD_RECORDS/)
    const accepted = await firn('compact', 'news.articles', '--max-bad-ratio', '1')
    expect(accepted.stdout).toMatch(/added 0 rows[\s\S]*2 records quarantined[\s\S]*decode.json: 1/)
    expect(await firn('compact', 'news.articles', '--max-bad-ratio', '2')).toMatchObject({ code: 2 })

    const runs = await readdir(join(folder, 'warehouse/_runs/compact'))
    expect(runs.length).toBe(4) // the wrong requests are no runs
    const intact = await firn('verify', 'news.articles', '--output', 'json')
    expect(intact.code).toBe(0)
    expect(JSON.parse(intact.stdout)).toMatchObject({ ok: true, problems: [], checked: { snapshots: 2, rows: 40 } })
    const data = join(folder, 'warehouse/news/articles/data')
    await rm(join(data, (await readdir(data))[0]!), { recursive: true })
    const broken = await firn('verify', 'news.articles')
    expect(broken.code).toBe(1)
    expect(broken.stdout).toMatch(/^file-missing: file:.*parquet: /)
  })
})

describe('firn verify', () => {
  it('metadata-corrupt: names the newest metadata file when it does not load', async () => {
    const table = join(folder, 'warehouse', 'news', 'damaged')
    expect((await firn('init', 'news.damaged', '--dataset', 'articles')).code).toBe(0)
    expect(await firn('verify', 'news.damaged')).toMatchObject({ code: 0 })
    const intact = await readFile(join(table, 'metadata', 'v1.metadata.json'))
    await writeFile(join(table, 'metadata', 'v1.metadata.json'), intact.subarray(0, intact.length - 20))
    const { code, stdout } = await firn('verify', 'news.damaged', '--output', 'json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      problems: [{ code: 'metadata-corrupt', message: expect.stringContaining('v1.metadata.json') }],
    })
  })
})
