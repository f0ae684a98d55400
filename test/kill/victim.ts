/** Commands that are killed at a moment drawn from the time that they take. */
import { systemClock } from '../../table/clock.ts'
import { type FirnOptions, firnJson, startFirn } from '../firn-process.ts'
import { childrenOf, isAlive } from './children.ts'

export interface Tally {
  /** Runs that were killed before they ended. */
  killed: number
  /** Runs that had ended by themselves. */
  ended: number
  /** Processes that a killed run had started, and how long the last of them lived on, in ms. */
  children: number
  orphanMillis: number
}

export interface Victim {
  readonly tallies: ReadonlyMap<string, Tally>
  /**
   * Run a command and kill it (SIGKILL) at a moment of what the command took when it last came to its end, but for
   * the start of the program.
   * @returns whether it was killed. @throws {Error} when it ended by itself and not well, or left processes behind.
   */
  attempt(args: readonly string[]): Promise<boolean>
  /** Run a command to its end. */
  calm(args: readonly string[]): Promise<unknown>
}

/** By then a process whose parent is gone has to be gone, too. */
const ORPHAN_MILLIS = 10_000
/** What a run takes, until one was measured. */
const FIRST_GUESS_MILLIS = 1_000
/** Share of a run that the program takes to start, about. */
const STARTED = 0.35

export function createVictim(firn: FirnOptions, random: () => number): Victim {
  const tallies = new Map<string, Tally>()
  const lengths = new Map<string, number>()
  const timed = async <T>(command: string, work: () => Promise<T>): Promise<T> => {
    const from = performance.now()
    const result = await work()
    lengths.set(command, performance.now() - from)
    return result
  }
  return {
    tallies,
    calm: (args) => timed(args[0]!, () => firnJson<unknown>(args, firn)),
    attempt: async (args) => {
      const command = args[0]!
      const tally = tallies.get(command) ?? { killed: 0, ended: 0, children: 0, orphanMillis: 0 }
      tallies.set(command, tally)
      const length = lengths.get(command) ?? FIRST_GUESS_MILLIS
      const { child, ended } = startFirn(args, firn)
      let orphans: readonly number[] = []
      const timer = setTimeout(
        () => {
          orphans = childrenOf(child.pid!)
          child.kill('SIGKILL')
        },
        length * (STARTED + (1 - STARTED) * random()),
      )
      const from = performance.now()
      const { code, signal, stderr } = await ended
      const millis = performance.now() - from
      clearTimeout(timer)
      if (signal === 'SIGKILL') {
        tally.killed++
        tally.children += orphans.length
        tally.orphanMillis = Math.max(tally.orphanMillis, await untilGone(orphans))
        return true
      }
      tally.ended++
      lengths.set(command, millis)
      if (code !== 0) throw new Error(`firn ${args.join(' ')} ended with ${code ?? signal}:\n${stderr}`)
      return false
    },
  }
}

async function untilGone(pids: readonly number[]): Promise<number> {
  const from = performance.now()
  for (;;) {
    const millis = performance.now() - from
    if (!pids.some(isAlive)) return millis
    if (millis > ORPHAN_MILLIS) throw new Error(`processes outlive the one that started them: ${pids.join(', ')}`)
    await systemClock.sleep(10)
  }
}

export const talliesText = (tallies: ReadonlyMap<string, Tally>): string =>
  [...tallies]
    .map(([command, { killed, ended, children, orphanMillis }]) => {
      const left = children === 0 ? '' : `, their ${children} processes gone within ${orphanMillis.toFixed(0)} ms`
      return `${command} killed ${killed} times (${ended} had ended)${left}`
    })
    .join('; ')
