/** Options from the environment: what `--help` promises for every option of every command. */
import { writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createContext } from '../../jobs/context.ts'
import { buildProgram } from '../../jobs/main.ts'
import { isFlagOnly, variableOf } from '../../jobs/option-variables.ts'
import { complaint, type Home, makeHome, withVariables } from './cli-support.ts'

/** A value for each option that takes one, and how it is written on the command line when that differs. */
const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  'allow-young': ['no writer runs'],
  'article-tokens': ['64'],
  'as-of': ['2026-01-31T12:00:00Z'],
  as: ['backfill'],
  backend: ['cpu'],
  'batch-size': ['8'],
  branch: ['side'],
  'changes from': ['12'],
  'checkpoint-steps': ['7'],
  columns: ['article_id,title'],
  'compact-cron': ['1 * * * *'],
  'compare-rows': ['all'],
  content: ['body'],
  dataset: ['articles'],
  'delete-file-threshold': ['2'],
  'delete-ratio-threshold': ['0.5'],
  diff: ['12'],
  'drop-file': ['s3://b/t/data/a.parquet'],
  'encoder-layers': ['2'],
  enrichment: ['enrich.mjs'],
  epochs: ['2'],
  executor: ['processes'],
  'fast-forward': ['main'],
  for: ['duckdb'],
  'from-snapshot': ['12'],
  from: ['a.ndjson', 'b.ndjson'],
  grace: ['5m'],
  key: ['author'],
  'land-cron': ['2 * * * *'],
  'lead-words': ['9'],
  'learning-rate': ['0.01'],
  'lease-ttl': ['30s'],
  limit: ['3'],
  listen: ['127.0.0.1:9464'],
  'maintain-cron': ['3 * * * *'],
  'max-age': ['7d'],
  'max-bad-ratio': ['0.5'],
  'max-bytes': ['512MiB'],
  'max-commits': ['2'],
  'max-duration': ['10m'],
  'max-file-size': ['2MiB'],
  'max-files': ['3'],
  'max-group-size': ['1GiB'],
  'max-groups': ['4'],
  'max-records': ['1000'],
  'max-snapshot-age': ['7d'],
  'memory-limit': ['2GiB'],
  'min-file-size': ['1MiB'],
  'min-input-files': ['2'],
  'min-snapshots': ['3'],
  model: ['/tmp/model'],
  object: ['5f3a9c01d2e4b677-0'],
  'older-than': ['9d'],
  reason: ['schema.type'],
  ref: ['main'],
  replay: ['0.5'],
  'retain-last': ['4'],
  rows: ['2'],
  run: ['monday'],
  seed: ['7'],
  'shard-concurrency': ['16'],
  since: ['train/monday'],
  snapshot: ['12'],
  'sort-by': ['author desc'],
  'spill-folder': ['/tmp'],
  start: ['LATEST'],
  steps: ['100'],
  strategy: ['sort'],
  stream: ['A'],
  table: ['news.articles'],
  'target-file-size': ['128MiB'],
  'target-size': ['8MiB'],
  tasks: ['4'],
  'title-tokens': ['9'],
  title: ['headline'],
  to: ['main'],
  'validation-rows': ['99'],
  validation: ['10'],
  vocabulary: ['500'],
  where: ['word_count > 1'],
  width: ['32'],
  workers: ['2'],
}

/** The options of the command that `words` run, from flags and variables; nothing else happens. */
async function optionsOf(words: readonly string[], flags: readonly string[] = []): Promise<Record<string, unknown>> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const handle = createContext({ signal: new AbortController().signal, stdout, stderr })
  const program = buildProgram(handle, { env: process.env, cwd: '/nowhere', stdout, stderr })
  let found: Command = program
  for (const word of words) found = found.commands.find((command) => command.name() === word) ?? found
  let seen: Record<string, unknown> = {}
  found.action(() => {
    seen = { ...found.opts() }
  })
  await program.parseAsync([...words, ...flags, '--output', 'json'], { from: 'user' })
  return seen
}

/** What commands do not run without. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  delete: ['--where', 'word_count > 2'],
  export: ['--for', 'duckdb'],
  rollback: ['--to', '12'],
  summarize: ['--model', 'm'],
  train: ['--model', 'm'],
}

const leaves = (command: Command, words: readonly string[] = []): [string[], Command][] =>
  command.commands.flatMap((child) => {
    const path = [...words, child.name()]
    return child.commands.length > 0 ? leaves(child, path) : [[path, child] as [string[], Command]]
  })

const [out, err] = [new PassThrough(), new PassThrough()]
const tree = buildProgram(createContext({ signal: new AbortController().signal, stdout: out, stderr: err }), {
  env: {},
  cwd: '/nowhere',
  stdout: out,
  stderr: err,
})
/** `[words, option name, arguments that the command needs]` of every option of every command. */
const every = leaves(tree).flatMap(([words, command]) =>
  command.options.map((option) => ({
    label: `${words.join(' ')} ${option.long}`,
    words: [...words, ...command.registeredArguments.map(() => 'a.b')],
    option,
    bound: !isFlagOnly(command, option),
  })),
)

test('the walk finds the commands and their options', () => {
  expect(every.length).toBeGreaterThan(40)
  expect(every.map(({ label }) => label)).toEqual(
    expect.arrayContaining(['land --dry-run', 'inspect files --as-of', 'export --for', 'run --compact-cron']),
  )
})

test.each(every.filter(({ bound }) => bound))(
  '$label: its variable alone says what the flag says',
  async ({ words, option }) => {
    const takesValue = option.required || option.optional
    const samples = takesValue ? (SAMPLES[`${words[0]} ${option.name()}`] ?? SAMPLES[option.name()]) : []
    expect(samples, `a sample for --${option.name()}`).toBeDefined()
    // the command may not run without it
    const needed = option.mandatory ? [] : (NEEDED[words[0]!] ?? [])
    const byFlag = await optionsOf(words, [...needed, option.long!, ...samples!])
    const variable = { [variableOf(option)]: takesValue ? samples!.join(',') : '1' }
    const byVariable = await withVariables(variable, () => optionsOf(words, needed))
    expect(byVariable).toEqual(byFlag)
    if (option.mandatory) await expect(optionsOf(words, needed)).rejects.toThrow(option.long!)
    else expect(byVariable).not.toEqual(await optionsOf(words, needed))
  },
)

test.each([
  'branch --delete',
  'delete --where',
  'expire --older-than',
  'expire --retain-last',
  'expire --snapshot',
  'expire --clean-metadata',
  'orphans --older-than',
  'orphans --allow-young',
  'orphans --force',
  'rollback --to',
  'rollback --reprocess',
  'tag --delete',
  'verify --drop-file',
])('%s: what is to go has no variable', async (label) => {
  const { words, option } = every.find((each) => each.label === label)!
  const value = option.required ? SAMPLES[option.name()]!.join(',') : '1'
  const needed = option.mandatory ? [] : (NEEDED[words[0]!] ?? [])
  const seen = withVariables({ [variableOf(option)]: value }, () => optionsOf(words, needed))
  if (option.mandatory) await expect(seen).rejects.toThrow(option.long!)
  // a variable that no command has is refused as misspelt
  else await seen.then((options) => expect(options[option.attributeName()] ?? false).toBe(false)).catch(isUnknown)
  const command = tree.commands.find((each) => each.name() === words[0])!
  const line = command
    .helpInformation()
    .split('\n')
    .find((each) => each.includes(`${option.long}`))
  expect(line).not.toContain('FIRN_')
  expect(option.envVar).toBeUndefined()
})

const isUnknown = (error: unknown): void => {
  if (!String(error).includes('unknown variable')) throw error
}

describe('lists', () => {
  test.each(['compact', 'run'])('%s --stream: commas and repetition mean the same, as in FIRN_STREAM', async (name) => {
    const words = name === 'run' ? [name] : [name, 'news.articles']
    const expected = { stream: ['A', 'B', 'C'] }
    expect(await optionsOf(words, ['--stream', 'A,B', '--stream', 'C'])).toMatchObject(expected)
    const byVariable = await withVariables({ FIRN_STREAM: 'A, B,C' }, () => optionsOf(words))
    expect(byVariable).toMatchObject(expected)
  })

  test('a flag replaces the list of the variable, it does not add to it', async () => {
    const both = await withVariables({ FIRN_STREAM: 'A,B' }, () => optionsOf(['run'], ['--stream', 'C']))
    expect(both).toMatchObject({ stream: ['C'] })
  })

  test('no name at all is refused: it would mean the default', async () => {
    await expect(optionsOf(['compact', 'a.b'], ['--stream', ''])).rejects.toThrow(/Expected a name/)
    const empty = withVariables({ FIRN_STREAM: ', ,' }, () => optionsOf(['compact', 'a.b']))
    await expect(empty).rejects.toThrow(/FIRN_STREAM is ", ,". Expected a name/)
  })

  test.each([
    [{ FIRN_STREAM: 'Short', FIRN_RUN__LAND__STREAMS: 'A,B' }, 'stream'],
    [{ FIRN_START: 'LATEST', FIRN_RUN__LAND__START: 'TRIM_HORIZON' }, 'start'],
    [{ FIRN_TABLE: 'a.b', FIRN_RUN__COMPACT__TABLES: '[{"table":"n.t"}]' }, 'table'],
  ])('the variable of the scheduler itself beats the short one: %j', async (env, option) => {
    expect((await withVariables(env, () => optionsOf(['run'])))[option]).toBeUndefined()
  })
})

describe('what a variable does', () => {
  const line = (id: string): string => `${JSON.stringify({ article_id: id, content: 'two words' })}\n`
  let home: Home
  beforeAll(async () => {
    home = makeHome()
    writeFileSync(home.path('a.ndjson'), ['a', 'b', 'c'].map(line).join(''))
    writeFileSync(home.path('b.ndjson'), line('d'))
    await home.json(['land', '--from', home.path('a.ndjson')])
    await home.json(['compact', 'news.articles'])
  })
  afterAll(() => home.remove())

  test.each([
    ['init', ['init', 'news.other', '--dataset', 'articles'], 'would create'],
    ['land', ['land', '--from', 'more.ndjson'], 'dry run: nothing was stored'],
    ['compact', ['compact', 'news.articles'], 'dry run'],
    ['tag', ['tag', 'news.articles', 'first'], 'would tag'],
    ['run', ['run', '--once', '--stream', 'S', '--table', 'news.articles'], '*/5 * * * *'],
  ])('FIRN_DRY_RUN=1 firn %s changes nothing', async (_name, args, said) => {
    writeFileSync(home.path('more.ndjson'), line('x'))
    const before = home.files()
    expect(await home.spawn(args, { FIRN_DRY_RUN: '1' })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(said),
    })
    expect(home.files()).toEqual(before)
  })

  test('FIRN_DRY_RUN=0 is no, and what is neither yes nor no is refused before anything is written', async () => {
    const args = ['land', '--from', home.path('b.ndjson')]
    const before = home.files()
    const unclear = await home.firn(args, { FIRN_DRY_RUN: 'y' })
    expect([unclear.code, complaint(unclear).code]).toEqual([2, 'FIRN_CONFIG_INVALID'])
    expect(complaint(unclear).error).toBe('FIRN_DRY_RUN is "y", neither yes nor no')
    expect(home.files()).toEqual(before)
    expect((await home.firn(args, { FIRN_DRY_RUN: '0' })).stdout).toContain('landed 1 record')
  })

  test('FIRN_LIMIT limits, FIRN_WHERE filters, FIRN_COLUMNS projects, and a flag beats each', async () => {
    const scan = ['scan', 'news.articles', '--output', 'jsonl']
    expect((await home.firn(scan, { FIRN_LIMIT: '1' })).stdout.match(/\n/g)).toHaveLength(1)
    expect((await home.firn([...scan, '--limit', '2'], { FIRN_LIMIT: '1' })).stdout.match(/\n/g)).toHaveLength(2)
    const one = await home.firn(scan, { FIRN_WHERE: "article_id = 'b'", FIRN_COLUMNS: 'article_id' })
    expect(one.stdout).toBe('{"article_id":"b"}\n')
  })

  test('a variable that cannot be parsed is named, with its value and what is expected', async () => {
    const outcome = await home.firn(['scan', 'news.articles'], { FIRN_LIMIT: 'many' })
    expect([outcome.code, complaint(outcome)]).toEqual([
      2,
      {
        error: 'FIRN_LIMIT is "many". Expected a whole number, 0 or more.',
        help: 'correct or unset FIRN_LIMIT, or give --limit',
        code: 'FIRN_CONFIG_INVALID',
      },
    ])
    expect((await home.firn(['inspect', 'refs', 'news.articles'], { FIRN_LIMIT: 'many' })).code, 'not asked').toBe(0)
  })

  test('FIRN_FOR is enough for a mandatory option', async () => {
    const { code, stdout } = await home.firn(['export', 'news.articles'], { FIRN_FOR: 'duckdb' })
    expect([code, stdout.slice(0, 9)]).toEqual([0, '-- DuckDB'])
  })

  test('FIRN_STREAM chooses what compact reads', async () => {
    const outcome = await home.firn(['compact', 'news.articles'], { FIRN_STREAM: 'Nope' })
    expect([outcome.code, complaint(outcome).code]).toEqual([2, 'FIRN_STREAM_NOT_STAGED'])
  })

  test('FIRN_FROM lands every file of its list', async () => {
    const list = `${home.path('a.ndjson')},${home.path('b.ndjson')}`
    const { stdout } = await home.firn(['land', '--output', 'json'], { FIRN_FROM: list, FIRN_AS: 'listed' })
    expect(JSON.parse(stdout)).toMatchObject({ stream: 'listed', records: 4 })
  })

  test('FIRN_VERSION, which deployments use for their own ends, is not --version', async () => {
    const outcome = await home.firn(['inspect', 'refs', 'news.articles'], { FIRN_VERSION: '1.2.3' })
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringContaining('main') })
  })
})

describe('variables that Kubernetes makes for a service called firn', () => {
  const link = {
    FIRN_SERVICE_HOST: '10.0.0.7',
    FIRN_SERVICE_PORT: '80',
    FIRN_SERVICE_PORT_HTTP: '80',
    FIRN_PORT: 'tcp://10.0.0.7:80',
    FIRN_PORT_80_TCP: 'tcp://10.0.0.7:80',
    FIRN_PORT_80_TCP_PROTO: 'tcp',
    FIRN_PORT_80_TCP_PORT: '80',
    FIRN_PORT_80_TCP_ADDR: '10.0.0.7',
    FIRN_METRICS_SERVICE_HOST: '10.0.0.8',
    FIRN_METRICS_PORT_9090_UDP_ADDR: '10.0.0.8',
  }
  let home: Home
  beforeAll(() => {
    home = makeHome()
  })
  afterAll(() => home.remove())

  test('are none of ours', async () => {
    const { code, stderr } = await home.firn(['run', '--dry-run', '--stream', 'S'], link)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test.each(['FIRN_STREAMS', 'FIRN_PORTS', 'FIRN_DRYRUN', 'FIRN_SERVICE', 'FIRN_S3_ENDPOINT'])(
    '%s is still refused as misspelt',
    async (name) => {
      const outcome = await home.firn(['run', '--dry-run', '--stream', 'S'], { ...link, [name]: 'x' })
      expect([outcome.code, complaint(outcome).error]).toEqual([2, `unknown variable ${name} in the environment`])
    },
  )

  test.each([
    ['FIRN_MAX_RECRODS', 'did you mean FIRN_MAX_RECORDS'],
    ['FIRN_S3_ENDPOINT', 'did you mean FIRN_S3__ENDPOINT'],
    ['FIRN_ACCEPT_GAP', '--accept-gap is given by its flag only'],
    ['FIRN_NOTHING_LIKE_IT', 'unset FIRN_NOTHING_LIKE_IT; firn <command> --help'],
  ])('%s: %s', async (name, hint) => {
    const outcome = await home.firn(['run', '--dry-run', '--stream', 'S'], { [name]: '1' })
    expect(outcome.code).toBe(2)
    expect(outcome.stderr).toContain(`help: ${hint.startsWith('--') ? `unset ${name}: ` : ''}${hint}`)
  })
})
