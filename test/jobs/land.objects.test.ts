/** `firn land --from s3://…` and `file:///…/`: objects of other writers through the command line, to rows. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type S3Server, startS3Server } from '../../jobs/demo/s3-server.ts'
import { complaint, type Home, makeHome } from './cli-support.ts'

let s3: S3Server
let home: Home
beforeAll(async () => {
  s3 = await startS3Server({ buckets: ['lake', 'staging'] })
  home = makeHome()
})
afterAll(async () => {
  home.remove()
  await s3.close()
})

const environment = (more: Record<string, string> = {}): Record<string, string> => ({
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test-secret',
  AWS_ENDPOINT_URL_S3: s3.url,
  FIRN_WAREHOUSE: 's3://lake/w',
  ...more,
})

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await home.firn([...args, '--output', 'json'], environment())
  if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout) as Record<string, unknown>
}

const put = async (key: string, body: Uint8Array | string): Promise<void> => {
  const answer = await fetch(`${s3.url}/staging/${key}`, { method: 'PUT', body: Buffer.from(body) })
  expect(answer.status).toBe(200)
}

const article = (n: number): string => JSON.stringify({ article_id: `a${n}`, content: `words of ${n}` })

test('a Firehose prefix becomes rows; landing it twice adds nothing, a new object does', async () => {
  const folder = 'firehose/2026/11/21/12/articles-1-2026-11-21-12-00-0'
  await put(`${folder}0-8f1b`, article(0) + article(1))
  await put(`${folder}5-9c2d`, gzipSync(`${article(2)}${article(3)}{"article_id":`))
  const from = ['--from', 's3://staging/firehose/']
  expect(await json(['land', ...from])).toMatchObject({ stream: 'objects', created: 0, records: 5 })
  expect(await json(['land', ...from])).toMatchObject({ records: 0, chunks: 0 })
  const compact = ['compact', 'news.articles', '--stream', 'objects', '--dataset', 'articles', '--max-bad-ratio', '0.5']
  expect(await json(compact)).toMatchObject({ rows_added: 4, quarantined: { 'decode.json': 1 } })
  await put('firehose/2026/11/21/13/later', article(4))
  expect(await json(['land', ...from])).toMatchObject({ records: 1 })
  expect(await json(compact)).toMatchObject({ rows_added: 1 })
  await put('firehose/2026/11/21/13/later', article(5))
  const { code, stderr, stdout } = await home.firn(['land', ...from], environment())
  expect({ code, refused: complaint({ code, stderr, stdout }).code }).toEqual({ code: 2, refused: 'FIRN_FILE_CHANGED' })
})

test('one object, the beginning of keys, and several prefixes at once can be named', async () => {
  await put('connect/news/partition=0/news+0+0000000000.json', `${article(10)}\n${article(11)}\n`)
  await put('connect/news/partition=1/news+1+0000000000.json.gz', gzipSync(`${article(12)}\n`))
  await put('vector/date=2026-11-21/1-a.log.gz', gzipSync(`${article(13)}\n`))
  const as = ['--as', 'mixed']
  const one = 's3://staging/connect/news/partition=0/news+0+0000000000.json'
  expect(await json(['land', '--from', one, ...as])).toMatchObject({ stream: 'mixed', records: 2 })
  const all = ['s3://staging/connect/news', 's3://staging/vector/date=2026-11*']
  expect(await json(['land', '--from', ...all, ...as])).toMatchObject({ records: 2 })
  const text = (await home.firn(['land', '--from', one, '--as', 'other'], environment())).stdout
  expect(text).toContain(one)
})

test('a folder of such objects is a file URL that ends in a slash', async () => {
  mkdirSync(home.path('copied/a'), { recursive: true })
  writeFileSync(home.path('copied/a/one'), article(20) + article(21))
  const url = `${pathToFileURL(home.path('copied')).href}/`
  expect(await json(['land', '--from', url, '--as', 'copied'])).toMatchObject({ records: 2 })
  expect(await json(['land', '--from', url, '--as', 'copied'])).toMatchObject({ records: 0 })
})

test('a dry run stores nothing', async () => {
  await put('dry/a', article(30))
  expect(await json(['land', '--from', 's3://staging/dry/', '--as', 'dry', '--dry-run'])).toMatchObject({ records: 1 })
  expect(await json(['land', '--from', 's3://staging/dry/', '--as', 'dry'])).toMatchObject({ records: 1 })
})

test.each([
  ['objects and files', ['s3://staging/firehose/', 'x.ndjson'], 'FIRN_USAGE'],
  ['the warehouse', ['s3://lake/w/_staging/'], 'FIRN_USAGE'],
  ['what holds the warehouse', ['s3://lake'], 'FIRN_USAGE'],
  ['keys that begin like the warehouse', ['s3://lake/*'], 'FIRN_USAGE'],
  ['a prefix without objects', ['s3://staging/none/'], 'FIRN_FILE_NOT_FOUND'],
])('%s cannot be landed', async (_what, from, code) => {
  const outcome = await home.firn(['land', '--from', ...from], environment())
  expect({ exit: outcome.code, code: complaint(outcome).code }).toEqual({ exit: 2, code })
  expect(complaint(outcome).help).not.toBe('')
})

test('what the settings demand of the own bucket is not asked of a foreign one', async () => {
  await put('theirs/a', article(40))
  const seen: string[] = []
  const { createServer } = await import('node:http')
  const proxy = createServer((request, response) => {
    const owner = request.headers['x-amz-expected-bucket-owner']
    seen.push(`${(request.url ?? '').split('/')[1]?.split('?')[0]} ${owner ?? 'nobody'}`)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers
      const { 'transfer-encoding': _encoding, expect: _expect, ...sendable } = headers
      const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }
      const answer = await fetch(s3.url + request.url, {
        method: request.method ?? 'GET',
        headers: sendable as Record<string, string>,
        ...body,
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(bytes)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = proxy.address() as { port: number }
    const env = environment({
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
      FIRN_S3__EXPECTED_BUCKET_OWNER: '123456789012',
    })
    const { code, stderr } = await home.firn(['land', '--from', 's3://staging/theirs/', '--as', 'theirs'], env)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    expect(new Set(seen)).toEqual(new Set(['staging nobody', 'lake 123456789012']))
  } finally {
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  }
})

test.each(['gs://bucket/prefix/', 's3:/bucket/prefix/', 'https://example.com/a.json'])(
  '%s is refused as a place, not taken for a file',
  async (url) => {
    const outcome = await home.firn(['land', '--from', url], environment())
    expect([outcome.code, complaint(outcome).error]).toEqual([2, `--from ${url}: nothing is landed from there`])
  },
)
