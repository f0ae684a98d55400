import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig, loadEnvironment, redact } from '../../jobs/config.ts'
import { environmentName } from '../../jobs/variables.ts'
import { FirnError } from '../../table/errors.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'firn-config-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const file = (name: string, content: unknown): string => {
  const path = join(cwd, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
const failure = (action: () => unknown): FirnError => {
  try {
    action()
  } catch (error) {
    if (FirnError.is(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('precedence', () => {
  test('without anything the warehouse is .firn/warehouse of the current folder', () => {
    expect(loadConfig({ env: {}, cwd }).warehouse).toBe(pathToFileURL(join(cwd, '.firn/warehouse')).href)
  })

  test('a flag beats the environment, which beats the file, which beats the default', () => {
    file('firn.config.json', { warehouse: 'file:///from/file', maxBadRatio: 0.1, stream: 'FromFile' })
    const env = { FIRN_WAREHOUSE: 'file:///from/env', FIRN_STREAM: 'FromEnv' }
    const config = loadConfig({ flags: { warehouse: 'file:///from/flag', output: undefined }, env, cwd })
    expect(config).toMatchObject({
      warehouse: 'file:///from/flag',
      stream: 'FromEnv',
      maxBadRatio: 0.1,
      output: 'table',
    })
  })

  test('nested settings merge member by member', () => {
    file('firn.config.json', { run: { land: { cron: '* * * * *', streams: ['A'] }, compact: { cron: '9 * * * *' } } })
    const { run } = loadConfig({ env: { FIRN_RUN__LAND__STREAMS: 'B, C' }, cwd })
    expect(run.land).toEqual({ cron: '* * * * *', streams: ['B', 'C'], failOnDataLoss: false })
    expect(run.compact.cron).toBe('9 * * * *')
  })

  test('a zero in the environment is a value, not an absence', () => {
    expect(loadConfig({ env: { FIRN_MAX_BAD_RATIO: '0' }, cwd }).maxBadRatio).toBe(0)
  })

  test("the AWS SDK's variables give endpoint and region, and FIRN_ ones beat them", () => {
    const env = {
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
      AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:2',
      AWS_REGION: 'eu-west-1',
      FIRN_KINESIS__REGION: 'us-west-2',
    }
    const { s3, kinesis } = loadConfig({ env, cwd })
    expect(s3).toEqual({ endpoint: 'http://127.0.0.1:2', region: 'eu-west-1' })
    expect(kinesis).toEqual({ endpoint: 'http://127.0.0.1:1', region: 'us-west-2' })
  })
})

describe('credentials in an endpoint', () => {
  test.each([
    'FIRN_S3__ENDPOINT',
    'FIRN_KINESIS__ENDPOINT',
    'AWS_ENDPOINT_URL_S3',
    'AWS_ENDPOINT_URL_KINESIS',
    'AWS_ENDPOINT_URL',
  ])('are refused in %s, and not repeated', (name) => {
    for (const endpoint of ['http://user:s3cret@127.0.0.1:1', 'https://s3cret@host', ' http:s3cret:x@host/p']) {
      const error = failure(() => loadConfig({ env: { [name]: endpoint }, cwd }))
      expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_CONFIG_INVALID' })
      expect(error.message).toMatch(/(s3|kinesis)\.endpoint: must not hold credentials|must be a URL like/)
      expect(JSON.stringify([error.message, error.help, error.detail, String(error.stack)])).not.toContain('s3cret')
    }
  })

  test('are refused in the settings file, and a URL of another kind is no endpoint', () => {
    file('firn.config.json', { s3: { endpoint: 'http://user:s3cret@127.0.0.1:1' } })
    expect(failure(() => loadConfig({ env: {}, cwd })).message).toContain('s3.endpoint: must not hold credentials')
    expect(failure(() => loadConfig({ env: { FIRN_S3__ENDPOINT: 'user:s3cret@host:9' }, cwd })).message).toBe(
      'invalid configuration: s3.endpoint: must be a URL like https://host:port',
    )
  })

  test('an @ behind the host is none', () => {
    const env = { FIRN_S3__ENDPOINT: 'http://127.0.0.1:9/a@b?c=d@e' }
    expect(loadConfig({ env, cwd }).s3.endpoint).toBe(env.FIRN_S3__ENDPOINT)
  })
})

describe('the settings file', () => {
  test('--config and FIRN_CONFIG must exist, and the flag wins', () => {
    const path = file('other.json', { stream: 'Other' })
    expect(loadConfig({ env: { FIRN_CONFIG: '/nowhere' }, cwd, configFile: path }).stream).toBe('Other')
    expect(failure(() => loadConfig({ env: { FIRN_CONFIG: join(cwd, 'absent.json') }, cwd }))).toMatchObject({
      kind: 'invalid',
      code: 'FIRN_CONFIG_NOT_FOUND',
    })
  })

  test('an unknown key is refused with the keys that are allowed there', () => {
    file('firn.config.json', { warehouse: 'file:///w', run: { land: { crom: '* * * * *' } } })
    const error = failure(() => loadConfig({ env: {}, cwd }))
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_CONFIG_INVALID' })
    expect(error.message).toContain('unknown key run.land.crom; allowed here: cron, streams, start')
  })

  test('dotted keys, as other Iceberg tools write them, are nested ones', () => {
    file('firn.config.json', { 's3.endpoint': 'http://127.0.0.1:9', 's3.region': 'eu-north-1' })
    expect(loadConfig({ env: {}, cwd }).s3).toEqual({ endpoint: 'http://127.0.0.1:9', region: 'eu-north-1' })
  })

  test.each([
    ['not JSON', '{'],
    ['an array', '[]'],
    ['a wrong type', '{"maxBadRatio": "much"}'],
    ['a ratio above one', '{"maxBadRatio": 1.5}'],
  ])('%s is refused', (_name, content) => {
    file('firn.config.json', content)
    expect(failure(() => loadConfig({ env: {}, cwd })).code).toBe('FIRN_CONFIG_INVALID')
  })

  test('__proto__ in a file does not reach any prototype', () => {
    file('firn.config.json', '{"__proto__": {"polluted": true}}')
    expect(failure(() => loadConfig({ env: {}, cwd })).code).toBe('FIRN_CONFIG_INVALID')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

test('the configuration is frozen all the way down', () => {
  const config = loadConfig({ env: {}, cwd })
  expect(() => ((config.run.land as { cron: string }).cron = 'x')).toThrow(TypeError)
})

test('.env fills what the environment leaves open and never overrides it', () => {
  const names = ['FIRN_STREAM', 'FIRN_TABLE'] as const
  const before = names.map((name) => process.env[name])
  try {
    delete process.env['FIRN_TABLE']
    process.env['FIRN_STREAM'] = 'Real'
    file('.env', '# comment\nFIRN_STREAM=Dotted\nFIRN_TABLE="a.b"\n')
    const config = loadConfig({ env: loadEnvironment(cwd), cwd })
    expect(config).toMatchObject({ stream: 'Real', table: 'a.b' })
  } finally {
    for (const [at, name] of names.entries()) {
      if (before[at] === undefined) delete process.env[name]
      else process.env[name] = before[at]
    }
  }
})

test.each([
  ['warehouse', 'FIRN_WAREHOUSE'],
  ['maxBadRatio', 'FIRN_MAX_BAD_RATIO'],
  ['log-format', 'FIRN_LOG_FORMAT'],
  ['run.land.cron', 'FIRN_RUN__LAND__CRON'],
])('%s is read from %s', (path, name) => {
  expect(environmentName(path)).toBe(name)
})

test('secrets are redacted at any depth, by name and inside URLs', () => {
  const shown = redact({ a: [{ secretAccessKey: 'x' }], token: 'y', url: 'https://user:pw@host/p', keep: 'z' })
  expect(shown).toEqual({
    a: [{ secretAccessKey: '[redacted]' }],
    token: '[redacted]',
    url: 'https://[redacted]@host/p',
    keep: 'z',
  })
})

test.each([
  ['https://user:p@ss@host:1/p', 'https://[redacted]@host:1/p'],
  ['https://host/in?api_key=hunter2', 'https://host/in?[redacted]'],
  ['https://u:p@host?api_key=a?b#part', 'https://[redacted]@host?[redacted]#part'],
  ['https://user:hun/ter2@host/in', 'https://[redacted]@host/in'],
  ['https://host/a@b', 'https://host/a@b'],
  ['s3://bucket/a@b?c', 's3://bucket/a@b?c'],
  ['/var/lib/e.ndjson?x', '/var/lib/e.ndjson?x'],
])('%s is shown as %s', (text, shown) => {
  expect(redact({ lineage: text })).toEqual({ lineage: shown })
})
