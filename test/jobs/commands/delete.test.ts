/** `firn delete`, and the commands that look at what snapshots changed: changes, scan --count, --from-snapshot. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complaint } from '../cli-support.ts'
import { idsOf, type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
let first: string
beforeAll(async () => {
  lake = makeLake()
  first = await lake.add(0, 10)
  await lake.add(10, 20)
})
afterAll(() => lake.home.remove())

const changes = async (...args: string[]) =>
  (await lake.home.json(['changes', TABLE, ...args])) as unknown as Record<string, unknown>[]

test('rows are counted without being printed', async () => {
  expect((await lake.home.firn(['scan', TABLE, '--count'])).stdout).toBe('20\n')
  expect(await lake.home.json(['scan', TABLE, '--count', '--where', "author = 'Ada'", '--snapshot', first])).toEqual({
    rows: 5,
  })
  expect((await lake.home.firn(['scan', TABLE, '--count', '--output', 'csv'])).stdout).toBe('rows\n20\n')
  expect(complaint(await lake.home.firn(['scan', TABLE, '--count', '--output', 'arrow'])).code).toBe('FIRN_USAGE')
})

test('a dry run tells how many rows would go, and a filter is needed', async () => {
  expect(await lake.home.json(['delete', TABLE, '--where', "author = 'Ada'", '--dry-run'])).toMatchObject({
    dry_run: true,
    plan: { rows: 10, where: "author = 'Ada'" },
  })
  expect((await lake.home.firn(['delete', TABLE, '--yes'])).code).toBe(2)
  expect((await lake.home.firn(['delete', TABLE, '--where', "author = 'Nobody'", '--yes'])).stdout).toMatch(
    /^nothing to do/,
  )
  expect(await lake.snapshots()).toHaveLength(2)
})

test('the rows go, nulls stay, the JSON manifest tells the files, and what was ingested does not come back', async () => {
  const before = await lake.ids()
  const done = (await lake.home.json([
    'delete',
    TABLE,
    '--where',
    "author = 'Ada' and article_id < 'a0015'",
    '--yes',
  ])) as {
    result: { snapshot_id: string }
  }
  expect(done).toMatchObject({ result: { rows_removed: 8 } })
  const odd = before.filter((id) => Number(id.slice(1)) % 2 === 1 || id >= 'a0015')
  expect(await lake.ids()).toEqual(odd)
  expect(await lake.ids('--snapshot', first)).toEqual(idsOf(0, 10))
  const manifest = await lake.home.json(['inspect', 'manifest', TABLE])
  const rows = await changes('--from', (await lake.snapshots()).at(-2)!.snapshot_id)
  const paths = (change: string): unknown[] =>
    rows.filter((row) => row['change'] === change).map((row) => row['file_path'])
  expect(rows.every((row) => row['snapshot_id'] === done.result.snapshot_id)).toBe(true)
  expect(manifest).toMatchObject({ operation: 'overwrite', snapshot_id: done.result.snapshot_id })
  expect((manifest['added'] as { path: string }[]).map(({ path }) => path).sort()).toEqual(paths('added').sort())
  expect([...(manifest['removed'] as string[])].sort()).toEqual(paths('removed').sort())
  expect(await lake.problems()).toEqual([])
  expect(await lake.home.json(['compact', TABLE])).toMatchObject({ nothing_to_do: true })
})

test('an incremental scan has what was appended since, not what was rewritten', async () => {
  expect(await lake.ids('--from-snapshot', first)).toEqual(idsOf(10, 20))
  await lake.home.json(['tag', TABLE, 'now'])
  expect(await lake.ids('--from-snapshot', 'now')).toEqual([])
  await lake.add(20, 22)
  expect(await lake.ids('--from-snapshot', 'now')).toEqual(idsOf(20, 22))
  expect(await changes('--from', first, '--to', 'now')).not.toEqual([])
  expect(complaint(await lake.home.firn(['changes', TABLE, '--from', '99'])).code).toBe('FIRN_SNAPSHOT_NOT_ANCESTOR')
})

test('nothing is committed that could not be recorded before', async () => {
  const before = await lake.snapshots()
  const folder = lake.home.path(`.firn/warehouse/_manifests/${TABLE}`)
  renameSync(folder, `${folder}-away`)
  writeFileSync(folder, 'in the way')
  try {
    for (const args of [
      ['delete', TABLE, '--where', "article_id = 'a0001'"],
      ['rewrite', TABLE, '--rewrite-all'],
      ['rollback', TABLE, '--to', first],
    ]) {
      expect((await lake.home.firn([...args, '--yes'])).code).not.toBe(0)
    }
  } finally {
    rmSync(folder)
    renameSync(`${folder}-away`, folder)
  }
  expect(await lake.snapshots()).toEqual(before)
  expect(await lake.problems()).toEqual([])
})
