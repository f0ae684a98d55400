import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BIN, bareEnvironment, complaint, type Home, makeHome, type Outcome } from '../cli-support.ts'
import { addArticles, articlesTable, generateArticles, TABLE, TINY } from '../train/articles.ts'

const SIZES = [
  '--vocabulary',
  '400',
  '--article-tokens',
  '16',
  '--title-tokens',
  '6',
  '--width',
  '4',
  '--batch-size',
  '5',
]
const QUICK = [...SIZES, '--validation', '20', '--validation-rows', '4', '--backend', 'cpu', '--workers', '0']

let home: Home
let firstSnapshot: string

const rows = (count: number, first = 0): Record<string, string>[] =>
  generateArticles(count, TINY, first).map((article) => ({ ...article }))

beforeAll(async () => {
  home = makeHome()
  const { table } = await articlesTable(`file://${home.path('.firn/warehouse')}`, rows(40), { fileRows: 20 })
  firstSnapshot = String(table.currentSnapshot()!.snapshotId)
})
afterAll(() => home.remove())

async function summarize(text: string, more: readonly string[] = []): Promise<Outcome> {
  const args = ['summarize', '--model', home.path('model'), '--backend', 'cpu', ...more]
  const child = spawn(process.execPath, [BIN, ...args], { cwd: home.dir, env: bareEnvironment(home.dir) })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  child.stdin.end(text)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

describe('firn train', () => {
  test('makes a model, says what it was made of, and tags the snapshot', async () => {
    const args = ['train', TABLE, '--model', home.path('model'), '--epochs', '2', '--run', 'monday', ...QUICK]
    const result = await home.json(args)
    expect(result).toMatchObject({
      schema: 'firn.train/1',
      table: TABLE,
      nothing_to_do: false,
      run: 'monday',
      snapshot_id: firstSnapshot,
      since_snapshot_id: null,
      backend: 'cpu',
      validation_rows: 4,
      lead_words: 5,
      tag: 'train/monday',
    })
    // every training row twice
    const steps = result['steps'] as number
    expect(steps).toBe(2 * Math.ceil((result['rows'] as number) / 2 / 5))
    const { userDefinedMetadata } = JSON.parse(await readFile(home.path('model/model.json'), 'utf8'))
    expect(userDefinedMetadata).toMatchObject({
      schema: 'firn.model/1',
      training: { run: 'monday', table: TABLE, snapshotId: firstSnapshot, done: { steps } },
      provenance: [
        { table: TABLE, snapshotId: firstSnapshot, split: { column: 'article_id', buckets: 100, from: 20, to: 100 } },
      ],
      results: { rows: 4 },
    })
    const refs = (await home.json(['inspect', 'refs', TABLE])) as unknown as Record<string, unknown>[]
    const tags = refs.filter(({ type }) => String(type).toLowerCase() === 'tag')
    // the tag that protected the snapshot meanwhile is gone
    expect(tags).toMatchObject([{ name: 'train/monday', snapshot_id: firstSnapshot }])
  })

  test('trains a model further on new rows and some old ones, and has nothing to do without new ones', async () => {
    const args = ['train', TABLE, '--model', home.path('model'), '--epochs', '1', ...QUICK]
    const none = await home.json([...args, '--since', 'train/monday'])
    expect(none).toMatchObject({ nothing_to_do: true, steps: 0, tag: null })
    const { openCatalog, openStore, systemClock } = await import('../../../table/index.ts')
    const store = openStore(`file://${home.path('.firn/warehouse')}`)
    await addArticles(await openCatalog(store, { clock: systemClock }).loadTable(TABLE), rows(40, 40), { fileRows: 20 })
    const result = await home.json([...args, '--since', 'train/monday', '--replay', '0.5', '--run', 'tuesday'])
    expect(result).toMatchObject({ run: 'tuesday', since_snapshot_id: firstSnapshot, tag: 'train/tuesday' })
    expect(result['snapshot_id']).not.toBe(firstSnapshot)
    const { userDefinedMetadata } = JSON.parse(await readFile(home.path('model/model.json'), 'utf8'))
    const [fresh, replayed] = userDefinedMetadata.provenance
    expect(fresh).toMatchObject({ delta: { after: firstSnapshot }, snapshotId: result['snapshot_id'] })
    expect(replayed).toMatchObject({ delta: null, snapshotId: firstSnapshot })
    const consumed = [fresh, replayed].map((each) => each.consumed.batches as number)
    // half and half, one more or less
    expect(Math.abs(consumed[0]! - consumed[1]!)).toBeLessThanOrEqual(1)
    expect(consumed[0]! + consumed[1]!).toBeGreaterThanOrEqual(result['steps'] as number)
  })

  test.each([
    ['a model that is there', [], 'FIRN_MODEL_EXISTS', '--since'],
    ['nothing to resume', ['--resume'], 'FIRN_CHECKPOINT_NOT_FOUND', '--since'],
    ['a setting that a checkpoint has', ['--resume', '--seed', '4'], 'FIRN_USAGE', 'leave them out'],
    ['a snapshot that is not there', ['--since', 'sunday'], 'FIRN_USAGE', 'train/monday'],
    ['a name that another run has', ['--since', 'train/monday', '--run', 'monday'], 'FIRN_USAGE', '--run'],
  ])('refuses %s', async (_what, flags, code, help) => {
    const outcome = await home.firn(['train', TABLE, '--model', home.path('model'), '--backend', 'cpu', ...flags])
    expect(outcome.code).toBe(2)
    expect(complaint(outcome)).toMatchObject({ code, help: expect.stringContaining(help) })
  })

  test.each([
    ['a column that is not there', ['--title', 'headline'], 'FIRN_COLUMN_NOT_FOUND'],
    ['a column that is no text', ['--content', 'article_id', '--key', 'nothing'], 'FIRN_COLUMN_NOT_FOUND'],
    ['a rate that is none', ['--learning-rate', 'fast'], 'FIRN_USAGE'],
    ['one column for articles and titles', ['--title', 'content'], 'FIRN_USAGE'],
  ])('refuses %s, and leaves nothing', async (_what, flags, code) => {
    const outcome = await home.firn(['train', TABLE, '--model', home.path('other'), ...QUICK, ...flags])
    expect(outcome.code).toBe(2)
    expect(complaint(outcome).code).toBe(code)
    expect(home.files().filter((file) => file.startsWith('other/'))).toEqual([])
  })

  test('says what to install for a backend that is not there', async () => {
    const args = ['train', TABLE, '--model', home.path('other'), '--backend', 'tensorflow']
    const outcome = await home.spawn(args)
    expect(outcome.code).toBe(2)
    expect(complaint(outcome)).toMatchObject({
      code: 'FIRN_BACKEND_MISSING',
      help: 'npm install @tensorflow/tfjs-node@^4.22.0',
    })
  })

  test('gives its result where the table cannot be tagged, and says that it is not', async () => {
    const own = makeHome()
    try {
      const { table } = await articlesTable(`file://${own.path('.firn/warehouse')}`, rows(40), { fileRows: 20 })
      // version 3 is read and not written
      const path = new URL(table.metadataLocation)
      const metadata = await readFile(path, 'utf8')
      const third = metadata.replace(/"format-version": *2/, '"format-version":3,"next-row-id":0')
      expect(third).not.toBe(metadata)
      await writeFile(path, third)
      const args = ['train', TABLE, '--model', own.path('model'), '--steps', '2', ...QUICK]
      const { code, stdout, stderr } = await own.firn([...args, '--output', 'json'])
      expect({ code, stderr }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('the snapshot has no tag train/'),
      })
      expect(JSON.parse(stdout)).toMatchObject({ steps: 2, tag: null, validation_rows: 4 })
    } finally {
      await own.remove()
    }
  })

  test('ends with the code of a signal, with a checkpoint that holds', async () => {
    const args = [
      'train',
      TABLE,
      '--model',
      home.path('cut'),
      '--run',
      'cut',
      '--steps',
      '100000',
      '--checkpoint-steps',
      '1',
      ...QUICK,
    ]
    const child = spawn(process.execPath, [BIN, ...args], { cwd: home.dir, env: bareEnvironment(home.dir) })
    const closed = once(child, 'close')
    child.stdout.resume()
    child.stderr.resume()
    // not by walking the folder, in which others come and go meanwhile
    const checkpoints = home.path('cut/checkpoints')
    const begun = (): boolean =>
      existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.startsWith('step-'))
    while (child.exitCode === null && !begun()) await new Promise((resolve) => setImmediate(resolve))
    child.kill('SIGTERM')
    expect(await closed).toEqual([143, null])
    expect(
      home.files().filter((file) => /^cut\/checkpoints\/step-\d+\/state\.json$/.test(file)).length,
    ).toBeGreaterThan(0)
    expect(home.files().filter((file) => /\.new/.test(file))).toEqual([])
    // what --resume will read is kept from expiry
    const refs = (await home.json(['inspect', 'refs', TABLE])) as unknown as Record<string, unknown>[]
    expect(refs.map((ref) => ref['name'])).toContain('train/cut')
  })
})

describe('firn summarize', () => {
  const [article] = generateArticles(1, TINY, 100)

  test('writes a title for the text on standard input, as text and as a document', async () => {
    const text = await summarize(article!.content)
    expect(text).toMatchObject({ code: 0, stdout: expect.stringMatching(/^.*\n$/) })
    const json = await summarize(article!.content, ['--output', 'jsonl'])
    expect(JSON.parse(json.stdout)).toEqual({ schema: 'firn.summarize/1', title: text.stdout.slice(0, -1) })
  })

  test('refuses no text, and a folder without a model', async () => {
    expect(complaint(await summarize(' \n')).code).toBe('FIRN_USAGE')
    const outcome = await summarize('text', ['--model', home.path('nowhere')])
    expect(outcome.code).toBe(2)
    expect(complaint(outcome).code).toBe('FIRN_MODEL_NOT_FOUND')
  })
})
