/** `npm run demo`, smaller: the whole pipeline in a folder of its own. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { bareEnvironment, makeHome, run } from './cli-support.ts'

const DEMO = fileURLToPath(new URL('../../jobs/demo/demo.ts', import.meta.url))

test('two cycles, averages, samples, time travel and training, and nothing is left running', {
  timeout: 180_000,
}, async () => {
  const home = makeHome()
  try {
    // Settings that would lead elsewhere, from every place that commands look at: the demo must use its own two
    // servers only, or it would write to somebody's bucket.
    const elsewhere = {
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true',
      AWS_PROFILE: 'production',
      FIRN_KINESIS__ENDPOINT: 'http://127.0.0.1:9',
      FIRN_OUTPUT: 'csv',
      FIRN_S3__ENDPOINT: 'http://127.0.0.1:9',
      FIRN_WAREHOUSE: 's3://somebody-elses/lake',
    }
    const env = { ...bareEnvironment(home.dir), RECORDS: '150', TMPDIR: home.path('tmp'), ...elsewhere }
    const { FIRN_OUTPUT: _output, ...dotted } = elsewhere
    writeFileSync(
      home.path('.env'),
      Object.entries({ ...dotted, FIRN_STREAM: 'TheirStream', FIRN_DRY_RUN: '1' })
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
    const settings = { s3: { endpoint: 'http://127.0.0.1:9' }, kinesis: { region: 'eu-west-1' }, output: 'json' }
    writeFileSync(home.path('firn.config.json'), JSON.stringify(settings))
    mkdirSync(home.path('tmp'))
    const { code, stdout, stderr } = await run([DEMO], home.dir, env)
    expect({ code, stderr: stderr.replace(/^(info|Warning).*\n/gm, '') }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/landed 150 records/g)).toHaveLength(2)
    expect(stdout.match(/added 150 rows/g)).toHaveLength(2)
    expect(stdout).toMatch(/average word count \d+\.\d\d over 150 articles/)
    expect(stdout).toMatch(/--snapshot \d+ .*\n {3}150\n.*--snapshot \d+ .*\n {3}300\n/)
    expect(stdout).toMatch(/the loss fell from/)
    const sample = readFileSync(home.path('.firn/sample_enriched/articles.jsonl'), 'utf8').trimEnd().split('\n')
    expect(sample).toHaveLength(5)
    for (const line of sample) {
      expect(JSON.parse(line)).toMatchObject({ article_id: expect.any(String), word_count: expect.any(Number) })
    }
    const left = readdirSync(home.path('tmp')).filter((name) => name !== 'node-compile-cache')
    expect(left, 'temporary folders').toEqual([])
    const pid = Number(/process (\d+)\)/.exec(stdout)?.[1])
    expect(() => process.kill(pid, 0), 'the local Kinesis has ended').toThrow('ESRCH')
  } finally {
    home.remove()
  }
})

test('a wrong RECORDS is refused before anything starts', async () => {
  const home = makeHome()
  try {
    const { code, stderr } = await run([DEMO], home.dir, { ...bareEnvironment(home.dir), RECORDS: 'many' })
    expect(code).toBe(2)
    expect(stderr).toContain('FIRN_CONFIG_INVALID')
  } finally {
    home.remove()
  }
})
