/** A format that a command cannot print is refused before it does anything. */
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { complaint, type Home, makeHome } from './cli-support.ts'

let home: Home
beforeAll(async () => {
  home = makeHome()
  writeFileSync(home.path('a.ndjson'), '{"article_id":"a","content":"one two","publish_date":"2026-11-21"}\n')
  writeFileSync(home.path('b.ndjson'), '{"article_id":"b","content":"one two"}\n')
  await home.json(['land', '--from', home.path('a.ndjson')])
  await home.json(['compact', 'news.articles'])
  await home.json(['land', '--from', home.path('b.ndjson')])
})
afterAll(() => home.remove())

const documents: readonly string[][] = [
  ['land', '--from', 'b.ndjson', '--as', 'other'],
  ['land', '--from', 'b.ndjson', '--as', 'other', '--dry-run'],
  ['compact', 'news.articles'],
  ['init', 'news.other', '--dataset', 'articles'],
  ['tag', 'news.articles', 'first'],
  ['run', '--once', '--table', 'news.articles'],
  ['export', 'news.articles', '--for', 'duckdb'],
  ['inspect', 'manifest', 'news.articles'],
]
const rows: readonly string[][] = [
  ['verify', 'news.articles'],
  ['doctor'],
  ['averages', 'news.articles'],
  ['inspect', 'snapshots', 'news.articles'],
]

async function expectRefusal(args: readonly string[], format: string): Promise<void> {
  const before = home.files()
  for (const outcome of [
    await home.firn([...args, '--output', format]),
    await home.firn(args, { FIRN_OUTPUT: format }),
  ]) {
    const { error, help, code } = complaint(outcome)
    expect({ exit: outcome.code, stdout: outcome.stdout, code }).toEqual({ exit: 2, stdout: '', code: 'FIRN_USAGE' })
    expect(error).toContain(`does not print ${format}`)
    expect(help).toContain('table, json')
  }
  expect(home.files()).toEqual(before)
}

describe.each(['csv', 'arrow'])('--output %s', (format) => {
  test.each(documents)('firn %s %s %s %s: refused, and nothing is done', async (...args) => {
    await expectRefusal(args.filter(Boolean), format)
  })
})

test.each(rows)('firn %s %s %s --output arrow: refused, and nothing is done', async (...args) => {
  await expectRefusal(args.filter(Boolean), 'arrow')
})

test.each(rows)('firn %s %s %s prints its rows as csv', async (...args) => {
  const { code, stdout } = await home.firn([...args.filter(Boolean), '--output', 'csv'])
  expect(code).toBe(0)
  // an intact table has no problems to list
  if (args[0] === 'verify') expect(stdout).toBe('')
  else expect(stdout.split('\n')[0]).toMatch(/^\w+(,\w+)+$/)
})
