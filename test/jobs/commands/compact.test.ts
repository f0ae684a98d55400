import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { complaint, type Home, makeHome } from '../cli-support.ts'

let home: Home
beforeEach(() => {
  home = makeHome()
})
afterEach(() => home.remove())

const recordsOf = (job: string): Record<string, unknown>[] => {
  const folder = home.path(`.firn/warehouse/_runs/${job}`)
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')))
}

test('the record of a run that failed has the id that its quarantine objects are named after', async () => {
  writeFileSync(home.path('bad.ndjson'), '{"article_id":\n')
  await home.json(['land', '--from', home.path('bad.ndjson')])
  const outcome = await home.firn(['compact', 'news.articles', '--stream', 'files', '--dataset', 'articles'])
  expect([outcome.code, complaint(outcome).code]).toEqual([1, 'FIRN_TOO_MANY_BAD_RECORDS'])
  const [record] = recordsOf('compact')
  const objects = home.files().filter((name) => name.includes('/_quarantine/'))
  expect(objects).toHaveLength(1)
  expect(objects[0]).toContain(`/_quarantine/news.articles/${record?.['run_id']}-`)
})

test.each([
  [['--tasks', '65'], "option '--tasks <count>' argument '65' is invalid. Expected a whole number, 1 to 64."],
  [
    ['--memory-limit', 'much'],
    "option '--memory-limit <size>' argument 'much' is invalid. Expected a size like 128MiB.",
  ],
])('%j names the option and what it takes', async (flags, error) => {
  const outcome = await home.firn(['compact', 'news.articles', ...flags])
  expect([outcome.code, complaint(outcome).error]).toEqual([2, error])
})
