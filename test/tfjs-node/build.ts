/**
 * tfjs-node without the downloads of its install script: the package from npm, TensorFlow's library from PyPI, and the
 * binding between them compiled here. Everything stays in `.cache/tfjs-node`, and is built once.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const TFJS_NODE = '4.22.0'
const NODE_API_HEADERS = '1.9.0'
/** The binding is written for an older one; the C API that it uses is stable. */
const TENSORFLOW = '2.21.0'
const OLD_NODE = '22.23.3'

export interface Built {
  /** Has `node_modules` with tfjs-node in it. */
  readonly folder: string
  /** Program of Node 22; undefined where npm has none for this machine. */
  readonly oldNode: string | undefined
}

/** What is missing, to be told. */
export class Unavailable extends Error {}

/** A command that is not there, or a download that is out of reach. @throws {Unavailable} */
function obtain(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error !== undefined) throw new Unavailable(`${command} is not there (${error.message})`)
  if (status !== 0) throw new Unavailable(`${command} ${args.slice(0, 3).join(' ')} …: ${reasonIn(stderr)}`)
}

/** npm says the reason first, pip last. */
function reasonIn(text: string): string {
  const lines = text.trim().split('\n')
  return lines.find((line) => /^npm error (errno|network|code)/.test(line)) ?? lines.at(-1) ?? ''
}

/** With everything here, a failure is one of ours. */
function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`${command} failed with ${status}:\n${stderr}`, { cause: error })
}

/** @throws {Unavailable} */
export function build(folder: string, say: (line: string) => void): Built {
  if (process.platform !== 'linux') throw new Unavailable('the library is looked for as Linux has it')
  const home = join(folder, 'node_modules/@tensorflow/tfjs-node')
  const binding = join(home, 'lib/napi-v8/tfjs_binding.node')
  if (!existsSync(binding)) {
    obtain('g++', ['--version'], process.cwd())
    obtain('python3', ['-m', 'pip', '--version'], process.cwd())
    say(`building tfjs-node ${TFJS_NODE} into ${folder} (once, about a minute)`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    install(folder, [`@tensorflow/tfjs-node@${TFJS_NODE}`, `node-api-headers@${NODE_API_HEADERS}`])
    fetchLibrary(folder, join(home, 'deps'))
    compile(folder, home, binding)
  }
  return { folder, oldNode: oldNode(join(folder, 'node22'), say) }
}

const install = (folder: string, packages: readonly string[]): void =>
  obtain('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages], folder)

/** Only the headers and the two libraries of the wheel, whose Python it does not matter here. */
const UNPACK = `
import os, shutil, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        name = entry.filename.removeprefix('tensorflow/')
        if name in ('libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'):
            name = 'lib/' + name
        elif not name.startswith('include/') or entry.is_dir():
            continue
        path = os.path.join(target, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(entry) as source, open(path, 'wb') as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
`

function fetchLibrary(folder: string, target: string): void {
  const wheels = join(folder, 'wheel')
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const platform = ['--python-version', '3.11', '--platform', `manylinux_2_27_${machine}`]
  const only = ['--no-deps', '--only-binary=:all:', '--disable-pip-version-check']
  obtain(
    'python3',
    ['-m', 'pip', 'download', ...only, ...platform, '-d', wheels, `tensorflow-cpu==${TENSORFLOW}`],
    folder,
  )
  const wheel = readdirSync(wheels).find((name) => name.endsWith('.whl'))
  if (wheel === undefined) throw new Unavailable('pip downloaded no wheel')
  run('python3', ['-c', UNPACK, join(wheels, wheel), target], folder)
  rmSync(wheels, { recursive: true })
}

function compile(folder: string, home: string, binding: string): void {
  mkdirSync(join(home, 'lib/napi-v8'), { recursive: true })
  const sources = readdirSync(join(home, 'binding')).filter((name) => name.endsWith('.cc'))
  const partial = `${binding}.partial`
  run(
    'g++',
    [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8'],
      ...[`-I${join(folder, 'node_modules/node-api-headers/include')}`, '-I.', '-Ideps/include'],
      ...sources.map((name) => `binding/${name}`),
      ...['-o', partial, '-Ldeps/lib', '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
    ],
    home,
  )
  run('mv', [partial, binding], home) // what is there is whole
}

function oldNode(folder: string, say: (line: string) => void): string | undefined {
  const name = `node-linux-${process.arch}`
  const program = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(program)) return program
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    install(folder, [`${name}@${OLD_NODE}`])
    return program
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    say(`without Node 22: ${error.message}`)
    return undefined
  }
}
