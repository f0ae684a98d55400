/** What all kinds of killing share. */
import type { Outcome } from './outcome.ts'

export interface ArenaOptions {
  /** Exists, and is empty. */
  readonly folder: string
  /** How many kills of each kind. */
  readonly points: number
  readonly seed: number
  readonly say: (line: string) => void
}

/** @returns how many things were not as they must be; each was said. */
export type Arena = (options: ArenaOptions) => Promise<number>

export const BUCKET = 'my-bucket'
export const STREAM = 'MyStream'
export const CREDENTIALS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: 'firn-test',
  AWS_SECRET_ACCESS_KEY: 'firn-test-secret',
}

/** How `found` differs from an undisturbed run. @throws {Error} when it does. */
export function assertSame(found: Partial<Outcome>, wanted: Partial<Outcome>): void {
  const [a, b] = [JSON.stringify(wanted), JSON.stringify(found)]
  if (a !== b) throw new Error(`expected ${a}\n       found ${b}`)
}

/** Rows and averages only: how many snapshots they came in depends on when runs were killed. */
export const contentOf = ({ rows, digest, averages }: Outcome): Partial<Outcome> => ({ rows, digest, averages })

/** Does `work` and closes what it opened, newest first. */
export async function closing<T>(work: (onClose: (close: () => Promise<void>) => void) => Promise<T>): Promise<T> {
  const closers: (() => Promise<void>)[] = []
  try {
    return await work((close) => void closers.push(close))
  } finally {
    for (const close of closers.reverse()) await close()
  }
}
