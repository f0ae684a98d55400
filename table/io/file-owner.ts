/**
 * Names of processes, so that what a killed one left behind (locks, temporary files) can be told from the work of
 * a live one. A name is `<machine>.<pid>.<start>`: `machine` covers host, boot and pid namespace, because a pid
 * means nothing outside of them; `start` tells a process from a later one that was given the same pid.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

let own: { readonly machine: string; readonly name: string } | undefined

function identity(): { readonly machine: string; readonly name: string } {
  if (own === undefined) {
    const place = [
      hostname(),
      attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
      attempt(() => readlinkSync('/proc/self/ns/pid')),
    ]
    const machine = createHash('sha256').update(place.join('\n')).digest('hex').slice(0, 12)
    own = { machine, name: `${machine}.${process.pid}.${startOf(process.pid)}` }
  }
  return own
}

/** This process. Worker threads share the name of their process. */
export const ownerName = (): string => identity().name

/** `unknown`: a process of another machine, container or boot, which cannot be asked from here. */
export function ownerState(name: string): 'alive' | 'dead' | 'unknown' {
  const match = /^([0-9a-f]{12})\.(\d+)\.(\d+)/.exec(name)
  if (match === null || match[1] !== identity().machine) return 'unknown'
  const pid = Number(match[2])
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'dead'
  }
  const start = startOf(pid)
  return start === '0' || match[3] === '0' || start === match[3] ? 'alive' : 'dead'
}

/** Clock ticks between boot and the start of `pid`; `'0'` where the system does not tell (not Linux). */
function startOf(pid: number): string {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The second field is the program's name in parentheses and may contain anything: count behind its end.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
