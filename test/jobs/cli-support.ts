/**
 * The command line as a user has it: in a process of its own with an environment without our AWS and FIRN settings,
 * or, where only parsing, results and messages matter, the same code in this process, which is much quicker.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { execute } from '../../jobs/main.ts'

export const BIN: string = fileURLToPath(new URL('../../jobs/bin.ts', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Home {
  readonly dir: string
  /** A path in `dir`. */
  path(name: string): string
  /** `firn …` in `dir`, in a process of its own. */
  spawn(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>
  /** `firn …` for `dir`, in this process; the variables are there while it runs. */
  firn(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>
  /** The same with `--output json`, giving the document; fails on any exit code but 0. */
  json(args: readonly string[]): Promise<Record<string, unknown>>
  /** Every file below `dir`, sorted. */
  files(): string[]
  remove(): void
}

/** What a process needs that knows nothing of AWS: no profile, no role, no metadata service. */
export function bareEnvironment(home: string): Record<string, string> {
  const { PATH = '' } = process.env
  return { PATH, HOME: home, AWS_EC2_METADATA_DISABLED: 'true' }
}

export function makeHome(env: Readonly<Record<string, string>> = {}): Home {
  const dir = mkdtempSync(join(tmpdir(), 'firn-cli-'))
  const firn: Home['firn'] = (args, more = {}) => withVariables(more, () => executeHere(args, dir))
  return {
    dir,
    path: (name) => join(dir, name),
    spawn: (args, more = {}) => run([BIN, ...args], dir, { ...bareEnvironment(dir), ...env, ...more }),
    firn,
    json: async (args) => {
      const { code, stdout, stderr } = await firn([...args, '--output', 'json'])
      if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code}: ${stderr}`)
      return JSON.parse(stdout) as Record<string, unknown>
    },
    files: () =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
        .sort(),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** `action` in this process with these variables: the command line and the AWS SDK look in `process.env`. */
export async function withVariables<T>(env: Readonly<Record<string, string>>, action: () => Promise<T>): Promise<T> {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const)
  try {
    Object.assign(process.env, env)
    return await action()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

async function executeHere(args: readonly string[], cwd: string): Promise<Outcome> {
  const [stdout, stderr] = [capture(), capture()]
  const code = await execute(args, { stdout, stderr, cwd, signal: new AbortController().signal })
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

function capture(): Writable & { text(): string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return Object.assign(stream, { text: () => Buffer.concat(chunks).toString() })
}

/** Run Node with `args`. */
export async function run(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  node: string = process.execPath,
): Promise<Outcome> {
  const child = spawn(node, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** `error:`, `help:` and `code:` of a failed command. */
export function complaint({ stderr }: Outcome): { error: string; help: string; code: string } {
  const line = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stderr)?.[1] ?? ''
  return { error: line('error'), help: line('help'), code: line('code') }
}
