/** `firn replay`: which refused records are run again, and what is said about them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { articles } from '../../../jobs/datasets/index.ts'
import { openCatalog, openStore, systemClock } from '../../../table/index.ts'
import { complaint } from '../cli-support.ts'
import { idsOf, type Lake, makeLake, TABLE } from './lake.ts'

const LARGE = JSON.stringify({ article_id: 'large', content: 'x'.repeat(2000) })

let lake: Lake
beforeEach(async () => {
  lake = makeLake()
  writeFileSync(lake.home.path('strict.json'), JSON.stringify({ ...articles, maxRecordBytes: 1000 }))
  await lake.home.json(['init', TABLE, '--dataset', lake.home.path('strict.json')])
  await lake.add(0, 5, LARGE, '{"no":"article"}')
})
afterEach(() => lake.home.remove())

const replay = (...args: string[]): Promise<Record<string, unknown>> => lake.home.json(['replay', TABLE, ...args])
async function accept(maxRecordBytes: number): Promise<void> {
  const store = openStore(pathToFileURL(lake.home.path('.firn/warehouse')).href)
  const table = await openCatalog(store, { clock: systemClock }).loadTable(TABLE)
  await table.setProperties({ 'firn.dataset': JSON.stringify({ ...articles, maxRecordBytes }) })
}

test('a dry run lists objects and reasons, and changes nothing', async () => {
  const before = lake.home.files()
  const { objects } = (await replay('--dry-run')) as { objects: { id: string }[] }
  expect(objects).toMatchObject([{ rows: 2, reasons: { missing_key: 1, too_large: 1 } }])
  const { stdout } = await lake.home.firn(['replay', TABLE, '--dry-run', '--reason', 'too_large'])
  expect(stdout).toContain(objects[0]!.id)
  expect(stdout).toContain('dry run, nothing changed: would run 2 records of 1 object again')
  expect(await replay('--dry-run', '--reason', 'decode')).toMatchObject({ nothing_to_do: true, objects: [] })
  expect(lake.home.files()).toEqual(before)
})

test('what passes by now is added, what fails is refused anew, and the second time nothing changes', async () => {
  const first = await lake.home.firn(['replay', TABLE])
  expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing changed: 2 records') })
  await accept(10_000)
  const { stdout } = await lake.home.firn(['replay', TABLE])
  expect(stdout).toMatch(/replayed 2 records of 1 object, added 1 row in 1 file/)
  expect(stdout).toContain('1 record quarantined')
  expect(await lake.ids()).toEqual([...idsOf(0, 5), 'large'])
  expect(await replay()).toMatchObject({ unchanged: true, snapshot_id: null, quarantined: { missing_key: 1 } })
  expect(await lake.problems()).toEqual([])
  const records = lake.home.files().filter((file) => file.includes('_runs/replay/'))
  expect(records).toHaveLength(3)
  const outcomes = records.map((file) => JSON.parse(readFileSync(lake.home.path(file), 'utf8')).outcome)
  expect(outcomes.sort()).toEqual(['nothing-to-do', 'nothing-to-do', 'ok'])
})

test('by worker threads that share the work, one object, as by one task', async () => {
  await lake.add(5, 6, LARGE.replace('"large"', '"larger"'))
  await accept(10_000)
  const { objects } = (await replay('--dry-run')) as { objects: { id: string }[] }
  await replay('--object', objects[1]!.id, '--tasks', '2')
  expect(await lake.ids()).toEqual([...idsOf(0, 6), 'larger'])
  expect(await replay('--object', objects[0]!.id)).toMatchObject({ rows_added: 1 })
  expect(await lake.problems()).toEqual([])
})

test('an unknown object and a reason that is none are refused, with the way to see what there is', async () => {
  const object = await lake.home.firn(['replay', TABLE, '--object', 'abc-0'])
  expect(complaint(object)).toMatchObject({
    code: 'FIRN_REFUSED_NOT_FOUND',
    help: expect.stringContaining('--dry-run'),
  })
  const reason = await lake.home.firn(['replay', TABLE, '--reason', 'to_large'])
  expect(complaint(reason)).toMatchObject({ code: 'FIRN_INVALID_OPTION', help: expect.stringContaining('too_large') })
  expect([object.code, reason.code]).toEqual([2, 2])
})

test('going back with --reprocess says what counts as refused again', async () => {
  const [first] = await lake.snapshots()
  await accept(10_000)
  await replay()
  const args = ['rollback', TABLE, '--to', first!.snapshot_id, '--reprocess']
  expect((await lake.home.firn([...args, '--dry-run'])).stdout).toContain(
    'what was replayed since then counts as refused again: 1 object',
  )
  expect(await lake.home.json([...args, '--yes'])).toMatchObject({ plan: { refused_again: [expect.any(String)] } })
  expect(await lake.ids()).toEqual(idsOf(0, 5))
  await replay()
  expect(await lake.ids()).toEqual([...idsOf(0, 5), 'large'])
  expect(await lake.problems()).toEqual([])
})
