/** A life of maintenance on S3 and on a REST catalog: the same commands, the same table at the end. */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startS3Server } from '../../../jobs/demo/s3-server.ts'
import { startRestServer } from '../../table/catalog/rest-server.ts'
import { complaint, type Home, makeHome } from '../cli-support.ts'
import { article, idsOf, TABLE } from './lake.ts'

let home: Home
beforeEach(() => {
  home = makeHome()
})
afterEach(() => home.remove())

async function liveWith(env: Readonly<Record<string, string>>): Promise<void> {
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await home.firn([...args, '--output', 'json'], env)
    if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const ids = async (): Promise<string[]> =>
    ((await json('scan', TABLE, '--columns', 'article_id')) as unknown as { article_id: string }[])
      .map((row) => row.article_id)
      .sort()
  const add = async (from: number, to: number): Promise<string> => {
    const file = home.path(`in-${from}.ndjson`)
    writeFileSync(file, Array.from({ length: to - from }, (_, index) => `${article(from + index)}\n`).join(''))
    await json('land', '--from', file)
    return String((await json('compact', TABLE))['snapshot_id'])
  }
  await add(0, 10)
  const second = await add(10, 20)
  await json('tag', TABLE, 'before')
  await json('delete', TABLE, '--where', "article_id = 'a0003'", '--yes')
  await json('rewrite', TABLE, '--rewrite-all', '--yes')
  expect(await ids()).toEqual([...idsOf(0, 3), ...idsOf(4, 20)])
  await add(20, 25)
  expect(await json('rollback', TABLE, '--to', 'before', '--reprocess', '--yes')).toMatchObject({
    plan: { to_snapshot_id: second, rows_removed: 24, rows_restored: 20 },
  })
  expect(await ids()).toEqual(idsOf(0, 20))
  expect(await json('compact', TABLE)).toMatchObject({ rows_added: 5 })
  await json('manifests', TABLE, '--rewrite-all', '--yes')
  const expired = ['--older-than', '2999-01-01', '--grace', '0', '--clean-metadata', '--yes']
  expect(await json('expire', TABLE, ...expired)).toMatchObject({ result: { json_manifests: { kept: 0 } } })
  expect(await json('inspect', 'snapshots', TABLE)).toHaveLength(2)
  expect(complaint(await home.firn(['orphans', TABLE, '--older-than', '1s'], env)).code).toBe('FIRN_INVALID_OPTION')
  expect(await json('orphans', TABLE, '--dry-run')).toMatchObject({ nothing_to_do: true })
  expect(await ids()).toEqual(idsOf(0, 25))
  const { stdout } = await home.firn(['verify', TABLE, '--output', 'json'], env)
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, problems: [], checked: { snapshots: 2 } })
}

test('on S3', async () => {
  const s3 = await startS3Server({ buckets: ['lake'] })
  try {
    await liveWith({
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test-secret',
      AWS_ENDPOINT_URL_S3: s3.url,
      FIRN_WAREHOUSE: 's3://lake/w',
    })
  } finally {
    await s3.close()
  }
}, 60_000)

test('on a REST catalog, whose tables lie elsewhere', async () => {
  const server = await startRestServer({ location: pathToFileURL(home.path('elsewhere')).href })
  try {
    await liveWith({ FIRN_CATALOG_URI: server.uri })
  } finally {
    await server.close()
  }
}, 60_000)
