/**
 * The containers without a container engine: the file is checked against a schema, and what our own services run is
 * run here, with the same environment, against a local Kinesis and a local S3.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { parse } from 'yaml'
import { type KinesisLocal, startKinesisLocal } from '../../jobs/demo/kinesis.ts'
import { type S3Server, startS3Server } from '../../jobs/demo/s3-server.ts'
import { systemClock } from '../../table/clock.ts'
import { bareEnvironment, type Home, makeHome, type Outcome, run } from './cli-support.ts'
import { composeSchema } from './compose-schema.ts'

interface Service {
  image: string
  build?: string
  command?: string[]
  entrypoint?: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  restart?: string
  volumes?: string[]
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, null>
}
const services = Object.entries(compose.services)
const dockerfile = read('Dockerfile')

describe('docker-compose.yml', () => {
  const validate = new Ajv({ strict: true, strictTuples: false, allErrors: true, allowUnionTypes: true }).compile(
    composeSchema,
  )

  test('has only what the schema knows', () => {
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true)
  })

  test.each([
    ['a misspelt key', { enviroment: {} }],
    ['a port that is open to the network', { ports: ['8333:8333'] }],
    ['a condition that does not exist', { depends_on: { s3: { condition: 'service_ready' } } }],
    [
      'a duration without a unit',
      { healthcheck: { test: ['CMD', 'x'], interval: 2, timeout: '1s', retries: 1, start_period: '1s' } },
    ],
  ])('the schema refuses %s', (_name, change) => {
    const { firn, ...others } = compose.services
    expect(validate({ ...compose, services: { ...others, firn: { ...firn, ...change } } })).toBe(false)
  })

  test.each(services)('%s: the image is pinned to a version, or built from this folder', (_name, { image, build }) => {
    if (build === undefined) expect(image).toMatch(/^[a-z0-9./-]+:\d+\.\d+(\.\d+)?$/)
    else expect([image, build]).toEqual(['firnlake:local', '.'])
  })

  test.each(services)('%s: has a health check, or ends by itself', (_name, { healthcheck, restart }) => {
    if (healthcheck === undefined) expect(restart).toMatch(/^on-failure/)
  })

  test.each(services)(
    '%s: waits for services that exist and can tell that they are ready',
    (_name, { depends_on = {} }) => {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe('service_healthy')
        expect(compose.services[other]?.healthcheck, other).toBeDefined()
      }
    },
  )

  test('every named volume is declared', () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]))
    expect(used.sort()).toEqual(Object.keys(compose.volumes).sort())
  })

  test('the credentials of the store and of its clients are the same', () => {
    const of = (name: string): unknown[] => {
      const env = compose.services[name]?.environment
      return [env?.['AWS_ACCESS_KEY_ID'], env?.['AWS_SECRET_ACCESS_KEY']]
    }
    expect(of('firn')).toEqual(of('s3'))
    expect(of('firn')[0]).toBeDefined()
  })
})

describe('Dockerfile', () => {
  const lines = dockerfile.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

  test('two stages of one pinned image; the last runs as a user without rights', () => {
    const from = lines.filter((line) => line.startsWith('FROM '))
    expect(from).toHaveLength(2)
    for (const line of from) expect(line).toMatch(/^FROM node:26\.\d+\.\d+-slim( AS build)?$/)
    const last = lines.slice(lines.lastIndexOf(from[1]!))
    expect(last.find((line) => line.startsWith('USER '))).toBe('USER node')
    expect(last.join('\n')).not.toMatch(/npm (ci|install)/)
  })

  test('what it copies is there, and let through by .dockerignore', () => {
    const ignore = read('.dockerignore')
    const copied = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(ignore).toMatch(/^\*$/m)
    for (const path of copied) {
      expect(ignore).toMatch(new RegExp(`^!${path.replaceAll('.', '\\.')}$`, 'm'))
      // A folder is listed by its index, or by what the test itself imports from it.
      if (path.includes('.')) expect(read(path).length).toBeGreaterThan(0)
    }
  })
})

describe('our services, run here', () => {
  let s3: S3Server
  let kinesis: KinesisLocal
  let home: Home
  const children: ChildProcess[] = []
  beforeAll(async () => {
    s3 = await startS3Server({ buckets: ['my-bucket'] })
    kinesis = await startKinesisLocal({ streams: { MyStream: 2 } })
    home = makeHome()
  })
  afterAll(async () => {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await Promise.all([s3.close(), kinesis.close()])
    home.remove()
  })

  /** The image's path of a compiled file is the source that it was compiled from. */
  const local = (word: string): string =>
    /^\/app\/dist\/.*\.js$/.test(word)
      ? fileURLToPath(new URL(`../../${word.slice('/app/dist/'.length, -3)}.ts`, import.meta.url))
      : word

  function commandOf({ entrypoint, command = [] }: Service): string[] {
    const imageEntrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '[]') as string[]
    const [node, ...args] = [...(entrypoint ?? imageEntrypoint), ...command].map(local)
    expect(node).toBe('node')
    return args
  }

  /** The service's own environment: host names of the network resolved to our ports, `${X:-default}` filled in. */
  function environmentOf({ environment = {} }: Service, more: Record<string, string>): Record<string, string> {
    const filled = Object.entries(environment).map(([key, value]) => {
      const text = String(value)
        .replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_all, _name, fallback: string) => fallback)
        .replace('http://s3:8333', s3.url)
        .replace('http://kinesis:4568', kinesis.endpoint)
      return [key, text]
    })
    return { ...bareEnvironment(home.dir), ...Object.fromEntries(filled), ...more }
  }

  const runService = (name: string, more: Record<string, string> = {}, args?: string[]): Promise<Outcome> => {
    const service = compose.services[name]!
    return run(args ?? commandOf(service), home.dir, environmentOf(service, more))
  }

  test('populate publishes RECORDS articles and ends', async () => {
    expect(await runService('populate', { RECORDS: '40' })).toMatchObject({
      code: 0,
      stdout: 'published 40 articles to MyStream\n',
    })
  })

  test('populate goes on with LOOP=1, until it is told to stop', async () => {
    const service = compose.services['populate']!
    const child = spawn(process.execPath, commandOf(service), {
      cwd: home.dir,
      env: environmentOf(service, { RECORDS: '10', LOOP: '1' }),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    child.stdout.once('data', () => child.kill('SIGTERM'))
    expect(await once(child, 'close')).toEqual([143, null])
  })

  test('firn runs by schedule, is healthy, compacts what was published, and stops in order', {
    timeout: 240_000,
  }, async () => {
    const service = compose.services['firn']!
    const everySecond = { FIRN_RUN__LAND__CRON: '* * * * * *', FIRN_RUN__COMPACT__CRON: '* * * * * *' }
    const child = spawn(process.execPath, commandOf(service), {
      cwd: home.dir,
      env: environmentOf(service, everySecond),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += String(text)))
    onTestFailed(() => void process.stderr.write(output))
    // By all runs together: on a busy machine a landing may get one shard and the next one the other.
    const untilAdded = async (rows: number): Promise<void> => {
      const added = (): number =>
        [...output.matchAll(/added (\d+) rows?/g)].reduce((sum, [, count]) => sum + Number(count), 0)
      while (added() < rows) {
        expect(child.exitCode, output).toBeNull()
        await systemClock.sleep(50)
      }
    }
    await untilAdded(50)
    // While it runs: a second lot, found by the schedule.
    await runService('populate', { RECORDS: '30' })
    await untilAdded(80)
    const [, ...check] = service.healthcheck!.test
    const { code } = await runService('firn', {}, check.slice(1).map(local))
    expect([check[0], code]).toEqual(['node', 0])
    child.kill('SIGTERM')
    const ended = await once(child, 'close')
    expect(ended, output).toEqual([output.includes(': interrupted in ') ? 143 : 0, null])
    const bin = commandOf(service)[0]!
    const { stdout } = await runService('firn', {}, [bin, 'averages', 'news.articles', '--output', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({ articles: 80 })
  })
})
