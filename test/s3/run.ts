/**
 * `npm run test:s3`: the object store contract against a real S3 server, versitygw over a temporary folder.
 *
 * versitygw is a Go program: it is built once by `go install` into `.cache/`. Without Go this says so and succeeds;
 * `FIRN_REQUIRE_S3=1` turns that into a failure. `VERSITYGW=/path/to/versitygw` uses a binary that is there already.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'

const VERSION = 'v1.8.0'
const BUCKET = 'firn-contract'
const START_MILLIS = 20_000
const repository = fileURLToPath(new URL('../..', import.meta.url))
const credentials = { accessKeyId: 'firn-test', secretAccessKey: 'firn-test-secret' }

/** Path of the server's program; `undefined` when there is none and no Go to build it. */
async function install(): Promise<string | undefined> {
  const given = process.env['VERSITYGW']
  if (given !== undefined) return given
  const folder = join(repository, '.cache', `versitygw-${VERSION}`)
  const program = join(folder, 'versitygw')
  if (existsSync(program)) return program
  if (spawnSync('go', ['version']).status !== 0) return undefined
  console.log(`test:s3: building versitygw ${VERSION} into ${folder} (once, about a minute)`)
  await mkdir(folder, { recursive: true })
  const built = spawnSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
    env: { ...process.env, GOBIN: folder },
    stdio: 'inherit',
  })
  if (built.status !== 0) throw new Error(`go install of versitygw ${VERSION} failed with ${built.status}`)
  return program
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function startServer(program: string, port: number, folder: string): ChildProcess {
  return spawn(program, ['--port', `127.0.0.1:${port}`, '--region', 'us-east-1', 'posix', folder], {
    env: { ...process.env, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function untilListening(server: ChildProcess, port: number): Promise<void> {
  for (const deadline = performance.now() + START_MILLIS; performance.now() < deadline; await sleep(50)) {
    if (server.exitCode !== null) throw new Error(`versitygw ended at once with ${server.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
  }
  throw new Error(`versitygw does not listen on port ${port} after ${START_MILLIS} ms`)
}

async function runContract(endpoint: string): Promise<number> {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  client.destroy()
  const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs')
  const tests = spawn(process.execPath, [vitest, 'run', '--config', 'test/s3/vitest.config.ts'], {
    cwd: repository,
    stdio: 'inherit',
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      FIRN_TEST_S3_ENDPOINT: endpoint,
      FIRN_TEST_S3_BUCKET: BUCKET,
      FIRN_TEST_S3_NAME: `versitygw ${VERSION}`,
    },
  })
  const [code] = (await once(tests, 'exit')) as [number | null]
  return code ?? 1
}

async function main(): Promise<number> {
  const program = await install()
  if (program === undefined) {
    const isRequired = process.env['FIRN_REQUIRE_S3'] === '1'
    console.log(`test:s3: NOT RUN: no Go on this machine to build versitygw ${VERSION} with, and no VERSITYGW set.`)
    return isRequired ? 1 : 0
  }
  const folder = await mkdtemp(join(tmpdir(), 'firn-versitygw-'))
  const port = await freePort()
  const server = startServer(program, port, folder)
  try {
    await untilListening(server, port)
    const code = await runContract(`http://127.0.0.1:${port}`)
    console.log(`test:s3: contract on versitygw ${VERSION}: ${code === 0 ? 'passed' : 'FAILED'}`)
    return code
  } finally {
    if (server.exitCode === null) {
      server.kill('SIGTERM')
      await once(server, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
