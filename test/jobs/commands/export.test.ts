import { mkdirSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cautionFor, snippet } from '../../../jobs/export/index.ts'
import type { ExportSubject } from '../../../jobs/export/subject.ts'
import { complaint, makeHome } from '../cli-support.ts'

const subject = (location: string): ExportSubject => ({
  name: 'news.articles',
  metadataLocation: `${location}/metadata/v2.metadata.json`,
  location,
  endpoint: undefined,
  region: undefined,
  columns: [],
})

// PyIceberg, DuckDB and Spark were asked to open tables in such folders: all fail on the first three, none on a space;
// PyIceberg cuts S3 locations at # and ?, and takes % in them as it stands.
describe('a table that other engines cannot open', () => {
  test.each(['file:///data/a%23b/w', 'file:///data/a%25b/w', 'file:///data/a%3Fb/w', 's3://lake/a#b', 's3://lake/a?b'])(
    '%s: every snippet says so first, as a comment',
    (location) => {
      expect(snippet('duckdb', subject(location))).toMatch(
        /^-- Caution: other engines cannot open this table.*\n-- Duck/,
      )
      expect(snippet('pyiceberg', subject(location))).toMatch(/^# Caution: other engines cannot .*\n# PyIceberg/)
      expect(snippet('spark', subject(location))).toMatch(/^# Caution: other engines cannot .*\n# Spark/)
    },
  )

  test.each(['file:///data/a b/w', 's3://lake/a%23b', 's3://lake/w'])('%s is none', (location) => {
    expect(cautionFor('duckdb', subject(location))).toBeUndefined()
    expect(snippet('duckdb', subject(location))).toMatch(/^-- DuckDB/)
  })

  test('is also named on standard error and in JSON: a comment is not seen by who pipes the text', async () => {
    const home = makeHome()
    try {
      mkdirSync(home.path('a#b'))
      writeFileSync(home.path('x.ndjson'), '{"article_id":"x","content":"y"}\n')
      const warehouse = ['--warehouse', pathToFileURL(home.path('a#b')).href]
      await home.json(['land', '--from', home.path('x.ndjson'), ...warehouse])
      await home.json(['compact', 'news.articles', ...warehouse])
      const { code, stderr } = await home.firn(['export', 'news.articles', '--for', 'pyiceberg', ...warehouse])
      expect([code, stderr]).toEqual([0, expect.stringMatching(/^warn other engines cannot open this table/)])
      expect(await home.json(['export', 'news.articles', '--for', 'duckdb', ...warehouse])).toMatchObject({
        caution: expect.stringContaining('other engines cannot open this table'),
      })
    } finally {
      home.remove()
    }
  })
})

test('an endpoint with a password never reaches a snippet', async () => {
  const home = makeHome()
  try {
    const outcome = await home.firn(['export', 's3://lake/news/articles', '--for', 'duckdb'], {
      FIRN_S3__ENDPOINT: 'http://user:s3cret@127.0.0.1:1',
    })
    expect([outcome.code, complaint(outcome).code]).toEqual([2, 'FIRN_CONFIG_INVALID'])
    expect(outcome.stdout + outcome.stderr).not.toContain('s3cret')
  } finally {
    home.remove()
  }
})
