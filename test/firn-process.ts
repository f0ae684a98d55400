/** The command line as a child process, for the scripts that test the product from outside. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const BIN: string = fileURLToPath(new URL('../jobs/bin.ts', import.meta.url))

export interface FirnOptions {
  /** A folder without `.env` and `firn.config.json`. */
  readonly cwd: string
  readonly warehouse: string
  readonly env?: Readonly<Record<string, string>>
}

export interface FirnResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface FirnProcess {
  readonly child: ChildProcess
  readonly ended: Promise<FirnResult>
}

/** Starts `firn <args> --output json`; the settings of this process's environment do not reach it. */
export function startFirn(args: readonly string[], { cwd, warehouse, env }: FirnOptions): FirnProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FIRN|AWS)_/.test(name))
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), FIRN_WAREHOUSE: warehouse, FIRN_OUTPUT: 'json', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = async (): Promise<FirnResult> => {
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return { code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
  }
  return { child, ended: ended() }
}

/** The JSON that a command printed. @throws {Error} with its standard error when it did not end with 0. */
export async function firnJson<T>(args: readonly string[], options: FirnOptions): Promise<T> {
  const { code, signal, stdout, stderr } = await startFirn(args, options).ended
  if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code ?? signal}:\n${stderr}`)
  return JSON.parse(stdout) as T
}
