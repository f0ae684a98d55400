/** `firn expire` and `firn orphans`: what goes, what stays, and who is asked. */

import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { execute } from '../../../jobs/main.ts'
import { systemClock } from '../../../table/clock.ts'
import { openCatalog, openStore } from '../../../table/index.ts'
import { complaint } from '../cli-support.ts'
import { idsOf, type Lake, makeLake, TABLE } from './lake.ts'

let lake: Lake
beforeEach(() => {
  lake = makeLake()
})
afterEach(() => lake.home.remove())

const WAREHOUSE = '.firn/warehouse'
const manifestFile = (id: string): string => `${WAREHOUSE}/_manifests/${TABLE}/${id}.json`
const has = (file: string): boolean => existsSync(lake.home.path(file))
const dataFiles = (): string[] => lake.home.files().filter((file) => file.endsWith('.parquet'))
const NOW = ['--older-than', '2999-01-01', '--grace', '0']

describe('expire', () => {
  test('removes snapshots, the files that only they led to, and their JSON manifests', async () => {
    const first = await lake.add(0, 5)
    const second = await lake.add(5, 10)
    await lake.home.json(['rewrite', TABLE, '--rewrite-all', '--yes'])
    const rewritten = (await lake.snapshots()).at(-1)!.snapshot_id
    expect(dataFiles()).toHaveLength(3)
    const plan = await lake.home.json(['expire', TABLE, ...NOW, '--dry-run'])
    expect(plan).toMatchObject({
      dry_run: true,
      plan: { snapshots: [{ snapshot_id: first, operation: 'append' }, { snapshot_id: second }], retained: 1 },
    })
    expect((await lake.home.firn(['expire', TABLE, ...NOW])).code).toBe(2)
    expect(await lake.snapshots()).toHaveLength(3)
    expect(await lake.home.json(['expire', TABLE, ...NOW, '--yes'])).toMatchObject({
      result: { snapshot_ids: [first, second], deleted: { data_files: 2 }, json_manifests: { deleted: 2, kept: 0 } },
    })
    expect(dataFiles()).toHaveLength(1)
    expect([first, second, rewritten].map((id) => has(manifestFile(id)))).toEqual([false, false, true])
    expect(await lake.ids()).toEqual(idsOf(0, 10))
    expect(await lake.problems()).toEqual([])
    expect((await lake.home.firn(['expire', TABLE, ...NOW, '--yes'])).stdout).toMatch(/^nothing to do/)
    // the runs before it are gone; the one after it says where it began
    await lake.add(10, 12)
    await lake.home.json(['rollback', TABLE, '--to', rewritten, '--reprocess', '--yes'])
    expect(await lake.ids()).toEqual(idsOf(0, 10))
    expect(await lake.home.json(['compact', TABLE])).toMatchObject({ rows_added: 2 })
    expect(await lake.problems()).toEqual([])
  })

  test('keeps what a tag names, what it is told to retain, and manifests that list refused records', async () => {
    const bad = await lake.add(0, 3, '{"not":"an article"}')
    const tagged = await lake.add(3, 6)
    await lake.home.json(['tag', TABLE, 'keep'])
    await lake.add(6, 9)
    const last = await lake.add(9, 12)
    expect(await lake.home.json(['expire', TABLE, ...NOW, '--retain-last', '2', '--yes'])).toMatchObject({
      result: { snapshot_ids: [bad], json_manifests: { deleted: 0, kept: 1 } },
    })
    expect(has(manifestFile(bad))).toBe(true)
    const refused = await lake.home.firn(['expire', TABLE, '--snapshot', tagged, '--yes'])
    expect(complaint(refused).code).toBe('FIRN_SNAPSHOT_IN_USE')
    expect((await lake.home.firn(['expire', TABLE, '--snapshot', last, '--older-than', '1d'])).code).toBe(2)
    expect((await lake.home.firn(['expire', TABLE, '--older-than', '7'])).code).toBe(2)
    expect((await lake.snapshots()).map(({ snapshot_id }) => snapshot_id)).toHaveLength(3)
    expect(await lake.ids('--ref', 'keep')).toEqual(idsOf(0, 6))
  })

  test('a tag from before what has expired is not gone back to, and the way to it is named', async () => {
    const tagged = await lake.add(0, 3)
    await lake.home.json(['tag', TABLE, 'keep'])
    const between = await lake.add(3, 6)
    await lake.add(6, 9)
    await lake.home.json(['expire', TABLE, '--snapshot', between, '--grace', '0', '--yes'])
    const refused = await lake.home.firn(['rollback', TABLE, '--to', tagged, '--yes'])
    expect(complaint(refused)).toMatchObject({
      code: 'FIRN_NOT_AN_ANCESTOR',
      help: expect.stringContaining(`firn copy ${TABLE} <location> --ref keep`),
    })
  })

  test('takes back what a run that died has announced, and says so', async () => {
    const first = await lake.add(0, 3)
    await lake.add(3, 6)
    const store = openStore(pathToFileURL(lake.home.path(WAREHOUSE)).href)
    const table = await openCatalog(store, { clock: systemClock }).loadTable(TABLE)
    await table.setProperties({ 'firn.expiring': first, 'firn.expiring-since': '1' })
    const plan = await lake.home.firn(['expire', TABLE, '--dry-run'])
    expect(plan.stdout).toContain(`would take back that 1 snapshot of ${TABLE}`)
    expect(plan.stdout).not.toContain('nothing to do')
    const run = await lake.home.firn(['expire', TABLE, '--grace', '0', '--yes'])
    expect(run.stdout).toContain('1 snapshot that a run had left announced as expiring')
    await lake.home.json(['tag', TABLE, 'first', '--snapshot', first])
  })

  test('asks at a terminal, and takes anything but a yes for a no', async () => {
    await lake.add(0, 2)
    await lake.add(2, 4)
    const ask = async (answer: string): Promise<{ code: number; said: string; printed: string }> => {
      const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map(() => new PassThrough())
      Object.assign(stdin!, { isTTY: true })
      Object.assign(stderr!, { isTTY: true })
      stdin!.end(answer)
      const { signal } = new AbortController()
      const streams = { stdin: stdin!, stdout: stdout!, stderr: stderr!, cwd: lake.home.dir, signal }
      const code = await execute(['expire', TABLE, ...NOW], streams)
      return { code, said: String(stderr!.read() ?? ''), printed: String(stdout!.read() ?? '') }
    }
    const no = await ask('no\n')
    expect(no).toMatchObject({ code: 0, printed: 'nothing was changed\n' })
    expect(no.said).toMatch(
      /would remove 1 snapshot of news.articles, and delete \d+ files? \(.*\), 1 stay\nRemove them\? \[y\/N\] /,
    )
    expect(await ask('')).toMatchObject({ code: 0, printed: 'nothing was changed\n' })
    expect(await lake.snapshots()).toHaveLength(2)
    expect(await ask('y\n')).toMatchObject({ code: 0, printed: expect.stringMatching(/removed 1 snapshot/) })
    expect(await lake.snapshots()).toHaveLength(1)
  })
})

describe('orphans', () => {
  const DAY_MILLIS = 86_400_000
  const write = (file: string, ageDays: number, text = 'x'): string => {
    const path = lake.home.path(`${WAREHOUSE}/${file}`)
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true })
    writeFileSync(path, text)
    const time = new Date(Date.now() - ageDays * DAY_MILLIS)
    utimesSync(path, time, time)
    return `${WAREHOUSE}/${file}`
  }

  test('lists and deletes what is old and nothing leads to, in the table and beside it', async () => {
    const id = await lake.add(0, 5, '{"not":"an article"}')
    const stray = write('news/articles/data/stray.parquet', 4)
    const young = write('news/articles/data/young.parquet', 1)
    // older than main's history: they may be of a snapshot that has expired
    const refusedStray = write(`_quarantine/${TABLE}/gone-0.jsonl.zst`, 4)
    const refusedYoung = write(`_quarantine/${TABLE}/gone-1.jsonl.zst`, 1)
    const expired = write(`_manifests/${TABLE}/77.json`, 4, manifestText('77', [], uuidOf(id)))
    // refused records of a snapshot that expired: main's history cannot tell that it never committed
    const listed = write(`_quarantine/${TABLE}/old-0.jsonl.zst`, 9)
    const lister = write(
      `_manifests/${TABLE}/78.json`,
      9,
      manifestText('78', [`_quarantine/${TABLE}/old-0.jsonl.zst`], uuidOf(id)),
    )
    const going = [stray, expired]
    const staying = [young, refusedStray, refusedYoung, listed, lister, manifestFile(id)]
    const plan = await lake.home.json(['orphans', TABLE, '--dry-run'])
    expect(plan).toMatchObject({
      plan: {
        totals: { orphans: 1, young: 1 },
        orphans: [{ key: 'data/stray.parquet', kind: 'content' }],
        warehouse: { orphans: [{ kind: 'json-manifest' }], kept: 1 },
      },
    })
    const text = await lake.home.firn(['orphans', TABLE])
    expect(complaint(text)).toMatchObject({ code: 'FIRN_CONFIRMATION_NEEDED' })
    expect([...going, ...staying].every(has)).toBe(true)
    expect(await lake.home.json(['orphans', TABLE, '--yes'])).toMatchObject({
      result: { deleted: 1, warehouse: { deleted: 1 } },
    })
    expect(going.map(has)).toEqual([false, false])
    expect(staying.map(has)).toEqual(staying.map(() => true))
    expect(await lake.problems()).toEqual([])
    expect((await lake.home.firn(['orphans', TABLE, '--yes'])).stdout).toMatch(/nothing to do/)
  })

  test('are not looked for below an age of three days without a reason, nor deleted when they are most of the table', async () => {
    await lake.add(0, 5)
    write('news/articles/data/young.parquet', 1, 'x'.repeat(1 << 20))
    const young = await lake.home.firn(['orphans', TABLE, '--older-than', '1h', '--yes'])
    expect(young).toMatchObject({ code: 2 })
    expect(complaint(young).help).toContain('--allow-young')
    const reason = ['--older-than', '1h', '--allow-young', 'no writer runs', '--yes']
    const most = await lake.home.firn(['orphans', TABLE, ...reason])
    expect({ code: most.code, said: complaint(most).code }).toEqual({ code: 1, said: 'FIRN_TOO_MANY_ORPHANS' })
    expect(complaint(most).help).toContain('--force')
    expect(await lake.home.json(['orphans', TABLE, ...reason, '--force'])).toMatchObject({ result: { deleted: 1 } })
  })
})

/** As the JSON manifest of a snapshot says it. */
const uuidOf = (id: string): string =>
  (JSON.parse(readFileSync(lake.home.path(manifestFile(id)), 'utf8')) as { table_uuid: string }).table_uuid

function manifestText(id: string, quarantined: readonly string[], uuid: string): string {
  return JSON.stringify({
    schema: 'firn.manifest/1',
    table_uuid: uuid,
    snapshot_id: id,
    added: [],
    removed: [],
    records: null,
    positions: null,
    quarantined: quarantined.map((path) => ({ path, rows: 1, bytes: 1, reasons: {} })),
  })
}
