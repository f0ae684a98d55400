/** Rewrites of manifests beside everything else, and the broom at the end. */
import './synchronous-zlib.ts'
import { describe, expect, test } from 'vitest'
import {
  FirnError,
  openCatalog,
  planExpire,
  planManifests,
  planOrphans,
  runExpire,
  runManifests,
  runOrphans,
} from '../../table/index.ts'
import { referencedKeys } from '../table/maintenance/expire-support.ts'
import { type Actor, expirer, reader, rewriter } from './actors.ts'
import { simulate } from './simulate.ts'
import { TABLE } from './world.ts'

const DAY = 86_400_000

/** Puts manifests together, again and again. */
function manifestRewriter(name: string, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    while (shared.writing > 0) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const table = await process.open()
        await runManifests(table, await planManifests(table, { rewriteAll: random() < 0.3 }), {}, process.clock)
      } catch (error) {
        if (!isWeather(error)) throw error
        process = world.process(name)
      }
    }
  }
}

/** Days after the last commit: expires, removes orphans, as often as it takes, and looks what is left. */
function broom(name: string, swept: string[]): Actor {
  return async (world, shared) => {
    let process = world.process(name)
    while (shared.writing > 0) await process.clock.sleep(60_000)
    await process.clock.sleep(10 * DAY)
    for (let isDone = false; !isDone; ) {
      try {
        const { clock } = process
        const opened = await process.open()
        const { table } = await runExpire(opened, planExpire(opened, {}, clock), {}, clock)
        const { result } = await runOrphans(table, await planOrphans(table, {}, clock), { force: true })
        swept.push(String(result.deleted))
        isDone = result.changed.length === 0
      } catch (error) {
        if (!isWeather(error)) throw error
        process = world.process(name)
      }
    }
    // Deletes that were late, by now.
    await process.clock.sleep(DAY)
    const table = await openCatalog(world.objects, { clock: process.clock }).loadTable(TABLE)
    const owed = await referencedKeys(table)
    for await (const { key } of table.store.list('')) {
      // A put that arrives late may leave the object that was asked for the time, until the next run.
      if (!owed.has(key) && !/\/v\d+\.metadata\.json$|\/clock-probe\.tmp$/.test(key))
        throw new Error(`${key} was left behind`)
    }
  }
}

/** A death, or no answer, or somebody was faster. */
const isWeather = (error: unknown): boolean =>
  FirnError.is(error) &&
  (error.retryable ||
    error.kind === 'unknown-commit' ||
    ['FIRN_STORE_KILLED', 'FIRN_OBJECT_NOT_FOUND'].includes(error.code))

describe('with manifests rewritten and snapshots expired in between, and orphans removed in the end', () => {
  const swept: string[] = []

  test.each([1, 4, 9])('seed %i: no row is lost, and nothing is left that the table does not lead to', async (seed) => {
    const pace = 500
    const helpers = [
      rewriter('rewriter', 6 * pace),
      expirer('expirer', 6, 4 * pace),
      manifestRewriter('manifests', 3 * pace),
      reader('reader', 4 * pace),
      broom('broom', swept),
    ]
    const result = await simulate({ seed, writers: 4, commits: 8, pace: 'busy', helpers })
    expect(result.findings).toEqual([])
  })

  test('there was something to sweep: otherwise the weather was too good to mean anything', () => {
    expect(swept.map(Number).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0)
  })
})
