/** `firn inspect` over a warehouse in a folder: every metadata table, and the way between two snapshots. */
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Home, makeHome } from '../cli-support.ts'

type Rows = readonly Readonly<Record<string, unknown>>[]

let home: Home
const snapshots: string[] = []
const rows = async (args: readonly string[]): Promise<Rows> =>
  (await home.json(['inspect', ...args])) as unknown as Rows

beforeAll(async () => {
  home = makeHome()
  for (const [index, ids] of [['a', 'b'], ['c']].entries()) {
    const path = home.path(`${index}.ndjson`)
    const lines = ids.map((id) => JSON.stringify({ article_id: id, title: id, publish_date: null, content: 'w' }))
    writeFileSync(path, `${lines.join('\n')}\n`)
    await home.json(['land', '--from', path])
    snapshots.push(String((await home.json(['compact', 'news.articles']))['snapshot_id']))
  }
})
afterAll(() => home.remove())

describe('metadata tables', () => {
  const current = ['snapshots', 'history', 'metadata_log_entries', 'refs', 'files', 'data_files', 'entries']
  const all = ['partitions', 'manifests', 'all_files', 'all_data_files', 'all_entries', 'all_manifests']
  test.each([...current, ...all])('%s has rows, for programs and for people', async (kind) => {
    expect((await rows([kind, 'news.articles'])).length).toBeGreaterThan(0)
    expect(await home.firn(['inspect', kind, 'news.articles'])).toMatchObject({ code: 0 })
  })

  test.each(['delete_files', 'all_delete_files'])('%s is empty where nothing was deleted', async (kind) => {
    expect(await rows([kind, 'news.articles'])).toEqual([])
  })

  test('those of a snapshot take one, those of all snapshots do not', async () => {
    expect(await rows(['data_files', 'news.articles', '--snapshot', snapshots[0]!])).toHaveLength(1)
    expect(await rows(['all_data_files', 'news.articles'])).toHaveLength(2)
    const refused = await home.firn(['inspect', 'all_files', 'news.articles', '--snapshot', snapshots[0]!])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--snapshot') })
  })
})

describe('inspect manifest --diff', () => {
  const diff = ['inspect', 'manifest', 'news.articles', '--snapshot']

  test('tells files, rows and checksums on the way to the other snapshot', async () => {
    const there = await home.json([...diff, snapshots[0]!, '--diff', snapshots[1]!])
    const added = {
      content: 'data',
      record_count: 1,
      file_path: expect.stringMatching(/\.parquet$/),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    }
    expect(there).toMatchObject({
      from: snapshots[0],
      to: snapshots[1],
      added: [added],
      removed: [],
      rows_added: 1,
      rows_removed: 0,
    })
    const back = await home.json([...diff, snapshots[1]!, '--diff', snapshots[0]!])
    expect(back).toMatchObject({ added: [], removed: there['added'], rows_removed: 1 })
  })

  test('starts at the current snapshot when none is named, and prints a table for people', async () => {
    const outcome = await home.firn(['inspect', 'manifest', 'news.articles', '--diff', snapshots[0]!])
    expect(outcome).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/rows_removed +1[\s\S]*removed .*\.parquet/),
    })
  })

  test('names a snapshot that is not there', async () => {
    const outcome = await home.firn(['inspect', 'manifest', 'news.articles', '--diff', '12345'])
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('snapshot 12345 is not in') })
  })
})
