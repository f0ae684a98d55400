/** Runs as a process: what is recorded, what is told apart, and what the scheduler survives. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BIN, bareEnvironment, complaint, type Home, makeHome } from './cli-support.ts'

const line = (id: string): string => `${JSON.stringify({ article_id: id, content: 'two words' })}\n`
/** Nobody listens there. */
const NO_KINESIS = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test-secret',
  FIRN_KINESIS__ENDPOINT: 'http://127.0.0.1:1',
}

let home: Home
beforeAll(() => {
  home = makeHome()
})
afterAll(() => home.remove())

/** Oldest first: their keys begin with the time. */
const recordsOf = (job: string): { outcome: string; error?: { code: string } }[] =>
  home
    .files()
    .filter((file) => file.includes(`/_runs/${job}/`))
    .map((file) => JSON.parse(readFileSync(home.path(file), 'utf8')) as ReturnType<typeof recordsOf>[number])

test('a landing of several files that fails on one of them leaves its record, whatever the kind of error', async () => {
  const land = (...names: string[]): string[] => ['land', '--as', 'several', '--from', ...names.map(home.path)]
  writeFileSync(home.path('grows.ndjson'), line('a'))
  writeFileSync(home.path('changes.ndjson'), line('b'))
  await home.json(land('grows.ndjson', 'changes.ndjson'))
  writeFileSync(home.path('grows.ndjson'), line('a') + line('c'))
  writeFileSync(home.path('changes.ndjson'), line('another') + line('d'))
  const wrong = await home.firn(land('grows.ndjson', 'changes.ndjson'))
  expect([wrong.code, complaint(wrong).code]).toEqual([2, 'FIRN_FILE_CHANGED'])
  expect(recordsOf('land').map(({ outcome, error }) => [outcome, error?.code])).toEqual([
    ['ok', undefined],
    ['failed', 'FIRN_FILE_CHANGED'],
  ])
})

test('compact names the streams that it did not read, with the command that does, in text and JSON', async () => {
  writeFileSync(home.path('x.ndjson'), line('x'))
  writeFileSync(home.path('y.ndjson'), line('y'))
  const other = makeHome()
  try {
    await other.json(['land', '--from', home.path('x.ndjson'), '--as', 'first'])
    await other.json(['compact', 'news.articles'])
    await other.json(['land', '--from', home.path('y.ndjson'), '--as', 'backfill'])
    const command = 'firn compact news.articles --stream backfill'
    for (const more of [[], ['--dry-run']]) {
      const { stdout } = await other.firn(['compact', 'news.articles', ...more])
      expect(stdout).toContain('nothing to do: news.articles has everything of first that is in staging\n')
      expect(stdout).toContain(`to read it: ${command}\n`)
      expect(await other.json(['compact', 'news.articles', ...more])).toMatchObject({
        nothing_to_do: true,
        streams: ['first'],
        unread_streams: [{ stream: 'backfill', command }],
      })
    }
    expect(await other.json(command.split(' ').slice(1))).toMatchObject({ rows_added: 1 })
    expect((await other.firn(['compact', 'news.articles'])).stdout).toBe(
      'nothing to do: news.articles has everything of backfill, first that is in staging\n',
    )
  } finally {
    other.remove()
  }
})

test('compact --dataset of another definition than the table has is a warning that names the difference', async () => {
  const other = makeHome()
  try {
    writeFileSync(other.path('x.ndjson'), line('x'))
    const dataset = {
      name: 'small',
      key: 'article_id',
      fields: [
        { name: 'article_id', type: 'string', required: true },
        { name: 'word_count', type: 'int' },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
    }
    writeFileSync(other.path('small.json'), JSON.stringify(dataset))
    const file = ['--dataset', other.path('small.json')]
    await other.json(['land', '--from', other.path('x.ndjson')])
    expect((await other.firn(['compact', 'n.small', ...file])).stderr).not.toContain('warn')
    expect((await other.firn(['compact', 'n.small', ...file])).stderr, 'the same').toBe('')
    expect((await other.firn(['compact', 'n.small'])).stderr, 'none given').toBe('')
    dataset.fields.push({ name: 'views', type: 'long', required: false })
    writeFileSync(other.path('small.json'), JSON.stringify(dataset))
    const changed = await other.firn(['compact', 'n.small', ...file])
    expect(changed.code).toBe(0)
    expect(changed.stderr).toMatch(/^warn n\.small keeps the definition it was made with.*field views is new/)
  } finally {
    other.remove()
  }
})

test('verify --repair mends a stale version hint', async () => {
  const other = makeHome()
  try {
    writeFileSync(other.path('x.ndjson'), line('x'))
    await other.json(['land', '--from', other.path('x.ndjson')])
    await other.json(['compact', 'news.articles'])
    writeFileSync(other.path('.firn/warehouse/news/articles/metadata/version-hint.text'), '1')
    expect((await other.firn(['verify', 'news.articles'])).code).toBe(1)
    const { code, stdout } = await other.firn(['verify', 'news.articles', '--repair', '--yes'])
    expect([code, stdout]).toEqual([0, expect.stringContaining('repaired: version-hint-stale')])
    expect((await other.firn(['verify', 'news.articles'])).code).toBe(0)
  } finally {
    other.remove()
  }
})

describe('firn run', () => {
  test('--once ends with the gravest of its failures and explains every one', async () => {
    const other = makeHome()
    try {
      writeFileSync(other.path('bad.ndjson'), 'not json\n')
      await other.json(['land', '--from', other.path('bad.ndjson'), '--as', 'bad'])
      const run = { land: { streams: ['MyStream'] }, compact: { tables: [{ table: 'news.bad', streams: ['bad'] }] } }
      writeFileSync(other.path('firn.config.json'), JSON.stringify({ run }))
      // the stream cannot be reached (3), and then all records of the table's run are bad (1)
      const { code, stderr } = await other.spawn(['run', '--once'], NO_KINESIS)
      expect(code, stderr).toBe(1)
      expect(stderr.match(/^code: .*$/gm)).toEqual(['code: FIRN_STREAM_UNAVAILABLE', 'code: FIRN_TOO_MANY_BAD_RECORDS'])
      expect(stderr.match(/^help: /gm)).toHaveLength(2)
    } finally {
      other.remove()
    }
  })

  test('goes on when Kinesis is down as it first comes up', async () => {
    const child = spawn(process.execPath, [BIN, 'run', '--stream', 'MyStream', '--table', 'news.articles'], {
      cwd: home.dir,
      env: { ...bareEnvironment(home.dir), ...NO_KINESIS },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        output += String(text)
        // the last of their first runs: both wait for their next
        if (output.includes('compact news.articles: failed')) child.kill('SIGTERM')
      })
    }
    const [code] = (await once(child, 'close')) as [number]
    expect(code, output).toBe(0)
    expect(output.match(/scheduled/g)).toHaveLength(2)
    expect(output).toContain('land MyStream: failed')
  })
})

describe('a store that does not answer', () => {
  let hung: Server
  const connections = new Set<{ destroy(): void }>()
  let endpoint: string
  let asked: Promise<void>
  beforeAll(async () => {
    hung = createServer((socket) => {
      connections.add(socket)
      socket.on('error', () => {})
    })
    hung.listen(0, '127.0.0.1')
    await once(hung, 'listening')
    endpoint = `http://127.0.0.1:${(hung.address() as { port: number }).port}`
  })
  afterAll(() => {
    for (const socket of connections) socket.destroy()
    hung.close()
  })

  /** Runs until the store has been asked something, then sends SIGTERM. */
  async function interrupted(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    asked = once(hung, 'connection').then(() => {})
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: home.dir,
      env: {
        ...bareEnvironment(home.dir),
        ...NO_KINESIS,
        FIRN_S3__ENDPOINT: endpoint,
        FIRN_WAREHOUSE: 's3://lake/w',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text: Buffer) => (stdout += String(text)))
    child.stderr.on('data', (text: Buffer) => (stderr += String(text)))
    await asked
    child.kill('SIGTERM')
    const [code] = (await once(child, 'close')) as [number]
    return { code, stdout, stderr }
  }

  test('an interrupted doctor says so, and blames nothing on the bucket', async () => {
    expect(await interrupted(['doctor'])).toEqual({ code: 143, stdout: '', stderr: 'interrupted\n' })
  })

  test('an interrupted landing gives up on its record', async () => {
    writeFileSync(home.path('z.ndjson'), line('z'))
    const { code, stdout, stderr } = await interrupted(['land', '--from', home.path('z.ndjson')])
    expect({ code, stdout }).toEqual({ code: 143, stdout: '' })
    expect(stderr).toMatch(/^warn the run record was not written .*\ninterrupted\n$/)
  })
})
