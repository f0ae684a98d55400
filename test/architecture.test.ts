/**
 * The rules of the house that a compiler does not know: who may import what, where time, randomness and settings come
 * from, how long a file may be. It reads source text, so a rule costs one regular expression.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT: string = fileURLToPath(new URL('..', import.meta.url))
const ROOMS = ['ingest', 'table', 'loader', 'jobs'] as const
type Room = (typeof ROOMS)[number]

interface SourceFile {
  /** From the repository's root, with `/`. */
  readonly path: string
  readonly text: string
  /** Without comment lines and line-end comments: what the rules about code look at. */
  readonly code: string
}

const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.cache', '.firn'])

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = posix.join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

function load(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const lines = text.split('\n').filter((line) => !/^\s*(\/\*|\*|\/\/)/.test(line))
  return { path, text, code: lines.map((line) => line.replace(/(^|\s)\/\/ .*$/, '')).join('\n') }
}

const product: readonly SourceFile[] = ROOMS.flatMap(filesBelow)
  .filter((path) => path.endsWith('.ts'))
  .map(load)

/** Static and dynamic imports, re-exports, and the URLs of worker scripts. */
function specifiersOf({ code }: SourceFile): string[] {
  const forms = [
    /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /^import\s*['"]([^'"]+)['"]/gm,
    /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
    /\.resolve\(\s*['"]([^'"./][^'"]*)['"]/g,
    /\bnew URL\([^)]*?['"](\.[^'"]*\.[jt]s)['"]/g,
  ]
  return forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1]!))
}

/** Path of a relative import from the repository's root; `undefined` for packages and built-ins. */
function targetOf({ path }: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return relative(ROOT, join(ROOT, dirname(path), specifier)).replaceAll('\\', '/')
}

const roomOf = (path: string): string => path.split('/')[0]!
const packageOf = (specifier: string): string => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')

const BASICS = /^table\/(errors|ids|clock|diagnostics)\.ts$/
const STORES = /^table\/io\//

/** What each room may import of the others; its own files always. */
const MAY_IMPORT: Readonly<Record<Room, readonly RegExp[]>> = {
  table: [],
  ingest: [BASICS, STORES, /^table\/format\/arrow\.ts$/],
  loader: [BASICS, /^table\/index\.ts$/],
  jobs: [BASICS, STORES, /^(ingest|table|loader)\/index\.ts$/],
}

describe('imports', () => {
  test('the reader of specifiers sees every form of import', () => {
    const code = [
      "import a, { b } from './a.ts'",
      "import type {\n  C,\n} from '../c.ts'",
      "export * from './d.ts'",
      "import 'e'",
      "const f = await import('./f.ts')",
      "new URL(isTs ? './g.ts' : './g.js', import.meta.url)",
    ].join('\n')
    const found = specifiersOf({ path: 'table/x.ts', text: code, code })
    expect(found.sort()).toEqual(['../c.ts', './a.ts', './d.ts', './f.ts', './g.ts', 'e'].sort())
  })

  test.each(ROOMS)('%s imports only its own files and the doors it may use', (room) => {
    const forbidden = product
      .filter(({ path }) => roomOf(path) === room)
      .flatMap((file) =>
        specifiersOf(file)
          .map((specifier) => targetOf(file, specifier))
          .filter((target) => target !== undefined && roomOf(target) !== room)
          .filter((target) => !isPackageJson(target!) && !MAY_IMPORT[room].some((allowed) => allowed.test(target!)))
          .map((target) => `${file.path} imports ${target}`),
      )
    expect(forbidden).toEqual([])
  })

  test('relative imports name the file as it is, with .ts', () => {
    const wrong = product.flatMap((file) =>
      specifiersOf(file)
        .filter((specifier) => specifier.startsWith('.') && !/\.(ts|json)$/.test(specifier))
        // the other half of `isSource ? './worker.ts' : './worker.js'`
        .filter((specifier) => !file.code.includes(`'${specifier.replace(/\.js$/, '.ts')}'`))
        .map((specifier) => `${file.path} imports ${specifier}`),
    )
    expect(wrong).toEqual([])
  })

  const adapters: readonly (readonly [string, RegExp])[] = [
    ['@aws-sdk/client-s3', /^table\/io\/s3[^/]*\.ts$/],
    ['@aws-sdk/client-kinesis', /^ingest\/kinesis\/client\.ts$/],
    ['@smithy/signature-v4', /^table\/catalog\/rest\/auth-sigv4\.ts$/],
    ['@smithy/node-http-handler', /^(table\/io\/s3|ingest\/kinesis\/client)\.ts$/],
    ['parquet-wasm', /^table\/format\/parquet-writer\.ts$/],
    ['hyparquet', /^table\/format\/parquet-decode\.ts$/],
    ['avsc', /^table\/format\/avro\.ts$/],
    ['node-cron', /^jobs\/scheduling\/cron\.ts$/],
    ['pino', /^jobs\/telemetry\/logs\.ts$/],
    ['prom-client', /^jobs\/telemetry\/prometheus\.ts$/],
    ['@opentelemetry/api', /^jobs\/telemetry\/(otel|record-metrics)\.ts$/],
    ['@aws-sdk/client-ssm', /^jobs\/settings\/secrets\.ts$/],
    ['@aws-sdk/client-secrets-manager', /^jobs\/settings\/secrets\.ts$/],
    ['ajv', /^jobs\/datasets\//],
    ['commander', /^jobs\//],
    ['zod', /^jobs\//],
    // the loader is handed the module: training programs bring their own
    ['@tensorflow/tfjs', /^jobs\/(demo\/|train\/backend\.ts)/],
    ['@tensorflow/tfjs-backend-wasm', /^jobs\/train\/backend\.ts$/],
    ['@tensorflow/tfjs-node', /^jobs\/train\/backend\.ts$/],
    ['kinesis-local', /^jobs\/demo\//],
  ]
  test.each(adapters)('%s is imported by its adapter alone', (name, allowed) => {
    const importers = product.filter((file) => specifiersOf(file).some((specifier) => packageOf(specifier) === name))
    expect(importers.map(({ path }) => path).filter((path) => !allowed.test(path))).toEqual([])
  })

  test('every package that the product imports is a dependency', () => {
    const { dependencies, devDependencies, peerDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    ) as Record<'dependencies' | 'devDependencies' | 'peerDependencies', Record<string, string>>
    const missing = product.flatMap((file) => {
      // the demo may use what only a clone has
      const known = file.path.startsWith('jobs/demo/') ? { ...dependencies, ...devDependencies } : dependencies
      return (
        specifiersOf(file)
          .filter((specifier) => !/^(\.|node:)/.test(specifier) && known[packageOf(specifier)] === undefined)
          // an optional peer is loaded where it is needed, and its absence explained
          .filter(
            (name) => peerDependencies[name] === undefined || !file.code.includes(`await import('${name}').catch(`),
          )
          .map((specifier) => `${file.path} imports ${specifier}`)
      )
    })
    expect(missing).toEqual([])
  })
})

const isPackageJson = (target: string): boolean => target === 'package.json'

/** Files in which a thing is allowed, each with the reason beside it. */
const AMBIENT: readonly { readonly what: string; readonly pattern: RegExp; readonly allowed: readonly string[] }[] = [
  // clock.ts is what everything else takes the time and randomness from
  { what: 'wall time', pattern: /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)/, allowed: ['table/clock.ts'] },
  { what: 'monotonic time', pattern: /\bperformance\.now\b|\bprocess\.hrtime\b/, allowed: ['table/clock.ts'] },
  {
    what: 'randomness',
    pattern: /\bMath\.random\b|\bcrypto\.random|\bgetRandomValues\b|\brandom\w+[^}]*\} from 'node:crypto'/,
    allowed: ['table/clock.ts'],
  },
  // config.ts merges flags, environment and file into one value
  {
    what: 'the environment',
    pattern: /\bprocess\.env\b|\bimport\.meta\.env\b|from 'node:process'/,
    allowed: ['jobs/config.ts'],
  },
]

describe('nothing ambient', () => {
  test.each(AMBIENT)('$what comes from one place', ({ pattern, allowed }) => {
    const users = product.filter(({ code }) => pattern.test(code)).map(({ path }) => path)
    expect(users.filter((path) => !allowed.includes(path))).toEqual([])
    // an exception that is no longer needed is a hole
    expect(allowed.filter((path) => !users.includes(path))).toEqual([])
  })
})

describe('the text', () => {
  const everything = filesBelow('.').filter((path) => /\.(ts|py|md|json|yml|yaml|html|css)$|(^|\/)[^.]+$/.test(path))

  test('no file of the product is longer than 400 lines', () => {
    const long = product.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path)
    expect(long).toEqual([])
  })

  test('product code holds no unfinished work and no way around the compiler', () => {
    const marks = /\b(TODO|FIXME|HACK|XXX)\b|@ts-(ignore|nocheck|expect-error)|\bas any\b|:\s*any\b|<any\b/
    const found = product.filter(({ text }) => marks.test(text)).map(({ path }) => path)
    expect(found).toEqual([])
  })

  test('nothing refers to the folders of a machine it was written on', () => {
    // absolute folders of people and machines; a folder beside the repository, which nobody else has
    const folders =
      /(?<![\w.:/~*-])\/(work|root|Users|home\/(?!node\b)\w+)\/|(?<![\w:/])(\.\.\/)+shared\/|(?<![\w:/])shared\//
    const found = everything
      .filter((path) => path !== 'test/architecture.test.ts')
      .map(load)
      .filter(({ text }) => folders.test(text))
    expect(found.map(({ path, text }) => `${path}: ${folders.exec(text)?.[0]}`)).toEqual([])
  })
})
