/** What a stranger gets from the registry: names, doors, versions. `npm run test:package` installs the real thing. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT: string = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly type: string
  readonly engines: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly files: readonly string[]
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

const manifest = read('package.json') as Manifest
const DOORS = ['ingest', 'table', 'loader', 'jobs']

describe('package.json', () => {
  test('exports the four doors, types before code, and nothing inside of them', () => {
    expect(Object.keys(manifest.exports)).toEqual([...DOORS.map((door) => `./${door}`), './package.json'])
    for (const door of DOORS) {
      const entry = manifest.exports[`./${door}`] as Readonly<Record<string, string>>
      // a resolver takes the first key that fits: types behind `default` are never seen
      expect(Object.keys(entry)).toEqual(['types', 'default'])
      expect(entry).toEqual({ types: `./dist/${door}/index.d.ts`, default: `./dist/${door}/index.js` })
      expect(existsSync(join(ROOT, door, 'index.ts'))).toBe(true)
    }
  })

  test('the command is the compiled jobs/bin.ts, which has a shebang', () => {
    expect(manifest.bin).toEqual({ firn: 'dist/jobs/bin.js' })
    expect(readFileSync(join(ROOT, 'jobs/bin.ts'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  test('dependencies are pinned to one version each', () => {
    const all = { ...manifest.dependencies, ...manifest.devDependencies }
    expect(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
  })

  test('nothing heavy or for training alone is installed with the package', () => {
    const heavy = /tensorflow|duckdb|typescript|vitest|biome|kinesis-local|^node$/
    expect(Object.keys(manifest.dependencies).filter((name) => heavy.test(name))).toEqual([])
    for (const name of Object.keys(manifest.peerDependencies ?? {})) {
      expect(manifest.peerDependenciesMeta?.[name]?.optional, name).toBe(true)
    }
  })

  test('says which Node it needs, and bin.ts refuses the same ones', () => {
    expect(manifest.engines['node']).toBe('>=22.18')
    expect(readFileSync(join(ROOT, 'jobs/bin.ts'), 'utf8')).toContain('firn needs Node >= 22.18')
  })

  test('the tarball has the licence, the read-me and the compiled code', () => {
    expect(manifest.license).toBe('Apache-2.0')
    expect(manifest.files).toEqual(['dist', 'README.md', 'CHANGELOG.md', 'LICENSE'])
    for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) expect(existsSync(join(ROOT, file)), file).toBe(true)
  })
})

describe('package-lock.json', () => {
  const lock = read('package-lock.json') as {
    readonly version: string
    readonly packages: Readonly<Record<string, { readonly resolved?: string; readonly integrity?: string }>>
  }

  test('belongs to this version', () => {
    expect(lock.version).toBe(manifest.version)
  })

  test('ties every package to its content, and none to a registry', () => {
    const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
    expect(packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([])
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([])
  })
})
