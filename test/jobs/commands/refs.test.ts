/** `firn tag` and `firn branch`: made, moved, given a retention, removed. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complaint } from '../cli-support.ts'
import { type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
let first: string
let second: string
beforeAll(async () => {
  lake = makeLake()
  first = await lake.add(0, 3)
  second = await lake.add(3, 6)
})
afterAll(() => lake.home.remove())

type Ref = { name: string; type: string; snapshot_id: string } & Record<string, unknown>
const refs = async (): Promise<Record<string, Ref>> => {
  const rows = (await lake.home.json(['inspect', 'refs', TABLE])) as unknown as Ref[]
  return Object.fromEntries(rows.map((row) => [row.name, row]))
}
const firn = (...args: string[]) => lake.home.firn(args)

test('a tag is made, kept longer, and removed only with a yes', async () => {
  await lake.home.json(['tag', TABLE, 'old', '--snapshot', first, '--max-age', '30d'])
  expect((await refs())['old']).toMatchObject({ type: 'TAG', snapshot_id: first, max_reference_age_in_ms: 2592000000 })
  const other = await firn('tag', TABLE, 'old', '--snapshot', second)
  expect([other.code, complaint(other).code]).toEqual([2, 'FIRN_REF_EXISTS'])
  expect(complaint(other).help).toContain('--update')
  expect((await firn('tag', TABLE, 'old', '--update', '--max-age', '36h')).stdout).toMatch(/^keeps tag old .* for 36h /)
  expect((await firn('tag', TABLE, 'old', '--update')).stdout).toMatch(/^keeps tag old of news.articles for ever/)
  expect((await refs())['old']).toMatchObject({ snapshot_id: first, max_reference_age_in_ms: null })
  expect(complaint(await firn('tag', TABLE, 'old', '--delete')).code).toBe('FIRN_CONFIRMATION_NEEDED')
  expect(complaint(await firn('tag', TABLE, 'old', '--delete', '--update')).code).toBe('FIRN_USAGE')
  expect(complaint(await firn('branch', TABLE, 'old', '--delete', '--yes')).code).toBe('FIRN_REF_NOT_FOUND')
  expect(await lake.home.json(['tag', TABLE, 'old', '--delete', '--yes'])).toMatchObject({
    plan: { tag: 'old', snapshot_id: first },
    result: { removed: true },
  })
  expect(Object.keys(await refs())).toEqual(['main'])
  expect(complaint(await firn('tag', TABLE, 'old', '--delete', '--yes')).code).toBe('FIRN_REF_NOT_FOUND')
})

test('a branch is made with a retention, moved forward, and removed', async () => {
  const retention = ['--max-age', '30d', '--max-snapshot-age', '7d', '--min-snapshots', '3']
  expect(await lake.home.json(['branch', TABLE, 'side', '--snapshot', first, ...retention, '--dry-run'])).toMatchObject(
    {
      dry_run: true,
      snapshot_id: first,
    },
  )
  expect(Object.keys(await refs())).toEqual(['main'])
  await lake.home.json(['branch', TABLE, 'side', '--snapshot', first, ...retention])
  expect((await refs())['side']).toMatchObject({ type: 'BRANCH', snapshot_id: first, min_snapshots_to_keep: 3 })
  expect(await lake.home.json(['branch', TABLE, 'side', '--fast-forward', 'main'])).toMatchObject({
    snapshot_id: second,
    max_ref_age_ms: 2592000000,
  })
  expect(complaint(await firn('branch', TABLE, 'side', '--fast-forward', first)).code).toBe('FIRN_NOT_AN_ANCESTOR')
  await lake.home.json(['branch', TABLE, 'side', '--update', '--min-snapshots', '5'])
  expect((await refs())['side']).toMatchObject({ min_snapshots_to_keep: 5, max_reference_age_in_ms: null })
  await lake.home.json(['branch', TABLE, 'side', '--delete', '--yes'])
  expect(Object.keys(await refs())).toEqual(['main'])
  expect((await firn('branch', TABLE, 'main', '--delete', '--yes')).code).toBe(2)
})
