import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import { resolveSecret, resolveSecrets } from '../../../jobs/settings/secrets.ts'
import { FirnError } from '../../../table/errors.ts'

const SECRET = 'tiger-and-lamb'
let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'firn-secrets-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const secretFile = (content: string): string => {
  const path = join(cwd, 'secret')
  writeFileSync(path, content)
  return path
}
const failureOf = async (work: Promise<unknown>): Promise<FirnError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (FirnError.is(error)) return error
  throw new Error(`expected a FirnError, got ${String(error)}`)
}

describe('a secret in a file', () => {
  test('is the content without its last line end', async () => {
    const path = secretFile(`${SECRET}\n`)
    expect(await resolveSecret('catalog.token', `file:${path}`)).toBe(SECRET)
    expect(await resolveSecret('catalog.token', pathToFileURL(path).href)).toBe(SECRET)
  })

  test.each([
    ['that is not there', undefined, 'ENOENT'],
    ['that is empty', '\n', 'it is empty'],
    ['that is no secret by its size', 'x'.repeat(70_000), '70000 bytes'],
  ])('%s is a failure of the setting', async (_name, content, why) => {
    const path = content === undefined ? join(cwd, 'absent') : secretFile(content)
    const error = await failureOf(resolveSecret('catalog.token', `file:${path}`))
    expect(error).toMatchObject({ code: 'FIRN_SECRET_UNREADABLE', kind: 'invalid' })
    expect(error.message).toContain('catalog.token')
    expect(error.message).toContain(why)
  })

  test('a value that is no reference is itself', async () => {
    expect(await resolveSecret('catalog.credential', 'id:secret')).toBe('id:secret')
  })
})

describe('secrets of AWS', () => {
  let server: Server
  let asked: { readonly target: string; readonly body: unknown }[]
  let answer: object
  const saved = { ...process.env }
  beforeEach(async () => {
    asked = []
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        asked.push({
          target: String(request.headers['x-amz-target']),
          body: JSON.parse(Buffer.concat(chunks).toString('utf8')),
        })
        response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
        response.end(JSON.stringify(answer))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL_SSM: endpoint,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
    })
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
    process.env = { ...saved }
  })

  test('a parameter is asked for decrypted', async () => {
    answer = { Parameter: { Value: SECRET } }
    expect(await resolveSecret('catalog.token', 'ssm:/firn/token', { region: 'eu-central-1' })).toBe(SECRET)
    expect(asked).toEqual([{ target: 'AmazonSSM.GetParameter', body: { Name: '/firn/token', WithDecryption: true } }])
  })

  test('a managed secret is taken whole, or one member of it', async () => {
    answer = { SecretString: JSON.stringify({ token: SECRET, port: 1 }) }
    const read = (reference: string): Promise<string> =>
      resolveSecret('catalog.token', reference, { region: 'eu-central-1' })
    expect(await read('secretsmanager:firn/catalog#token')).toBe(SECRET)
    expect(await read('secretsmanager:firn/catalog')).toContain(SECRET)
    expect(asked.map(({ body }) => body)).toEqual([{ SecretId: 'firn/catalog' }, { SecretId: 'firn/catalog' }])
    const absent = await failureOf(read('secretsmanager:firn/catalog#password'))
    expect(absent.message).toContain('"password"')
    expect(absent.message).not.toContain(SECRET)
    answer = { SecretString: SECRET }
    expect((await failureOf(read('secretsmanager:firn/catalog#token'))).message).not.toContain(SECRET)
  })
})

test('the settings of a catalog are resolved, and nothing else is touched', async () => {
  const env = { FIRN_CATALOG: 'https://catalog.example', FIRN_CATALOG_TOKEN: `file:${secretFile(SECRET)}` }
  const config = loadConfig({ env, cwd })
  const resolved = await resolveSecrets(config)
  expect(resolved).toEqual({ ...config, catalog: { ...config.catalog, token: SECRET } })
  const plain = loadConfig({ env: {}, cwd })
  expect(await resolveSecrets(plain)).toBe(plain)
})
