/** `firn staging` and `firn maintain` as a user has them: plans, approval, exit codes, what gets an operator unstuck. */
import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { complaint } from '../cli-support.ts'
import { article, idsOf, type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
beforeEach(() => {
  lake = makeLake()
})
afterEach(() => lake.home.remove())

interface Document {
  readonly nothing_to_do: boolean
  readonly plan: { readonly totals: { readonly chunks: number }; readonly streams: readonly Record<string, unknown>[] }
  readonly result: Record<string, unknown> | null
}

const chunks = (): string[] => lake.home.files().filter((path) => path.endsWith('.arrows.zst'))
const prune = async (...args: readonly string[]): Promise<Document> =>
  (await lake.home.json(['staging', 'prune', ...args])) as unknown as Document

/** One file that grew and was compacted in between; every chunk looks ten days old. */
async function grown(): Promise<string> {
  const { home } = lake
  const file = home.path('growing.ndjson')
  for (const lines of [4, 8, 12]) {
    writeFileSync(file, Array.from({ length: lines }, (_, n) => `${article(n)}\n`).join(''))
    await home.json(['land', '--from', file])
    await home.json(['compact', TABLE])
  }
  const then = Date.now() / 1000 - 10 * 86_400
  for (const path of chunks()) utimesSync(home.path(path), then, then)
  return file
}

test('prune says what would go and for whom the rest is kept, asks, deletes; files are not landed again', async () => {
  const file = await grown()
  const { home } = lake
  const held = await prune('--dry-run')
  expect(held).toMatchObject({
    plan: { totals: { chunks: 1 }, streams: [{ stream: 'files@0', held: [{ table: TABLE }] }] },
  })
  await home.json([
    'expire',
    TABLE,
    '--older-than',
    new Date(Date.now() + 60_000).toISOString(),
    '--grace',
    '0s',
    '--yes',
  ])
  const text = await home.firn(['staging', 'prune', '--dry-run'])
  expect(text.stdout).toMatch(/^files@0 +2 /m)
  expect(text.stdout).toMatch(/would delete 2 chunks of staging/)
  const unasked = await home.firn(['staging', 'prune'])
  expect([unasked.code, complaint(unasked).code]).toEqual([2, 'FIRN_CONFIRMATION_NEEDED'])
  expect(chunks()).toHaveLength(3)
  expect((await prune('--yes')).result).toMatchObject({ chunks: 2, chains: 0, left: 0 })
  expect(chunks()).toHaveLength(1)
  expect(home.files().filter((path) => path.includes('_runs/staging-prune/'))).toHaveLength(1)
  expect(await home.json(['land', '--from', file])).toMatchObject({ records: 0 })
  expect(await lake.ids()).toEqual(idsOf(0, 12))
  expect(await lake.problems()).toEqual([])
  expect(await prune('--yes')).toMatchObject({ nothing_to_do: true, result: null })
})

test('a dropped table stops the pruning, with the way out; forgotten, it does not', async () => {
  await grown()
  const { home } = lake
  await home.json(['compact', 'news.other', '--stream', 'files'])
  for (const path of home.files()) if (path.includes('/news/other/')) rmSync(home.path(path))
  const stopped = await home.firn(['staging', 'prune', '--yes'])
  expect(stopped.code).toBe(1)
  expect(stopped.stdout).toContain('firn staging forget files@0 news.other')
  expect(chunks()).toHaveLength(3)
  const listed = (await home.json(['staging', 'consumers'])) as unknown as Record<string, unknown>[]
  expect(listed.map(({ stream, table }) => `${stream} ${table}`)).toEqual([`files@0 ${TABLE}`, 'files@0 news.other'])
  const asked = await home.firn(['staging', 'forget', 'files', 'news.other'])
  expect([asked.code, complaint(asked).code]).toEqual([2, 'FIRN_CONFIRMATION_NEEDED'])
  expect(await home.json(['staging', 'forget', 'files@0', 'news.other', '--yes'])).toMatchObject({
    result: { streams: ['files@0'] },
  })
  expect(await home.json(['staging', 'forget', 'files', 'news.other', '--yes'])).toMatchObject({ nothing_to_do: true })
  expect((await prune('--yes')).result).toMatchObject({ chunks: 1 })
})

test('what is to be deleted is not taken from the environment, and not below three days', async () => {
  await grown()
  const { home } = lake
  const young = await home.firn(['staging', 'prune', '--older-than', '1h', '--dry-run'])
  expect([young.code, complaint(young).code]).toEqual([2, 'FIRN_INVALID_OPTION'])
  const other = await home.firn(['staging', 'prune', '--dry-run'], { FIRN_STREAM: 'none' })
  expect([other.code, other.stdout]).toEqual([0, expect.stringMatching(/would delete 1 chunk/)])
  const aged = await home.firn(['staging', 'prune', '--dry-run'], { FIRN_OLDER_THAN: '9d' })
  expect([aged.code, complaint(aged).code]).toEqual([2, 'FIRN_CONFIG_INVALID'])
  const unknown = await home.firn(['maintain', TABLE, '--dry-run'], { FIRN_ONLY: 'prune' })
  expect([unknown.code, complaint(unknown).code]).toEqual([2, 'FIRN_CONFIG_INVALID'])
  const none = await home.firn(['staging', 'prune', '--stream', 'Nope'])
  expect([none.code, complaint(none).code]).toEqual([2, 'FIRN_STREAM_NOT_STAGED'])
})

test('maintain prints the plan of every part, and each result; the policy is of the settings file', async () => {
  await grown()
  const { home } = lake
  const plan = await home.firn(['maintain', TABLE, '--dry-run'])
  expect(plan.code).toBe(0)
  for (const part of ['rewrite', 'manifests', 'expire', 'orphans', 'prune', 'leftovers']) {
    expect(plan.stdout).toMatch(new RegExp(`^${part}$`, 'm'))
  }
  const unasked = await home.firn(['maintain', TABLE])
  expect([unasked.code, complaint(unasked).code]).toEqual([2, 'FIRN_CONFIRMATION_NEEDED'])
  const chosen = (await home.json(['maintain', TABLE, '--only', 'prune,expire', '--yes'])) as {
    result?: { run_id: string; parts: { part: string; outcome: string }[] }
    run_id?: string
  }
  expect(chosen.result?.parts).toMatchObject([
    { part: 'expire', outcome: 'nothing-to-do' },
    { part: 'prune', outcome: 'ok', result: { chunks: 1 } },
  ])
  expect(chosen.result?.run_id).toBe(chosen.run_id)
  const unknown = await home.firn(['maintain', TABLE, '--only', 'everything'])
  expect(unknown.code).toBe(2)
  expect((await home.firn(['maintain', TABLE, '--only', ',', '--yes'])).code).toBe(2)
  writeFileSync(home.path('firn.config.json'), JSON.stringify({ maintain: { prune: { olderThan: '1d' } } }))
  const lax = await home.firn(['maintain', TABLE, '--dry-run'])
  expect([lax.code, complaint(lax).error]).toEqual([
    2,
    expect.stringContaining('maintain.prune.olderThan: must be 3d or more'),
  ])
  writeFileSync(
    home.path('firn.config.json'),
    JSON.stringify({ maintain: { tables: { [TABLE]: { prune: { enabled: false } } } } }),
  )
  expect((await home.firn(['maintain', TABLE, '--dry-run'])).stdout).not.toMatch(/^prune$/m)
})

test('a part that fails decides the exit code, and is in the document with what the others did', async () => {
  await grown()
  const { home } = lake
  const entry = home.files().find((path) => path.endsWith(`consumers/${TABLE}.json`))!
  writeFileSync(home.path(entry), '{')
  const failed = await home.firn(['maintain', TABLE, '--yes', '--output', 'json'])
  expect(failed.code).toBe(1)
  const { parts } = (JSON.parse(failed.stdout) as { result: { parts: Record<string, unknown>[] } }).result
  expect(parts.find(({ part }) => part === 'prune')).toMatchObject({
    outcome: 'failed',
    errors: [{ code: 'FIRN_CONSUMER_UNREADABLE' }],
  })
  expect(parts.filter(({ outcome }) => outcome === 'failed')).toHaveLength(1)
  // it fails in the plan already, and what the other parts have nothing to do about is not all
  const planned = await home.firn(['maintain', TABLE, '--dry-run'])
  expect([planned.code, planned.stdout]).toEqual([1, expect.stringContaining('not pruned: ')])
  const alone = await home.firn(['maintain', TABLE, '--only', 'prune'])
  expect([alone.code, complaint(alone).code]).toEqual([2, 'FIRN_CONFIRMATION_NEEDED'])
})
