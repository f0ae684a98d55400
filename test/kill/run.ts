/**
 * `npm run test:kill`: commands and schedulers are killed (SIGKILL) in the middle, run again, and must end with the same
 * rows and the same averages as one run that nobody disturbed, with nothing for `verify` to find.
 *
 * `KILL_POINTS` (default 20) is how many kills of each kind; 4 is a quick check. `KILL_SEED` draws other moments.
 * `KILL_ONLY` names some of the arenas: upkeep, writes, services, schedulers, training.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Arena } from './arena.ts'
import { twoSchedulers } from './schedulers.ts'
import { everyWrite, randomMoments } from './services.ts'
import { training } from './training.ts'
import { upkeep } from './upkeep.ts'

const POINTS = Number(process.env['KILL_POINTS'] ?? 20)
const SEED = Number(process.env['KILL_SEED'] ?? 1)
const ONLY = process.env['KILL_ONLY']?.split(',')

const ARENAS: Readonly<Record<string, Arena>> = {
  upkeep,
  writes: everyWrite,
  services: randomMoments,
  schedulers: twoSchedulers,
  training,
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** @returns failures. */
async function runArena(name: string): Promise<number> {
  const started = performance.now()
  const folder = await mkdtemp(join(tmpdir(), `firn-kill-${name}-`))
  try {
    return await ARENAS[name]!({ folder, points: POINTS, seed: SEED, say })
  } catch (error) {
    say(`FAILED ${name}: ${String(error)}`)
    return 1
  } finally {
    await rm(folder, { recursive: true, force: true })
    say(`  ${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`)
  }
}

/** Two at a time: most of an arena's time one process works and nothing else. */
async function main(): Promise<number> {
  if (!Number.isInteger(POINTS) || POINTS < 2) throw new Error(`KILL_POINTS must be 2 or more, got ${POINTS}`)
  const names = Object.keys(ARENAS).filter((name) => ONLY === undefined || ONLY.includes(name))
  let failures = 0
  const lane = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) failures += await runArena(name)
  }
  await Promise.all([lane(), lane()])
  return failures
}

const failures = await main()
say(failures === 0 ? 'ok: every killed run was made good by running it again' : `${failures} FAILED`)
process.exitCode = failures === 0 ? 0 : 1
