/** The commands on tables of a REST catalog: they lie where the catalog says, everything else in the warehouse. */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import { type RestServer, startRestServer } from '../table/catalog/rest-server.ts'
import { complaint, type Home, makeHome } from './cli-support.ts'

const TOKEN = 's3cret-token'
let home: Home
let server: RestServer
beforeEach(async () => {
  home = makeHome()
  const location = pathToFileURL(home.path('elsewhere')).href
  server = await startRestServer({
    location,
    authorized: ({ headers }) => headers.authorization === `Bearer ${TOKEN}`,
  })
})
afterEach(async () => {
  await server.close()
  home.remove()
})

const firn = (...args: string[]): ReturnType<Home['firn']> =>
  home.firn(args, { FIRN_CATALOG_URI: server.uri, FIRN_CATALOG_TOKEN: TOKEN })
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await firn(...args, '--output', 'json')
  if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout) as Record<string, unknown>
}

test('from records to a verified table in a namespace of two levels', async () => {
  const records = ['one two', 'three'].map((content, i) => JSON.stringify({ article_id: `a${i}`, content })).join('\n')
  writeFileSync(home.path('x.ndjson'), `${records}\n`)
  await json('land', '--from', home.path('x.ndjson'))
  await json('init', 'lake.raw.articles', '--dataset', 'articles')
  expect(await json('compact', 'lake.raw.articles')).toMatchObject({ rows_added: 2, files_added: 1 })
  expect(await json('compact', 'lake.raw.articles')).toMatchObject({ nothing_to_do: true })
  expect(await json('scan', 'lake.raw.articles', '--columns', 'article_id')).toEqual([
    { article_id: 'a0' },
    { article_id: 'a1' },
  ])
  await json('tag', 'lake.raw.articles', 'v1')
  expect(await json('inspect', 'refs', 'lake.raw.articles')).toHaveLength(2)
  expect((await firn('verify', 'lake.raw.articles')).code).toBe(0)

  const files = home.files()
  expect(files.filter((file) => /^elsewhere\/lake\/raw\/articles\/data\/.*\.parquet$/.test(file))).toHaveLength(1)
  expect(files.filter((file) => file.startsWith('.firn/warehouse/lake'))).toEqual([])
  // the hint and its numbered files are the file catalog's: here they would name another table
  expect(files.filter((file) => file.includes('version-hint') || /metadata\/v\d/.test(file))).toEqual([])
  const consumer = files.find((file) => file.endsWith('/consumers/lake.raw.articles.json'))
  expect(JSON.parse(readFileSync(home.path(consumer!), 'utf8'))).toMatchObject({ catalog: 'rest' })
})

test("a table on S3 is written with the catalog's credentials alone, also by the worker", async () => {
  const s3 = await startS3Server({ buckets: ['lake'] })
  const vending = await startRestServer({
    location: 's3://lake/tables',
    tableConfig: () => ({
      's3.access-key-id': 'vended',
      's3.secret-access-key': 'vended-s3cret',
      's3.endpoint': s3.url,
      'client.region': 'us-east-1',
    }),
  })
  try {
    writeFileSync(home.path('x.ndjson'), '{"article_id":"a","content":"one two"}\n')
    // of its own process and environment: no key of AWS is to be found there
    const env = {
      FIRN_CATALOG: vending.uri,
      AWS_CONFIG_FILE: home.path('none'),
      AWS_SHARED_CREDENTIALS_FILE: home.path('none'),
    }
    for (const args of [
      ['land', '--from', home.path('x.ndjson')],
      ['compact', 'news.articles'],
      ['verify', 'news.articles'],
    ]) {
      const { code, stdout, stderr } = await home.spawn([...args, '-v'], env)
      expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
      expect(stdout + stderr).not.toContain('vended-s3cret')
    }
    expect(home.files().filter((file) => file.endsWith('.parquet'))).toEqual([])
  } finally {
    await vending.close()
    await s3.close()
  }
})

test('a table that the catalog does not have is missing, whatever lies in the warehouse', async () => {
  await home.json(['init', 'news.articles', '--dataset', 'articles'])
  const outcome = await firn('scan', 'news.articles')
  expect([outcome.code, complaint(outcome).code]).toEqual([2, 'FIRN_TABLE_NOT_FOUND'])
})

test('the token is neither in the settings that are logged nor in messages nor in a snippet', async () => {
  await json('init', 'news.articles', '--dataset', 'articles')
  const outcomes = [
    await firn('scan', 'news.articles', '-v'),
    await firn('export', 'news.articles', '--for', 'pyiceberg'),
    await firn('export', 'news.articles', '--for', 'trino', '--output', 'json'),
    await firn('scan', 'news.nothing', '-v'),
  ]
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 2])
  expect(outcomes[0]!.stderr).toContain(server.uri)
  expect(outcomes[1]!.stdout).toContain(server.uri)
  for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toContain(TOKEN)
})

test('--catalog names it too, and a refused token is a configuration error', async () => {
  const outcome = await home.firn(['doctor', '--catalog', server.uri], { FIRN_CATALOG_TOKEN: 'wr0ng' })
  expect(outcome.code).not.toBe(0)
  expect(outcome.stdout + outcome.stderr).toContain('401')
  expect(outcome.stdout + outcome.stderr).not.toContain('wr0ng')
})
