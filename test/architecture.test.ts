/** The rules that hold the rooms apart. An exception stands here by name, with its reason, or not at all. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const ROOMS = ['ingest', 'table', 'loader', 'jobs'] as const
type Room = (typeof ROOMS)[number]

interface Source {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly text: string
  /** Without comments, so that prose breaks no rule. */
  readonly code: string
  readonly imports: readonly string[]
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
}

const SPECIFIER = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+|\bnew URL\(\s*)'([^']+)'/g

function read(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1')
  return { path, text, code, imports: Array.from(code.matchAll(SPECIFIER), (match) => match[1]!) }
}

const sources = ROOMS.flatMap((room) => filesBelow(room))
  .filter((path) => path.endsWith('.ts'))
  .map(read)
const inRoom = (room: Room): readonly Source[] => sources.filter((source) => source.path.startsWith(`${room}/`))

/** Imports of our own files, as paths from the root. */
const ownImports = (source: Source): readonly string[] =>
  source.imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(ROOT, resolve(ROOT, dirname(source.path), specifier)).replaceAll('\\', '/'))

const SHARED = ['table/errors.ts', 'table/ids.ts', 'table/clock.ts']
const ALLOWED: Readonly<Record<Room, (path: string) => boolean>> = {
  table: () => false,
  ingest: (path) => SHARED.includes(path) || path.startsWith('table/io/') || path === 'table/format/arrow.ts',
  loader: (path) => SHARED.includes(path) || path === 'table/index.ts',
  jobs: (path) =>
    SHARED.includes(path) ||
    path.startsWith('table/io/') ||
    ['table/index.ts', 'ingest/index.ts', 'loader/index.ts'].includes(path),
}

describe('imports go one way', () => {
  test.each(ROOMS)('%s imports only what it may', (room) => {
    expect(inRoom(room).length).toBeGreaterThan(5)
    const broken = inRoom(room).flatMap((source) =>
      ownImports(source)
        .filter((path) => !path.startsWith(`${room}/`) && !ALLOWED[room](path))
        .map((path) => `${source.path} -> ${path}`),
    )
    expect(broken).toEqual([])
  })

  test('inside the table, the model knows nothing of its users', () => {
    const order = ['spec', 'manifest', 'commit', 'catalog', 'write', 'scan']
    const roomOf = (path: string): number => order.indexOf(path.split('/')[1] ?? '')
    const upward = inRoom('table')
      .filter((source) => ['spec', 'manifest', 'format'].includes(source.path.split('/')[1] ?? ''))
      .flatMap((source) =>
        ownImports(source)
          .filter((path) => roomOf(path) > order.indexOf('manifest'))
          .map((path) => `${source.path} -> ${path}`),
      )
    expect(upward).toEqual([])
  })

  test('every import specifier of ours names a .ts file that exists', () => {
    const missing = sources.flatMap((source) =>
      ownImports(source)
        .filter((path) => !sources.some((other) => other.path === path || other.path.replace(/\.ts$/, '.js') === path))
        .map((path) => `${source.path} -> ${path}`),
    )
    expect(missing).toEqual([])
  })
})

describe('each foreign library stands behind one file', () => {
  /** Library, and the only files that may name it. Types count too. */
  const ADAPTERS: readonly (readonly [string, readonly string[]])[] = [
    ['@aws-sdk/client-s3', ['table/io/s3.ts']],
    ['@aws-sdk/client-kinesis', ['ingest/kinesis.ts']],
    ['@smithy/node-http-handler', ['table/io/s3.ts', 'ingest/kinesis.ts']],
    ['avsc', ['table/format/avro.ts']],
    ['hyparquet', ['table/format/parquet-reader.ts']],
    ['parquet-wasm', ['table/format/parquet-writer.ts']],
    ['node-cron', ['jobs/schedule.ts']],
    ['pino', ['jobs/telemetry.ts']],
    // The tf module is passed in; only the demo brings one.
    ['@tensorflow/tfjs', ['jobs/demo/train.ts']],
    ['@tensorflow/tfjs-node', []],
  ]
  test.each(ADAPTERS)('%s', (library, files) => {
    const users = sources.filter(({ imports }) =>
      imports.some((name) => name === library || name.startsWith(`${library}/`)),
    )
    expect(users.map((source) => source.path).filter((path) => !files.includes(path))).toEqual([])
  })

  test('every library is declared, and every declared one is used', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >
    const nameOf = (specifier: string): string =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
    const used = new Set(
      sources.flatMap(({ path, imports }) =>
        imports
          .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
          .map((name) => `${nameOf(name)}|${path}`),
      ),
    )
    const declared = new Set(Object.keys(manifest['dependencies']!))
    const undeclared = [...used].filter((entry) => {
      const [name, path] = entry.split('|') as [string, string]
      // The demo runs from a clone, where development dependencies are.
      return !declared.has(name) && !(path.startsWith('jobs/demo/') && name in manifest['devDependencies']!)
    })
    expect(undeclared).toEqual([])
    const names = new Set([...used].map((entry) => entry.split('|')[0]))
    expect([...declared].filter((name) => !names.has(name))).toEqual([])
  })
})

describe('time, randomness and the environment come in by the front door', () => {
  const AMBIENT =
    /\b(Date\.now\(|new Date\(\)|performance\.now\(|Math\.random\(|process\.env\b|randomUUID\(|randomBytes\()/
  const CLOCK_OR_CONFIG = ['table/clock.ts', 'jobs/config.ts']
  /** A method call on a clock is what the rule wants. */
  const withoutClock = (code: string): string => code.replaceAll(/\b(clock|this\.#clock|Clock)\.randomBytes\(/g, 'ok(')

  test.each(ROOMS)('%s', (room) => {
    const broken = inRoom(room).filter(
      ({ path, code }) => !CLOCK_OR_CONFIG.includes(path) && AMBIENT.test(withoutClock(code)),
    )
    expect(broken.map((source) => source.path)).toEqual([])
  })
})

describe('the text of the project', () => {
  const texts = [
    ...sources.map((source) => source.path),
    ...filesBelow('docs'),
    'README.md',
    'CHANGELOG.md',
    'SECURITY.md',
  ]

  test('no file outgrows one sitting', () => {
    expect(sources.filter(({ text }) => text.split('\n').length > 401).map((source) => source.path)).toEqual([])
  })

  test('names no place outside of the project', () => {
    // Spelt in parts, so that this file keeps its own rule.
    const forbidden = [
      ['shared', '/'],
      ['..', '/shared'],
      ['/wo', 'rk/'],
      ['regis', 'try.npmjs'],
    ].map((parts) => parts.join(''))
    const broken = texts.filter((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      return forbidden.some((word) => text.includes(word))
    })
    expect(broken).toEqual([])
  })

  test('no code is left for later by a note', () => {
    expect(sources.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map((source) => source.path)).toEqual(
      [],
    )
  })

  test('links of the documents lead somewhere', () => {
    const broken = texts
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) =>
        Array.from(
          readFileSync(join(ROOT, path), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g),
          (match) => match[1]!,
        )
          .filter((target) => {
            try {
              readdirSync(dirname(join(ROOT, dirname(path), target)))
              return !target.endsWith('/') && readFileSync(join(ROOT, dirname(path), target)).length === 0
            } catch {
              return true
            }
          })
          .map((target) => `${path} -> ${target}`),
      )
    expect(broken).toEqual([])
  })
})
