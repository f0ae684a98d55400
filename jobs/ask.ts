/** A yes or no from the person at the terminal. */
import { createInterface } from 'node:readline'

export interface AskOptions {
  readonly stdin: NodeJS.ReadableStream
  readonly stderr: NodeJS.WritableStream
  readonly signal: AbortSignal
}

/** Anything but `y` or `yes` is a no, the end of the input too. @throws the signal's reason. */
export async function askYesNo(question: string, { stdin, stderr, signal }: AskOptions): Promise<boolean> {
  signal.throwIfAborted()
  // not as a terminal: that would take Ctrl-C away from the signal handlers
  const lines = createInterface({ input: stdin, output: stderr, terminal: false })
  const stop = (): void => lines.close()
  signal.addEventListener('abort', stop, { once: true })
  try {
    stderr.write(question)
    const answer = await new Promise<string>((resolve) => {
      lines.once('line', resolve)
      lines.once('close', () => resolve(''))
    })
    signal.throwIfAborted()
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    signal.removeEventListener('abort', stop)
    lines.close()
  }
}
