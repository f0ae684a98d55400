/** One process, measured from its start to its end: wall time, processor time, peak memory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const USAGE: string = fileURLToPath(new URL('./usage.ts', import.meta.url))

export interface Measured {
  readonly wallMillis: number
  readonly cpuMillis: number
  readonly peakBytes: number
  readonly stdout: string
}

/** @throws {Error} with its standard error when it did not end with 0. */
export async function measure(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const usage = join(tmpdir(), `firn-bench-usage-${process.pid}.json`)
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FIRN|AWS)_/.test(name))
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', USAGE, script, ...args], {
    env: { ...Object.fromEntries(inherited), ...env, BENCH_USAGE: usage },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  const wallMillis = performance.now() - started
  if (code !== 0) throw new Error(`${script} ${args.join(' ')} ended with ${code}:\n${Buffer.concat(err)}`)
  const used = JSON.parse(readFileSync(usage, 'utf8')) as { peakBytes: number; cpuMillis: number }
  rmSync(usage)
  return { wallMillis, ...used, stdout: Buffer.concat(out).toString() }
}
