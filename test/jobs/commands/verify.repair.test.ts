/** `firn verify --repair` as a person types it: a plan, a yes, and the checks again. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complaint, type Home, makeHome } from '../cli-support.ts'

let home: Home

beforeAll(async () => {
  home = makeHome()
  const record = { article_id: 'a1', title: 'Title', content: 'Some words.', publish_date: '2026-01-01T10:00:00Z' }
  writeFileSync(home.path('in.ndjson'), `${JSON.stringify({ ...record, url: 'https://example.org/1' })}\n`)
  await home.json(['land', '--from', home.path('in.ndjson')])
  await home.json(['compact', 'news.articles'])
})
afterAll(() => home.remove())

const manifests = (): string => home.path('.firn/warehouse/_manifests/news.articles')

async function result(args: readonly string[]): Promise<{ code: number | null; json: Record<string, unknown> }> {
  const { code, stdout } = await home.firn(['verify', 'news.articles', ...args, '--output', 'json'])
  return { code, json: JSON.parse(stdout) as Record<string, unknown> }
}

test('shows the plan with --dry-run, asks for a yes, and mends', async () => {
  const [name] = readdirSync(manifests())
  rmSync(`${manifests()}/${name}`)
  const plan = await result(['--repair', '--dry-run'])
  expect(plan).toMatchObject({
    code: 1,
    json: { ok: false, repair: { done: false, steps: [{ code: 'json-manifest-missing' }], left: [] } },
  })
  expect(readdirSync(manifests())).toEqual([])

  const unasked = await home.firn(['verify', 'news.articles', '--repair'])
  expect([unasked.code, complaint(unasked).code]).toEqual([2, 'FIRN_CONFIRMATION_NEEDED'])
  expect(readdirSync(manifests())).toEqual([])

  const mended = await result(['--repair', '--yes'])
  expect(mended).toMatchObject({
    code: 0,
    json: { ok: true, problems: [], repaired: ['json-manifest-missing'], repair: { done: true } },
  })
  expect(readdirSync(manifests())).toEqual([name])
  expect(await result(['--repair'])).toMatchObject({ code: 0, json: { ok: true, repaired: [] } })
})

test('leaves a file that is gone to a person, who restores it or drops it by name', async () => {
  const [file] = home.files().filter((each) => each.endsWith('.parquet'))
  rmSync(home.path(file!))
  const found = await result(['--repair', '--yes'])
  const path = `file://${home.path(file!)}`
  expect(found).toMatchObject({
    code: 1,
    json: { repaired: [], repair: { steps: [], left: [{ code: 'file-missing', object: path }] } },
  })
  const text = (await home.firn(['verify', 'news.articles', '--repair'])).stdout
  expect(text).toContain('not repaired: file-missing')
  expect(text).toContain('--drop-file')

  const plan = await result(['--drop-file', path, '--dry-run'])
  expect(plan.json).toMatchObject({ repair: { done: false, drops: [{ path, rows: 1 }] } })
  await result(['--drop-file', path, '--yes'])
  expect((await home.firn(['scan', 'news.articles', '--output', 'jsonl'])).stdout).toBe('')
  const again = await home.firn(['verify', 'news.articles', '--drop-file', path, '--yes'])
  expect([again.code, complaint(again).code]).toEqual([2, 'FIRN_INVALID_OPTION'])
})
