/** `firn rollback`: what is current, what is read again, and what is not. */
import { readFileSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { complaint } from '../cli-support.ts'
import { idsOf, type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
let first: string
let second: string
beforeEach(async () => {
  lake = makeLake()
  first = await lake.add(0, 10)
  second = await lake.add(10, 20, '{"no":"article"}')
})
afterEach(() => lake.home.remove())

const rollback = (...args: string[]): Promise<Record<string, unknown>> =>
  lake.home.json(['rollback', TABLE, '--yes', ...args])
const compact = (): Promise<Record<string, unknown>> => lake.home.json(['compact', TABLE, '--max-bad-ratio', '1'])
const manifestOf = (id: unknown): Record<string, unknown> =>
  JSON.parse(readFileSync(lake.home.path(`.firn/warehouse/_manifests/${TABLE}/${id}.json`), 'utf8'))

test('without --reprocess the rows go and nothing that was ingested comes back', async () => {
  const { result, plan } = (await rollback('--to', first)) as Record<string, Record<string, unknown>>
  expect(plan).toMatchObject({ to_snapshot_id: first, from_snapshot_id: second, rows_removed: 10, rows_restored: 0 })
  expect(await lake.ids()).toEqual(idsOf(0, 10))
  expect(await compact()).toMatchObject({ nothing_to_do: true })
  expect(await lake.problems()).toEqual([])
  await lake.add(20, 25)
  expect(await lake.ids()).toEqual([...idsOf(0, 10), ...idsOf(20, 25)])
  expect(await lake.problems()).toEqual([])
  const snapshots = await lake.snapshots()
  expect(snapshots.map(({ operation }) => operation)).toEqual(['append', 'append', 'overwrite', 'append'])
  expect(manifestOf(result!['snapshot_id'])).toMatchObject({
    operation: 'overwrite',
    rolled_back_to: first,
    removed: (manifestOf(second)['added'] as { path: string }[]).map(({ path }) => path),
    added: [],
  })
})

test('with --reprocess the next run reads the undone records again and gives the same rows', async () => {
  const scan = ['scan', TABLE, '--columns', 'article_id,word_count,publish_date,content_sha256', '--output', 'jsonl']
  const rows = async (): Promise<string[]> => (await lake.home.firn(scan)).stdout.split('\n').sort()
  const before = await rows()
  const compactedAt = async (): Promise<string> =>
    ((await lake.snapshots()).at(-1)!.summary['firn.compacted-at'] ?? '') as string
  const newest = await compactedAt()
  await rollback('--to', first, '--reprocess')
  expect(await lake.ids()).toEqual(idsOf(0, 10))
  expect(await lake.problems()).toEqual([])
  expect(await compact()).toMatchObject({ nothing_to_do: false, rows_added: 10, records_read: 11 })
  expect(await rows()).toEqual(before)
  expect(BigInt(await compactedAt())).toBeGreaterThan(BigInt(newest))
  expect(await compact()).toMatchObject({ nothing_to_do: true })
  expect(await lake.problems()).toEqual([])
})

test('going back and forth restores the files with their digests', async () => {
  await rollback('--to', first)
  const { result } = (await rollback('--to', second)) as Record<string, Record<string, unknown>>
  expect(await lake.ids()).toEqual(idsOf(0, 20))
  const [before] = manifestOf(second)['added'] as Record<string, unknown>[]
  expect(manifestOf(result!['snapshot_id'])).toMatchObject({ added: [before], removed: [] })
  expect(await compact()).toMatchObject({ nothing_to_do: true })
  expect(await lake.problems()).toEqual([])
})

test('positions go back through snapshots that did not move them: a rewrite, and a rollback of a rollback', async () => {
  await lake.home.json(['rewrite', TABLE, '--rewrite-all', '--yes'])
  const rewritten = (await lake.snapshots()).at(-1)!.snapshot_id
  await lake.add(20, 30)
  await rollback('--to', rewritten, '--reprocess')
  expect(await lake.ids()).toEqual(idsOf(0, 20))
  expect(await compact()).toMatchObject({ rows_added: 10 })
  // the rollback below keeps the positions of now: going back to it later reprocesses nothing older
  await rollback('--to', first)
  const kept = (await lake.snapshots()).at(-1)!.snapshot_id
  await lake.add(30, 33)
  await rollback('--to', kept, '--reprocess')
  expect(await compact()).toMatchObject({ rows_added: 3 })
  expect(await lake.ids()).toEqual([...idsOf(0, 10), ...idsOf(30, 33)])
  expect(await lake.problems()).toEqual([])
})

test('a tag and a time name the snapshot; the present one is nothing to do', async () => {
  await lake.home.json(['tag', TABLE, 'good', '--snapshot', first])
  expect(await lake.home.json(['rollback', TABLE, '--to', 'good', '--dry-run'])).toMatchObject({
    dry_run: true,
    plan: { to_snapshot_id: first },
  })
  const [snapshot] = (await lake.home.json(['inspect', 'snapshots', TABLE])) as unknown as { committed_at: string }[]
  const then = new Date(Date.parse(snapshot!.committed_at) + 1).toISOString()
  expect(await lake.home.json(['rollback', TABLE, '--to', then, '--dry-run'])).toMatchObject({
    plan: { to_snapshot_id: first },
  })
  for (const reprocess of [[], ['--reprocess']]) {
    expect(await rollback('--to', second, ...reprocess)).toMatchObject({ nothing_to_do: true })
  }
  expect(await lake.snapshots()).toHaveLength(2)
})

test('what cannot be done is refused before anything is written', async () => {
  const refused = async (args: string[]): Promise<string> => {
    const before = lake.home.files()
    const outcome = await lake.home.firn(['rollback', TABLE, ...args])
    expect(outcome.code).not.toBe(0)
    expect(lake.home.files()).toEqual(before)
    return complaint(outcome).code
  }
  expect(await refused(['--to', first])).toBe('FIRN_CONFIRMATION_NEEDED')
  expect(await refused(['--to', 'nowhere', '--yes'])).toBe('FIRN_USAGE')
  expect(await refused(['--to', '12345', '--yes'])).toBe('FIRN_SNAPSHOT_NOT_FOUND')
  await lake.home.json(['branch', TABLE, 'side', '--snapshot', first])
  // staging no longer has what would be read again
  const chunks = lake.home.files().filter((file) => /_staging\/.*in-1.*\.arrows\.zst$/.test(file))
  expect(chunks).toHaveLength(1)
  rmSync(lake.home.path(chunks[0]!))
  expect(await refused(['--to', first, '--reprocess', '--yes'])).toBe('FIRN_REPROCESS_IMPOSSIBLE')
  // and the positions of a run whose JSON manifest is lost are not guessed
  for (const id of [first, second]) rmSync(lake.home.path(`.firn/warehouse/_manifests/${TABLE}/${id}.json`))
  const lost = await lake.home.firn(['rollback', TABLE, '--to', first, '--reprocess', '--yes'])
  expect(complaint(lost)).toMatchObject({
    code: 'FIRN_REPROCESS_IMPOSSIBLE',
    error: expect.stringMatching(/has lost its JSON manifest/),
  })
  expect(await rollback('--to', first)).toMatchObject({ result: { snapshot_id: expect.any(String) } })
})
