/** Settings of a REST catalog: where they come from, and that secrets stay out of what is printed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig, redact, settingNames } from '../../jobs/config.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'firn-catalog-config-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))
const uri = 'https://catalog.example.com/x'

test('without any there is none: tables are in the folders of the warehouse', () => {
  expect(loadConfig({ env: {}, cwd }).catalog).toBeUndefined()
})

test('every setting has a variable', () => {
  const env = {
    FIRN_CATALOG_URI: uri,
    FIRN_CATALOG_WAREHOUSE: 'w',
    FIRN_CATALOG_PREFIX: 'p',
    FIRN_CATALOG_TOKEN: 't',
    FIRN_CATALOG_CREDENTIAL: 'i:s',
    FIRN_CATALOG_OAUTH2_SERVER_URI: 'https://tokens.example.com',
    FIRN_CATALOG_SCOPE: 'all',
    FIRN_CATALOG_SIGV4: '1',
    FIRN_CATALOG_SIGNING_NAME: 'glue',
    FIRN_CATALOG_SIGNING_REGION: 'eu-west-1',
  }
  expect(loadConfig({ env, cwd }).catalog).toEqual({
    uri,
    warehouse: 'w',
    prefix: 'p',
    token: 't',
    credential: 'i:s',
    oauth2ServerUri: 'https://tokens.example.com',
    scope: 'all',
    sigv4: true,
    signingName: 'glue',
    signingRegion: 'eu-west-1',
  })
  expect(settingNames).toEqual(expect.arrayContaining([...Object.keys(env), 'FIRN_CATALOG']))
})

test('the URI alone is enough, as a flag, a variable or in the file; the flag beats the others and keeps the rest', () => {
  writeFileSync(join(cwd, 'firn.config.json'), JSON.stringify({ catalog: { uri: 'https://file', warehouse: 'w' } }))
  expect(loadConfig({ env: {}, cwd }).catalog).toEqual({ uri: 'https://file', warehouse: 'w', sigv4: false })
  const env = { FIRN_CATALOG: 'https://env', FIRN_CATALOG_TOKEN: 't' }
  expect(loadConfig({ env, cwd }).catalog).toMatchObject({ uri: 'https://env', warehouse: 'w', token: 't' })
  expect(loadConfig({ env, cwd, flags: { catalog: uri } }).catalog).toMatchObject({ uri, warehouse: 'w', token: 't' })
  writeFileSync(join(cwd, 'firn.config.json'), JSON.stringify({ catalog: uri }))
  expect(loadConfig({ env: {}, cwd }).catalog?.uri).toBe(uri)
})

test.each(['https://user:s3cret@host', 'catalog.example.com', 's3://bucket'])('%s is no URI of a catalog', (bad) => {
  const load = (): unknown => loadConfig({ env: { FIRN_CATALOG: bad }, cwd })
  expect(load).toThrow(/catalog\.uri: must/)
  expect(load).not.toThrow(/s3cret/)
})

test('a misspelt setting is refused', () => {
  writeFileSync(join(cwd, 'firn.config.json'), JSON.stringify({ catalog: { uri, tokn: 's3cret' } }))
  expect(() => loadConfig({ env: {}, cwd })).toThrow(/unknown key catalog\.tokn; allowed here: uri, warehouse/)
})

test('secrets are not in a copy for printing', () => {
  const env = { FIRN_CATALOG: uri, FIRN_CATALOG_TOKEN: 's3cret-1', FIRN_CATALOG_CREDENTIAL: 'id:s3cret-2' }
  const printed = JSON.stringify(redact(loadConfig({ env, cwd })))
  expect(printed).toContain(uri)
  expect(printed).not.toContain('s3cret')
})
