/**
 * `npm run test:package`: what a stranger gets. Packs the package, installs the tarball in an empty folder beside
 * Node 26, and uses it there: the command, the doors, worker threads from `dist`, the type declarations, and the
 * refusal of an old Node. Nothing of the clone is on the way: the folder is outside of it.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { doorsProgram, typedProgram } from './programs.ts'

const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))
const OLD_NODE = '20.19.5'

interface Output {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(command: string, args: readonly string[], cwd: string, path = process.env['PATH'] ?? ''): Output {
  // npm tells its scripts about itself by npm_ variables, which would lead its child back into the clone
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|FIRN_|AWS_|INIT_CWD|NODE_OPTIONS)/.test(name),
  )
  const env = { ...Object.fromEntries(inherited), PATH: path }
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error !== undefined) throw new Error(`${command} does not start`, { cause: error })
  return { code: status, stdout, stderr }
}

function mustRun(command: string, args: readonly string[], cwd: string, path?: string): string {
  const { code, stdout, stderr } = run(command, args, cwd, path)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`)
  return stdout
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** The PATH without the `node_modules/.bin` folders that npm scripts put in front. */
const plainPath = (): string =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules') && !folder.includes('node-gyp-bin'))
    .join(delimiter)

interface Versions {
  readonly devDependencies: Readonly<Record<string, string>>
  readonly allowScripts?: Readonly<Record<string, boolean>>
}

function install(folder: string, tarball: string): void {
  const { devDependencies, allowScripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Versions
  const of = (name: string): string => `${name}@${devDependencies[name]}`
  // `allowScripts`: the package `node` fetches its program by an install script
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', allowScripts }))
  const wanted = [tarball, of('node'), of('typescript'), of('@types/node')]
  mustRun('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...wanted], folder, plainPath())
}

/** Path of a Node that is too old: the machine's own, or one from the registry. */
function oldNode(folder: string): string {
  const found = run('node', ['--version'], folder, plainPath())
  if (found.code === 0 && Number(/^v(\d+)/.exec(found.stdout)?.[1]) < 22) return 'node'
  const own = join(folder, 'old-node')
  mkdirSync(own)
  writeFileSync(join(own, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }))
  mustRun('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `node@${OLD_NODE}`], own, plainPath())
  return join(own, 'node_modules', '.bin', 'node')
}

function testCommand(folder: string, path: string): void {
  const help = mustRun('npx', ['--no-install', 'firn', '--help'], folder, path)
  check(help.includes('Usage: firn') && help.includes('compact'), `firn --help printed:\n${help}`)
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  check(mustRun('npx', ['--no-install', 'firn', '--version'], folder, path).trim() === version, 'another version')
}

/** Lands and compacts by the command (its worker thread starts from `dist`), then by the doors. */
function testPipeline(folder: string, path: string): void {
  const article = (id: string, content: string): string =>
    `${JSON.stringify({ article_id: id, title: 't', author: 'x', publish_date: '2026-11-20T10:00:00Z', content })}\n`
  writeFileSync(join(folder, 'articles.ndjson'), article('a', 'one two three') + article('b', 'four five'))
  const warehouse = pathToFileURL(join(folder, 'warehouse')).href
  const firn = (...args: string[]): unknown =>
    JSON.parse(
      mustRun('npx', ['--no-install', 'firn', ...args, '--warehouse', warehouse, '--output', 'json'], folder, path),
    )
  firn('land', '--from', 'articles.ndjson')
  const { rows_added: rows } = firn('compact', 'news.articles') as { rows_added: number }
  check(rows === 2, `firn compact added ${rows} rows, expected 2`)
  const { ok } = firn('verify', 'news.articles') as { ok: boolean }
  check(ok, 'firn verify found problems')
  writeFileSync(join(folder, 'doors.mjs'), doorsProgram)
  const said = mustRun('node', ['doors.mjs', warehouse, 'news.by_door'], folder, path)
  check(said.includes('doors ok'), `the doors said ${said}`)
}

function testTypes(folder: string, path: string): void {
  writeFileSync(join(folder, 'typed.ts'), typedProgram)
  const flags = [
    '--strict',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--lib',
    'es2024,esnext.disposable',
  ]
  mustRun('npx', ['--no-install', 'tsc', '--noEmit', '--skipLibCheck', ...flags, 'typed.ts'], folder, path)
}

function testOldNode(folder: string): void {
  const node = oldNode(folder)
  const { code, stdout, stderr } = run(node, ['node_modules/firnlake/dist/jobs/bin.js', '--help'], folder, plainPath())
  check(code === 2, `an old Node ended with ${code}, expected 2: ${stderr}`)
  check(
    stdout === '' && /^error: firn needs Node >= 22\.18, found \S+; .*\n$/.test(stderr),
    `it printed ${stdout}${stderr}`,
  )
}

function main(): void {
  const folder = mkdtempSync(join(tmpdir(), 'firn-package-'))
  try {
    const step = (title: string, body: () => void): void => {
      const started = performance.now()
      body()
      process.stdout.write(`ok     ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
    }
    let tarball = ''
    step('npm pack builds and packs', () => {
      const [packed] = JSON.parse(mustRun('npm', ['pack', '--json', '--pack-destination', folder], ROOT)) as [
        { filename: string; files: readonly { path: string }[] },
      ]
      tarball = join(folder, packed.filename)
      const stray = packed.files.filter(
        ({ path }) => !/^(dist\/|README\.md$|CHANGELOG\.md$|LICENSE$|package\.json$)/.test(path),
      )
      check(stray.length === 0, `the tarball has files that nobody needs: ${stray.map(({ path }) => path).join(', ')}`)
    })
    step('npm install in an empty folder', () => install(folder, tarball))
    const path = [join(folder, 'node_modules', '.bin'), plainPath()].join(delimiter)
    step('npx firn --help', () => testCommand(folder, path))
    step('land, compact and verify by the command; every door; worker threads from dist', () =>
      testPipeline(folder, path),
    )
    step('type declarations of every door', () => testTypes(folder, path))
    step('an old Node is refused in one line with exit code 2', () => testOldNode(folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  main()
} catch (error) {
  process.stderr.write(`FAILED ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
