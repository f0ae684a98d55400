/** The command line over a warehouse in a folder: results, formats, exit codes, and errors that leave nothing behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { tableFromIPC } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BIN, bareEnvironment, complaint, type Home, makeHome, run } from './cli-support.ts'

const article = (id: string, words: number, date: string | null): string =>
  `${JSON.stringify({ article_id: id, title: `"T", ${id}`, publish_date: date, content: 'w '.repeat(words).trim() })}\n`

let home: Home
let firstSnapshot: string
beforeAll(async () => {
  home = makeHome()
  writeFileSync(
    home.path('first.ndjson'),
    article('a', 4, '2026-01-31T12:00:00.123456Z') + article('b', 2, '2026-02-01T00:00:00Z') + article('c', 6, null),
  )
  await home.json(['land', '--from', home.path('first.ndjson')])
  firstSnapshot = String((await home.json(['compact', 'news.articles']))['snapshot_id'])
})
afterAll(() => home.remove())

describe('results', () => {
  test('land and compact with nothing new: exit 0, "nothing to do", no snapshot', async () => {
    const land = await home.firn(['land', '--from', home.path('first.ndjson')])
    expect(land).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
    const compact = await home.spawn(['compact', 'news.articles'])
    expect(compact).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
    expect(await home.json(['inspect', 'snapshots', 'news.articles'])).toHaveLength(1)
  })

  test('land prints the documented JSON', async () => {
    expect(await home.json(['land', '--from', home.path('first.ndjson')])).toMatchObject({
      stream: 'files',
      records: 0,
      bytes: 0,
      chunks: 0,
      shards: [
        {
          shard_id: expect.any(String),
          records: 0,
          last_sequence_number: '3',
          millis_behind_latest: null,
          ended: false,
        },
      ],
    })
  })

  test('a dry run of land counts and stores nothing', async () => {
    const before = home.files()
    writeFileSync(home.path('dry.ndjson'), article('z', 1, null))
    expect(await home.json(['land', '--from', home.path('dry.ndjson'), '--dry-run'])).toMatchObject({
      records: 1,
      dry_run: true,
    })
    expect(home.files().filter((file) => file !== 'dry.ndjson')).toEqual(before)
  })

  test('averages, sample, tag, ref and time travel agree with each other', async () => {
    expect(await home.json(['averages', 'news.articles'])).toMatchObject({
      articles: 3,
      average_word_count: 4,
      daily: [
        { day: '2026-01-31', average_word_count: 4, articles: 1 },
        { day: '2026-02-01', average_word_count: 2, articles: 1 },
      ],
    })
    await home.json(['tag', 'news.articles', 'first'])
    writeFileSync(home.path('second.ndjson'), article('d', 8, '2026-02-02T00:00:00Z'))
    await home.json(['land', '--from', home.path('second.ndjson')])
    await home.json(['compact', 'news.articles'])
    const ids = async (...selector: string[]): Promise<unknown[]> => {
      const rows = (await home.json(['scan', 'news.articles', '--columns', 'article_id', ...selector])) as unknown
      return (rows as { article_id: string }[]).map((row) => row.article_id).sort()
    }
    expect(await ids()).toEqual(['a', 'b', 'c', 'd'])
    for (const selector of [
      ['--snapshot', firstSnapshot],
      ['--ref', 'first'],
    ]) {
      expect(await ids(...selector)).toEqual(['a', 'b', 'c'])
    }
    const [first] = (await home.json(['inspect', 'snapshots', 'news.articles'])) as unknown as {
      committed_at: string
    }[]
    expect(await ids('--as-of', first!.committed_at)).toEqual(['a', 'b', 'c'])
    expect(await ids('--where', "word_count >= 6 and article_id != 'd'")).toEqual(['c'])
    expect(await home.json(['sample', 'news.articles', '-n', '2', '--snapshot', firstSnapshot])).toHaveLength(2)
  })

  test('every metadata table prints rows with ids as strings', async () => {
    for (const name of ['snapshots', 'history', 'files', 'entries', 'partitions', 'manifests', 'refs']) {
      const rows = (await home.json(['inspect', name, 'news.articles'])) as unknown as Record<string, unknown>[]
      expect(rows.length, name).toBeGreaterThan(0)
      const id = rows[0]!['snapshot_id'] ?? rows[0]!['added_snapshot_id'] ?? rows[0]!['last_updated_snapshot_id']
      if (name !== 'files') expect(id, name).toMatch(/^\d+$/)
    }
    expect(await home.json(['inspect', 'manifest', 'news.articles', '--snapshot', firstSnapshot])).toMatchObject({
      schema: 'firn.manifest/1',
      snapshot_id: firstSnapshot,
    })
  })

  test('reading commands also take the URL of the folder, or of one metadata file, which pins it', async () => {
    const location = pathToFileURL(join(home.dir, '.firn/warehouse/news/articles')).href
    const elsewhere = ['--warehouse', 'file:///nowhere/at/all']
    const [now] = (await home.json(['inspect', 'history', location, ...elsewhere])) as unknown as {
      snapshot_id: string
    }[]
    expect(now?.snapshot_id).toBe(firstSnapshot)
    const pinned = `${location}/metadata/v2.metadata.json`
    expect(await home.json(['averages', pinned, ...elsewhere])).toMatchObject({ articles: 3 })
  })

  test('export names the current metadata file', async () => {
    for (const engine of ['duckdb', 'pyiceberg', 'spark']) {
      const { metadata_location, snippet } = await home.json(['export', 'news.articles', '--for', engine])
      expect(metadata_location).toMatch(/^file:\/\/.*\/news\/articles\/metadata\/v\d+\.metadata\.json$/)
      expect(snippet).toContain(String(metadata_location).split('/').at(-1))
    }
  })

  test('doctor counts one table as one', async () => {
    const { stdout } = await home.firn(['doctor', '--table', 'news.articles'])
    expect(stdout).toMatch(/catalog: readable, 1 table: news\.articles\n/)
  })

  test('each run left its record, and only runs did', async () => {
    const runs = home.files().filter((file) => file.includes('/_runs/'))
    const records = runs.map((file) => JSON.parse(readFileSync(join(home.dir, file), 'utf8')) as { outcome: string })
    expect(records.length).toBeGreaterThanOrEqual(6)
    expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['ok', 'nothing-to-do']))
  })
})

describe('formats', () => {
  const scan = ['scan', 'news.articles', '--columns', 'article_id,title,publish_date', '--limit', '1']
  const limited = (): string[] => [...scan, '--where', "article_id = 'a'", '--snapshot', firstSnapshot]

  test('jsonl keeps microseconds', async () => {
    const { stdout } = await home.firn([...limited(), '--output', 'jsonl'])
    expect(stdout).toBe('{"article_id":"a","title":"\\"T\\", a","publish_date":"2026-01-31T12:00:00.123456Z"}\n')
  })

  test('csv quotes', async () => {
    const { stdout } = await home.firn([...limited(), '--output', 'csv'])
    expect(stdout).toBe('article_id,title,publish_date\na,"""T"", a",2026-01-31T12:00:00.123456Z\n')
  })

  test('arrow is a stream that arrow reads', async () => {
    const child = spawn(process.execPath, [BIN, ...limited(), '--output', 'arrow'], {
      cwd: home.dir,
      env: bareEnvironment(home.dir),
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(child, 'close')
    const table = tableFromIPC(Buffer.concat(chunks))
    expect(table.schema.fields.map(({ name }) => name)).toEqual(['article_id', 'title', 'publish_date'])
    expect(table.getChild('article_id')?.toArray()).toEqual(['a'])
  })

  test('options work before and after the command, and from the environment', async () => {
    const before = await home.firn(['--output', 'csv', ...limited()])
    const fromEnvironment = await home.spawn(limited(), { FIRN_OUTPUT: 'csv' })
    expect(before.stdout).toContain('article_id,title')
    expect(fromEnvironment.stdout).toBe(before.stdout)
    const both = await home.spawn(limited(), { FIRN_OUTPUT: 'csv', FIRN_LIMIT: '0', FIRN_REF: 'main' })
    expect(both.stdout, '--limit beats FIRN_LIMIT, --snapshot silences FIRN_REF').toBe(before.stdout)
  })

  test('the result is all that standard output has, even with -v', async () => {
    const { stdout, stderr } = await home.firn(['-v', 'land', '--from', home.path('first.ndjson'), '--output', 'json'])
    expect(() => JSON.parse(stdout)).not.toThrow()
    expect(stderr).toContain('debug')
  })

  test('a reader that stops early is no error', async () => {
    const child = spawn(process.execPath, [BIN, 'scan', 'news.articles', '--output', 'jsonl'], {
      cwd: home.dir,
      env: bareEnvironment(home.dir),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (text: Buffer) => {
      stderr += String(text)
    })
    const [code] = (await once(child, 'close')) as [number]
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('wrong requests end with 2, say what to do and change nothing', () => {
  const cases: readonly (readonly [string, string[], string, string])[] = [
    ['unknown table', ['scan', 'news.nothing'], 'FIRN_TABLE_NOT_FOUND', 'news.nothing'],
    ['bad table name', ['scan', 'news'], 'FIRN_TABLE_NAME_INVALID', 'news'],
    ['bad warehouse URL', ['scan', 'a.b', '--warehouse', 'http://x/y'], 'FIRN_BAD_WAREHOUSE_URL', 'http'],
    ['no URL at all', ['land', '--from', 'first.ndjson', '--warehouse', 'lake'], 'FIRN_BAD_WAREHOUSE_URL', 'lake'],
    ['unknown snapshot', ['scan', 'news.articles', '--snapshot', '12'], 'FIRN_SNAPSHOT_NOT_FOUND', '12'],
    ['snapshot that is no id', ['scan', 'news.articles', '--snapshot', 'latest'], 'FIRN_USAGE', 'latest'],
    ['snapshot beyond 64 bit', ['scan', 'news.articles', '--snapshot', '9223372036854775808'], 'FIRN_USAGE', '2^63'],
    ['two selectors', ['scan', 'news.articles', '--snapshot', '1', '--ref', 'main'], 'FIRN_USAGE', '--ref'],
    ['unknown ref', ['scan', 'news.articles', '--ref', 'nope'], 'FIRN_REF_NOT_FOUND', 'nope'],
    ['time before the table', ['scan', 'news.articles', '--as-of', '2020-01-01'], 'FIRN_SNAPSHOT_NOT_FOUND', '2020'],
    ['no time', ['scan', 'news.articles', '--as-of', 'yesterday'], 'FIRN_USAGE', 'yesterday'],
    ['bad filter', ['scan', 'news.articles', '--where', 'word_count >'], 'FIRN_WHERE_INVALID', 'word_count'],
    ['unknown column', ['scan', 'news.articles', '--columns', 'nope'], 'FIRN_COLUMN_NOT_FOUND', 'nope'],
    ['file missing', ['land', '--from', 'absent.ndjson'], 'FIRN_FILE_NOT_FOUND', 'absent.ndjson'],
    ['stream and files', ['land', '--stream', 'S', '--from', 'first.ndjson'], 'FIRN_USAGE', '--from'],
    ['neither', ['land'], 'FIRN_USAGE', 'what to read'],
    ['bad start', ['land', '--stream', 'S', '--start', 'noon'], 'FIRN_USAGE', 'noon'],
    ['unknown dataset', ['init', 'a.b', '--dataset', 'nope'], 'FIRN_DATASET_NOT_FOUND', 'nope'],
    ['table exists', ['init', 'news.articles', '--dataset', 'articles'], 'FIRN_TABLE_EXISTS', 'news.articles'],
    ['unknown engine', ['export', 'news.articles', '--for', 'presto'], 'FIRN_ENGINE_UNKNOWN', 'presto'],
    ['nothing configured', ['run', '--once'], 'FIRN_NOTHING_CONFIGURED', 'nothing to do'],
    ['unknown option', ['scan', 'news.articles', '--colums', 'x'], 'FIRN_USAGE', '--colums'],
    ['unknown command', ['scam', 'news.articles'], 'FIRN_USAGE', 'scam'],
    ['missing argument', ['scan'], 'FIRN_USAGE', 'table'],
    ['csv of a document', ['land', '--from', 'first.ndjson', '--output', 'xml'], 'FIRN_USAGE', 'xml'],
    ['stream not staged', ['compact', 'news.other', '--stream', 'Nope'], 'FIRN_STREAM_NOT_STAGED', 'Nope'],
  ]

  test.each(cases)('%s', async (_name, args, code, mentioned) => {
    const before = home.files()
    const outcome = await home.firn(args)
    const said = complaint(outcome)
    expect({ exit: outcome.code, code: said.code, stdout: outcome.stdout }).toEqual({ exit: 2, code, stdout: '' })
    expect(said.error).toContain(mentioned)
    expect(said.help, 'the next step').not.toBe('')
    expect(outcome.stderr, 'no stack without -v').not.toContain('    at ')
    expect(home.files()).toEqual(before)
  })

  test('a misspelt variable', async () => {
    const outcome = await home.spawn(['scan', 'news.articles'], { FIRN_WAREHOSE: 'file:///x' })
    expect([outcome.code, complaint(outcome).code]).toEqual([2, 'FIRN_CONFIG_INVALID'])
    expect(complaint(outcome).error).toContain('FIRN_WAREHOSE')
  })
})

describe('the process', () => {
  test('--help and --version answer on standard output', async () => {
    const help = await home.spawn(['--help'])
    expect(help.code).toBe(0)
    for (const name of [
      'init',
      'land',
      'compact',
      'inspect',
      'scan',
      'sample',
      'averages',
      'verify',
      'tag',
      'run',
      'doctor',
      'export',
    ]) {
      expect(help.stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
    }
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(await home.firn(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('without a command: the help on standard error, exit 2', async () => {
    const { code, stdout, stderr } = await home.spawn([])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Usage: firn')
  })

  test('--help loads neither the AWS SDK nor Arrow nor Parquet', async () => {
    const watch = `data:text/javascript,${encodeURIComponent(
      `import { registerHooks } from 'node:module'
       registerHooks({ load(url, context, next) {
         if (/node_modules.(@aws-sdk|apache-arrow|parquet-wasm)/.test(url)) process.stderr.write('loaded ' + url + '\\n')
         return next(url, context)
       } })`,
    )}`
    const { code, stderr } = await run(['--import', watch, BIN, '--help'], home.dir, bareEnvironment(home.dir))
    expect({ code, stderr: stderr.split('\n').slice(0, 3) }).toEqual({ code: 0, stderr: [''] })
  })

  test.each(['16.20.2', '20.20.2', '22.17.1'])('Node %s is refused in one line, exit 2', async (version) => {
    const outcome = await run(
      ['--input-type=module', '--eval', oldNodeScript(version)],
      home.dir,
      bareEnvironment(home.dir),
    )
    expect(outcome.code).toBe(2)
    expect(outcome.stderr).toMatch(new RegExp(`^error: firn needs Node >= 22\\.18, found ${version}[^\\n]*\\n$`))
  })
})

/** `bin.ts` as an old Node would meet it: compiled, and told that version. */
function oldNodeScript(version: string): string {
  const compiled = stripTypeScriptTypes(readFileSync(BIN, 'utf8').replace(/^#!.*/, ''))
  return `Object.defineProperty(process.versions, 'node', { value: '${version}' });\n${compiled}`
}
