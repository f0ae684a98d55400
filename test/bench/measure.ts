/** Whole processes, timed from outside: start-up included, as an operator's scheduler would see them. */
import { spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Usage {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakMegabytes: number
}

const PRELOAD = pathToFileURL(join(import.meta.dirname, 'usage.ts')).href

/** Run `node <args>` to its end. @throws when it fails, with what it printed. */
export async function measure(args: readonly string[], scratch: string): Promise<Usage & { readonly stdout: string }> {
  const usageFile = join(scratch, 'usage.json')
  await rm(usageFile, { force: true })
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', PRELOAD, ...args], {
    env: { ...process.env, BENCH_USAGE: usageFile },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text: Buffer) => (stdout += String(text)))
  child.stderr.on('data', (text: Buffer) => (stderr += String(text)))
  const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject))
  const wallSeconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`)
  const usage = JSON.parse(await readFile(usageFile, 'utf8')) as Omit<Usage, 'wallSeconds'>
  return { wallSeconds, ...usage, stdout }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
