/** `firn copy`: backup and restore as a person types them. */

import { readFile, rm, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { complaint, type Home, makeHome } from '../cli-support.ts'

let home: Home

beforeEach(async () => {
  home = makeHome()
  const records = [1, 2, 3].map((n) => ({
    article_id: `a${n}`,
    url: `https://example.org/${n}`,
    title: `Title ${n}`,
    content: `Some words of article ${n}.`,
    publish_date: `2026-01-0${n}T10:00:00Z`,
  }))
  await writeFile(home.path('in.ndjson'), records.map((record) => `${JSON.stringify(record)}\n`).join(''))
  await home.json(['land', '--from', home.path('in.ndjson')])
  await home.json(['compact', 'news.articles'])
})
afterEach(() => home.remove())

const url = (name: string): string => pathToFileURL(home.path(name)).href

test('backs a table up, and restores it in the place of one that is lost', async () => {
  const rows = (await home.firn(['scan', 'news.articles', '--output', 'jsonl'])).stdout
  const before = (await home.json(['inspect', 'snapshots', 'news.articles'])) as unknown
  const backup = await home.json(['copy', 'news.articles', url('backup')])
  expect(backup).toMatchObject({ schema: 'firn.copy/1', location: url('backup'), data_files: 1, not_compared: [] })
  expect(backup['compared']).toMatchObject([{ rows: 3 }])

  await rm(home.path('.firn/warehouse/news'), { recursive: true })
  const restored = await home.json(['copy', url('backup'), 'news.articles', '--keep-identity'])
  expect(restored['table_uuid']).toBe(backup['table_uuid'])
  expect((await home.firn(['scan', 'news.articles', '--output', 'jsonl'])).stdout).toBe(rows)
  expect(ids((await home.json(['inspect', 'snapshots', 'news.articles'])) as unknown)).toEqual(ids(before))
  expect(await home.json(['verify', 'news.articles'])).toMatchObject({ ok: true })
  expect(await home.json(['compact', 'news.articles'])).toMatchObject({ rows_added: 0 })
})

test('under another name is intact once its JSON manifests are made again', async () => {
  await home.json(['copy', 'news.articles', 'news.second'])
  const found = await home.firn(['verify', 'news.second', '--output', 'json'])
  expect([found.code, problemsOf(found.stdout)]).toEqual([1, ['json-manifest-missing']])
  const mended = await home.json(['verify', 'news.second', '--repair', '--yes'])
  expect(mended).toMatchObject({ ok: true, repaired: ['json-manifest-missing'] })
  expect(JSON.stringify(mended['repair'])).toContain('positions: the metadata before and after the run is gone')
  expect(await home.json(['verify', 'news.articles'])).toMatchObject({ ok: true })
  // A second consumer of the stream goes on where the table stood.
  expect(await home.json(['compact', 'news.second'])).toMatchObject({ rows_added: 0 })
})

const problemsOf = (json: string): readonly string[] =>
  (JSON.parse(json) as { readonly problems: readonly { readonly code: string }[] }).problems.map(({ code }) => code)

const ids = (rows: unknown): readonly unknown[] =>
  (rows as readonly { readonly snapshot_id: string }[]).map(({ snapshot_id }) => snapshot_id)

test('says what it would copy, and changes nothing', async () => {
  const before = home.files()
  const plan = await home.json(['copy', 'news.articles', url('backup'), '--dry-run'])
  expect(plan).toMatchObject({ dry_run: true, files: 1, location: url('backup') })
  expect(home.files()).toEqual(before)
})

test('a dry run refuses the target that the copy would refuse', async () => {
  await home.json(['copy', 'news.articles', url('backup')])
  for (const target of ['backup', '.firn/warehouse', '.firn/warehouse/news/articles/inside']) {
    const outcome = await home.firn(['copy', 'news.articles', url(target), '--dry-run'])
    expect([outcome.code, complaint(outcome).code], target).toEqual([2, 'FIRN_COPY_TARGET_NOT_EMPTY'])
  }
  for (const more of [['--dry-run'], []]) {
    const staging = await home.firn(['copy', 'news.articles', url('.firn/warehouse/_staging/new'), ...more])
    expect([staging.code, complaint(staging).code]).toEqual([2, 'FIRN_USAGE'])
  }
})

test('a data file that is missing is a failure, and the next step is verify', async () => {
  const [name] = home.files().filter((file) => file.endsWith('.parquet'))
  await rm(home.path(name!))
  const outcome = await home.firn(['copy', 'news.articles', url('backup')])
  expect([outcome.code, complaint(outcome).code]).toEqual([1, 'FIRN_OBJECT_NOT_FOUND'])
  expect(complaint(outcome).help).toContain('firn verify <table>')
})

test('holds files against their recorded SHA-256', async () => {
  const [name] = home.files().filter((file) => file.endsWith('.parquet'))
  const bytes = await readFile(home.path(name!))
  bytes[20]! ^= 1
  await writeFile(home.path(name!), bytes)
  const outcome = await home.firn(['copy', 'news.articles', url('backup')])
  expect(outcome.code).toBe(1)
  expect(complaint(outcome)).toMatchObject({ code: 'FIRN_COPY_DIFFERS' })
  expect(complaint(outcome).error).toContain('SHA-256')
})

test('refuses a folder in use, a metadata file, and choices that exclude each other', async () => {
  await home.json(['copy', 'news.articles', url('backup')])
  const again = await home.firn(['copy', 'news.articles', url('backup')])
  expect([again.code, complaint(again).code]).toEqual([2, 'FIRN_COPY_TARGET_NOT_EMPTY'])
  const file = await home.firn(['copy', 'news.articles', `${url('b')}/metadata/v1.metadata.json`])
  expect([file.code, complaint(file).code]).toEqual([2, 'FIRN_USAGE'])
  const both = await home.firn(['copy', 'news.articles', url('c'), '--current', '--ref', 'main'])
  expect([both.code, complaint(both).code]).toEqual([2, 'FIRN_USAGE'])
})

test('copies one snapshot by its id, its tag, or as the current one', async () => {
  await home.json(['tag', 'news.articles', 'v1'])
  const [id] = ids((await home.json(['inspect', 'snapshots', 'news.articles'])) as unknown)
  for (const [folder, ...flags] of [
    ['a', '--snapshot', String(id)],
    ['b', '--ref', 'v1'],
    ['c', '--current'],
  ] as const) {
    const copy = await home.json(['copy', 'news.articles', url(folder), ...flags])
    expect(copy).toMatchObject({ snapshot_id: id, snapshot_ids: [id] })
  }
})
