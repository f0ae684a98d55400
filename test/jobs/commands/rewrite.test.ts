/** `firn rewrite` and `firn manifests` as people call them: plan, approval, result, and a table that verify accepts. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complaint } from '../cli-support.ts'
import { idsOf, type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
beforeAll(async () => {
  lake = makeLake()
  for (let n = 0; n < 4; n++) await lake.add(n * 10, n * 10 + 10)
})
afterAll(() => lake.home.remove())

const OPTIONS = [TABLE, '--min-input-files', '2']

test('without a yes nothing is rewritten, and the refusal says what would be', async () => {
  const before = lake.home.files()
  const refused = await lake.home.firn(['rewrite', ...OPTIONS])
  expect(refused.code).toBe(2)
  expect(complaint(refused)).toMatchObject({
    error: expect.stringMatching(/would rewrite 4 files .* in 1 group/),
    help: expect.stringContaining('--yes'),
    code: 'FIRN_CONFIRMATION_NEEDED',
  })
  expect(lake.home.files()).toEqual(before)
})

test('a dry run prints the plan and changes nothing', async () => {
  const before = lake.home.files()
  expect(await lake.home.json(['rewrite', ...OPTIONS, '--dry-run'])).toMatchObject({
    schema: 'firn.rewrite/1',
    table: TABLE,
    dry_run: true,
    nothing_to_do: false,
    plan: { groups: [{ inputs: [{ rows: 10 }, {}, {}, {}], output_files: 1 }], totals: { files: 4, rows: 40 } },
    result: null,
  })
  const text = await lake.home.firn(['rewrite', ...OPTIONS, '--dry-run'])
  expect(text.stdout).toMatch(/partition .*\n.* small.* 4 .*1 file\n(.*\n)*dry run: nothing was changed\n$/)
  expect(lake.home.files()).toEqual(before)
})

test('options that make no sense are refused by name', async () => {
  for (const [args, error] of [
    [['--sort-by', 'publish_date sideways'], /not a column to sort by/],
    [['--sort-by', 'nothing_like_it'], /nothing_like_it/],
    [['--target-file-size', '12 parsecs'], /size like 128MiB/],
    [['--where', 'word_count >'], /./],
    [['--strategy', 'zorder'], /zorder/],
    [['--delete-ratio-threshold', '2'], /share like 0.3/],
  ] as const) {
    const outcome = await lake.home.firn(['rewrite', TABLE, ...args])
    expect(outcome.code).toBe(2)
    expect(complaint(outcome).error).toMatch(error)
  }
  const byLocation = await lake.home.firn(['rewrite', 'file:///somewhere/news/articles', '--yes'])
  expect(complaint(byLocation).code).toBe('FIRN_TABLE_READ_ONLY')
})

test('a filter leaves other files alone', async () => {
  const plan = await lake.home.json(['rewrite', ...OPTIONS, '--dry-run', '--where', "article_id >= 'a0020'"])
  expect(plan).toMatchObject({ plan: { totals: { files: 2 } } })
})

test('the rewrite keeps every row, records its files before it commits, and finds nothing left to do', async () => {
  const done = await lake.home.json(['rewrite', ...OPTIONS, '--yes'])
  expect(done).toMatchObject({
    dry_run: false,
    result: { totals: { committed: 1, conflicts: 0, files_before: 4, files_after: 1, rows: 40 } },
  })
  const { run_id, result } = done as { run_id: string; result: { groups: { snapshot_id: string; inputs: string[] }[] } }
  const [group] = result.groups
  const path = `.firn/warehouse/_manifests/${TABLE}/${group!.snapshot_id}.json`
  expect(JSON.parse(readFileSync(lake.home.path(path), 'utf8'))).toMatchObject({
    schema: 'firn.manifest/1',
    operation: 'replace',
    run_id,
    compacted_at: null,
    positions: null,
    records: null,
    added: [{ rows: 40, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), row_groups: [{ rows: 40 }] }],
    removed: group!.inputs,
  })
  expect(lake.home.files().filter((file) => file.includes('_runs/rewrite/'))).toHaveLength(1)
  expect(await lake.ids()).toEqual(idsOf(0, 40))
  expect(await lake.problems()).toEqual([])
  expect((await lake.home.firn(['rewrite', ...OPTIONS, '--yes'])).stdout).toMatch(/^nothing to do: /)
})

test('compaction goes on after a rewrite, and a curve through two columns is verified too', async () => {
  await lake.add(40, 50)
  const args = ['--strategy', 'zorder', '--sort-by', 'author, publish_date', '--rewrite-all', '--yes']
  expect(await lake.home.json(['rewrite', TABLE, ...args])).toMatchObject({ result: { totals: { rows: 50 } } })
  expect(await lake.ids()).toEqual(idsOf(0, 50))
  expect(await lake.problems()).toEqual([])
})

test('manifests become fewer, and the snapshot changes no file', async () => {
  for (let n = 5; n < 8; n++) await lake.add(n * 10, n * 10 + 10)
  const before = (await lake.home.json(['inspect', 'manifests', TABLE])) as unknown as unknown[]
  expect(await lake.home.json(['manifests', TABLE, '--yes'])).toMatchObject({
    schema: 'firn.manifests/1',
    result: { replaced: before.length, created: 1, conflicts: 0 },
  })
  expect(await lake.home.json(['inspect', 'manifests', TABLE])).toHaveLength(1)
  expect(await lake.ids()).toEqual(idsOf(0, 80))
  expect(await lake.problems()).toEqual([])
})

test.each([
  [['--strategy', 'zorder'], /zorder needs --sort-by/],
  [['--strategy', 'binpack', '--sort-by', 'author'], /--sort-by belongs to sort/],
  [['--target-file-size', '2MiB', '--max-file-size', '1MiB'], /--max-file-size: expected above/],
])('rewrite %j is refused in the words of the command line', async (flags, said) => {
  const outcome = await lake.home.firn(['rewrite', TABLE, ...flags, '--dry-run'])
  expect(outcome.code).toBe(2)
  expect(complaint(outcome)).toMatchObject({ error: expect.stringMatching(said), help: expect.stringContaining('--') })
})
