import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExplainedSetting, explainConfig } from '../../../jobs/config.ts'
import { type Home, makeHome } from '../cli-support.ts'

let home: Home
beforeEach(() => {
  home = makeHome()
})
afterEach(() => home.remove())

const sourceOf = (settings: readonly ExplainedSetting[], name: string): ExplainedSetting | undefined =>
  settings.find(({ setting }) => setting === name)

test('each setting names the flag, the variable or the file that it comes from', () => {
  const { dir: cwd } = home
  const file = join(cwd, 'firn.config.json')
  writeFileSync(file, JSON.stringify({ stream: 'A', 's3.region': 'eu-west-1', run: { land: { streams: ['A', 'B'] } } }))
  const env = { FIRN_STREAM: 'B', AWS_REGION: 'eu-central-1', FIRN_RUN__LAND__CRON: '* * * * *' }
  const settings = explainConfig({ env, cwd, flags: { warehouse: 'file:///flag', logFormat: 'json' } })
  expect(sourceOf(settings, 'warehouse')).toMatchObject({ value: 'file:///flag', source: '--warehouse' })
  expect(sourceOf(settings, 'logFormat')).toMatchObject({ value: 'json', source: '--log-format' })
  expect(sourceOf(settings, 'stream')).toMatchObject({ value: 'B', source: 'FIRN_STREAM' })
  expect(sourceOf(settings, 's3.region')).toMatchObject({ value: 'eu-central-1', source: 'AWS_REGION' })
  expect(sourceOf(settings, 'run.land.streams')).toMatchObject({ value: ['A', 'B'], source: file })
  expect(sourceOf(settings, 'run.land.cron')).toMatchObject({ value: '* * * * *', source: 'FIRN_RUN__LAND__CRON' })
  expect(sourceOf(settings, 'maxBadRatio')).toMatchObject({ value: 0.05, source: 'default' })
})

test('secrets are not shown, references to secrets are', () => {
  const shown = (token: string): unknown => {
    const env = { FIRN_CATALOG: 'https://catalog.example', FIRN_CATALOG_TOKEN: token }
    return sourceOf(explainConfig({ env, cwd: home.dir }), 'catalog.token')?.value
  }
  expect(shown('tiger')).toBe('[redacted]')
  expect(shown('ssm:/firn/token')).toBe('ssm:/firn/token')
})

test('the command prints them, also where a secret cannot be read', async () => {
  const env = { FIRN_CATALOG: 'https://catalog.example', FIRN_CATALOG_TOKEN: `file:${home.path('absent')}` }
  const { code, stdout } = await home.firn(['config', 'show', '--output', 'json'], env)
  expect(code).toBe(0)
  const { settings } = JSON.parse(stdout) as { settings: ExplainedSetting[] }
  expect(sourceOf(settings, 'catalog.uri')).toMatchObject({ value: 'https://catalog.example', source: 'FIRN_CATALOG' })
})
