/** What runs beside each other: writers, a rewriter, an expirer, a trimmer of old metadata, readers. */
import './synchronous-zlib.ts'
import { FirnError } from '../../table/errors.ts'
import { newSnapshotId, planExpire, runExpire, type SnapshotId, type Table } from '../../table/index.ts'
import type { Intent } from './ledger.ts'
import { liveFiles } from './table-view.ts'
import { FOLDER, type Process, type World } from './world.ts'

export interface Shared {
  /** Writers that have not finished. */
  writing: number
}

/** An actor runs until its work is done; those that serve the writers until `shared.writing` is 0. */
export type Actor = (world: World, shared: Shared) => Promise<void>

const PATIENCE_MILLIS = 5_000

/** `commits` appends, each made until it is acknowledged; what was refused is made anew with another file. */
export function writer(name: string, commits: number, thinkMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    for (let commit = 0; commit < commits; commit++) {
      await process.clock.sleep(random() * thinkMillis)
      for (let isDone = false; !isDone; ) {
        const intent = world.ledger.append(name, 1 + Math.floor(random() * 3))
        process = await commitToTheEnd(world, process, intent, (table, options) => table.append([intent.file], options))
        isDone = intent.fate === 'acknowledged'
      }
    }
    shared.writing--
  }
}

/** Puts files together, again and again. */
export function rewriter(name: string, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    while (shared.writing > 0) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const table = await process.open()
        const start = table.currentSnapshot()
        const live = await liveFiles(process.store, table)
        const first = Math.floor(random() * live.length)
        const removed = live.slice(first, first + 2 + Math.floor(random() * 4))
        if (start === undefined || removed.length < 2) continue
        const intent = world.ledger.rewrite(name, removed)
        process = await commitToTheEnd(world, process, intent, (now, options) =>
          now.replaceFiles(removed, [intent.file], { ...options, startSnapshotId: start.snapshotId }),
        )
      } catch (error) {
        process = survivor(world, process, error)
      }
    }
  }
}

/** Expires all but the newest `keep` snapshots, and deletes what only they led to. */
export function expirer(name: string, keep: number, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    while (shared.writing > 0) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const table = await process.open()
        const { clock } = process
        const plan = planExpire(table, { olderThan: clock.nowMillis(), retainLast: keep }, clock)
        if (plan.snapshots.length > 0) await runExpire(table, plan, { graceMillis: pauseMillis / 4 }, clock)
      } catch (error) {
        process = survivor(world, process, error)
      }
    }
  }
}

/** Deletes metadata files but the newest `keep`, and none younger than `ageMillis`, as a retention rule might. */
export function trimmer(name: string, keep: number, ageMillis: number, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    while (shared.writing > 0) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const versions: { key: string; version: number; lastModifiedMillis: number }[] = []
        for await (const { key, lastModifiedMillis } of process.store.list(`${FOLDER}/metadata/v`)) {
          const version = /\/v(\d+)\.metadata\.json$/.exec(key)?.[1]
          if (version !== undefined) versions.push({ key, version: Number(version), lastModifiedMillis })
        }
        versions.sort((a, b) => a.version - b.version)
        const now = process.clock.nowMillis()
        for (const { key, lastModifiedMillis } of versions.slice(0, -keep)) {
          if (now - lastModifiedMillis > ageMillis) await process.store.delete(key)
        }
      } catch (error) {
        process = survivor(world, process, error)
      }
    }
  }
}

/** Names the current snapshot, again and again, each time by another name. */
export function tagger(name: string, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    for (let count = 0; shared.writing > 0; count++) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const table = await process.open()
        const target = table.currentSnapshot()?.snapshotId
        if (target === undefined) continue
        await table.createTag(`${name}-${count}`, target)
        world.ledger.tags.set(`${name}-${count}`, target)
      } catch (error) {
        if (!FirnError.is(error, 'FIRN_SNAPSHOT_NOT_FOUND')) process = survivor(world, process, error)
      }
    }
  }
}

/** Sees every row that was acknowledged before it began to look. */
export function reader(name: string, pauseMillis: number): Actor {
  return async (world, shared) => {
    const random = world.random(name)
    let process = world.process(name)
    while (shared.writing > 0) {
      await process.clock.sleep(random() * pauseMillis)
      try {
        const owed = world.ledger.intents().filter(({ fate, isRewrite }) => fate === 'acknowledged' && !isRewrite)
        const table = await process.open()
        const seen = new Set((await liveFiles(process.store, table)).flatMap((path) => world.ledger.rowsOf(path)))
        const missing = owed.flatMap(({ rows }) => rows).find((row) => !seen.has(row))
        if (missing !== undefined) {
          world.observer.report('stale-read', `${name} at ${world.time.now()} does not see ${missing}`)
        }
      } catch (error) {
        process = survivor(world, process, error)
      }
    }
  }
}

type CommitOptions = Parameters<Table['append']>[1]

/**
 * Commit `intent` under one snapshot id until its fate is known: an unknown outcome is settled by doing the same again.
 * @returns the process that lives now.
 */
async function commitToTheEnd(
  world: World,
  first: Process,
  intent: Intent,
  commit: (table: Table, options: CommitOptions) => Promise<unknown>,
): Promise<Process> {
  let process = first
  let snapshotId: SnapshotId = newSnapshotId(process.clock)
  const property = `sim.${process.name}`
  for (;;) {
    try {
      const value = String(snapshotId)
      const marker = { setProperties: { [property]: value }, runMarker: { property, value } }
      await commit(await process.open(), { snapshotId, ...marker })
      world.ledger.settle(intent, 'acknowledged')
      return process
    } catch (error) {
      if (FirnError.is(error) && error.kind === 'conflict' && world.protocol.forgetful !== true) {
        world.ledger.settle(intent, 'refused')
        return process
      }
      process = survivor(world, process, error)
      if (world.protocol.forgetful === true) snapshotId = newSnapshotId(process.clock)
      await process.clock.sleep(PATIENCE_MILLIS)
    }
  }
}

/** The process that goes on after `error`. @throws errors that no weather explains. */
function survivor(world: World, process: Process, error: unknown): Process {
  if (FirnError.is(error, 'FIRN_STORE_KILLED')) return world.process(process.name)
  const expected = FirnError.is(error) && (error.retryable || error.kind === 'unknown-commit' || isGone(error))
  if (!expected) throw error
  if (error.cause !== undefined && FirnError.is(error.cause, 'FIRN_STORE_KILLED')) return world.process(process.name)
  return process
}

/** Trimmed or expired between the listing and the read. */
const isGone = (error: FirnError): boolean => error.code === 'FIRN_OBJECT_NOT_FOUND'
