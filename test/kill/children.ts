/** Processes that a process has started, from /proc: empty where there is none. */
import { readdirSync, readFileSync } from 'node:fs'

interface Stat {
  readonly state: string
  readonly parent: number
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // the name before may hold anything, brackets too
    const [state = '', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

export function childrenOf(pid: number): readonly number[] {
  try {
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
    return pids.filter((each) => statOf(each)?.parent === pid)
  } catch {
    return []
  }
}

/** False too for one that has ended and that nobody has asked about. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid)
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X'
}
