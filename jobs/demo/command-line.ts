/** Runs the product's own commands as child processes, and shows what was run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface CommandLine {
  /** Run a command and show its output. */
  show(args: readonly string[]): Promise<void>
  /** Run a command and give its standard output. */
  output(args: readonly string[], shownSuffix?: string): Promise<string>
  /** Run a command that prints JSON lines (added when no format is asked for) and give the rows. */
  rows(args: readonly string[], shownSuffix?: string): Promise<Record<string, unknown>[]>
}

export interface CommandLineOptions {
  /** Where commands run: without a `.env` and a `firn.config.json`, whose settings would be theirs. */
  readonly cwd: string
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** `bin.ts` from the sources, `bin.js` from the package. */
const BIN = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../bin.ts' : '../bin.js', import.meta.url))

export function commandLine({ cwd, say, signal }: CommandLineOptions): CommandLine {
  const run = async (args: readonly string[]): Promise<string> => {
    const child = spawn(process.execPath, [BIN, ...args], { cwd, signal, stdio: ['ignore', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with exit code ${code}`)
    return Buffer.concat(chunks).toString()
  }
  const output = async (args: readonly string[], shownSuffix = ''): Promise<string> => {
    say(`   $ firn ${args.join(' ')} ${shownSuffix}`.trimEnd())
    return await run(args)
  }
  return {
    output,
    show: async (args) => {
      const text = await output(args)
      say(indent(text))
    },
    rows: async (args, shownSuffix) => {
      const asked = args.includes('--output')
      const text = asked ? await output(args, shownSuffix) : await run([...args, '--output', 'jsonl'])
      const lines = text.split('\n').filter((line) => line !== '')
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    },
  }
}

/** Below the demo's step. */
export const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, '   ').trimEnd()
