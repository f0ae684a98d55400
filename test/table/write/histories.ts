/**
 * Random histories of one table, held against a model of its rows: every operation, with rivals that commit first,
 * answers that are lost, compaction, branches, rollbacks, picks, changes of the partition spec, and deletes of another engine.
 */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { readTasks } from '../../../table/scan/read.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import { defaultSpec, snapshotById } from '../../../table/spec/metadata.ts'
import type { CommitResult, Table } from '../../../table/table.ts'
import { partitionedWriter } from '../../../table/write/partitioned-writer.ts'
import { column, commitFiles, equalityDeletes, positionDeletes, putMetadata } from '../scan/delete-tables.ts'
import { batchOf, EVENTS, eventsTable, faultyPuts, freshStore, readRows, rowsOf, testClock } from '../support.ts'
import { totalsOfFiles, verifySnapshot } from './histories-check.ts'
import { openEvents, raced, row, VERSION_KEY } from './rivals.ts'

const DAY = 86_400_000_000n
const DAYS = 3

interface ModelRow {
  readonly id: string
  readonly day: number
  readonly n: number | null
}
type Model = readonly ModelRow[]
type Branch = { readonly branch?: string }

interface Operation {
  readonly name: string
  run(table: Table, options: Branch): Promise<unknown>
  apply(before: Model): Model
  /** Commits as another engine does, to main alone and at once. */
  readonly isForeign?: boolean
  /** May be refused for what came meanwhile, or as done already: then nothing has changed. */
  readonly mayConflict?: boolean
}

type Random = (below: number) => number

function randomOf(seed: number): Random {
  let state = (Math.imul(seed, 2_654_435_761) >>> 0 || 1) >>> 0
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

const textOf = (rows: Model): string[] => rows.map(({ id, day, n }) => `${id}/${day}/${n}`).sort()
const where = (text: string) => parseWhere(text, EVENTS)

async function modelOf(table: Table, selector: Parameters<Table['snapshotFor']>[0]): Promise<Model> {
  const found = await readRows(table.scan({ columns: ['id', 'at', 'n'], ...selector }))
  return found.map(({ id, at, n }) => ({
    id: id as string,
    day: Number((at as bigint) / DAY),
    n: n as number | null,
  }))
}

const batch = (rows: Model) =>
  batchOf(
    EVENTS,
    rows.map(({ id, day, n }) => row(id, day, n)),
  )

async function filesOf(table: Table, rows: Model): Promise<readonly DataFile[]> {
  const writer = partitionedWriter({ store: table.store, clock: testClock() }, table.metadata)
  await writer.write(batch(rows))
  return writer.close()
}

function randomRows(random: Random, unique = false): Model {
  const rows: ModelRow[] = []
  for (let left = 1 + random(4); left > 0; left--) {
    const id = String.fromCharCode(97 + random(8))
    if (unique && rows.some((each) => each.id === id)) continue
    rows.push({ id, day: random(DAYS), n: random(4) === 0 ? null : random(4) })
  }
  return rows
}

const replacingDays = (before: Model, rows: Model): Model => [
  ...before.filter(({ day }) => !rows.some((each) => each.day === day)),
  ...rows,
]

/** Operations of this package. @param byDay whether all files are of the spec by day. */
function operation(random: Random, byDay: boolean): Operation {
  const n = random(4)
  const rows = randomRows(random)
  const without = (before: Model): Model => before.filter((each) => each.n !== n)
  switch (random(byDay ? 8 : 7)) {
    case 0:
    case 1:
      return {
        name: `append ${textOf(rows)}`,
        run: async (table, options) => table.append(await filesOf(table, rows), options),
        apply: (before) => [...before, ...rows],
      }
    case 2: {
      const keyed = randomRows(random, true)
      return {
        name: `upsert ${textOf(keyed)}`,
        run: (table, options) => table.upsert([batch(keyed)], { key: ['id'], ...options }),
        apply: (before) => [...before.filter(({ id }) => !keyed.some((each) => each.id === id)), ...keyed],
      }
    }
    case 3:
      return {
        name: `delete n = ${n}`,
        run: (table, options) => table.deleteWhere(where(`n = ${n}`), options),
        apply: without,
      }
    case 4: {
      const from = 1 + random(2)
      const filter = where(`at >= '${new Date(from * 86_400_000).toISOString()}' and id < 'e'`)
      return {
        name: `delete day >= ${from} and id < e`,
        run: (table, options) => table.deleteWhere(filter, options),
        apply: (before) => before.filter(({ id, day }) => !(day >= from && id < 'e')),
      }
    }
    case 5:
      return {
        name: `overwrite n != ${n} by ${textOf(rows)}`,
        run: async (table, options) =>
          table.overwrite(await filesOf(table, rows), { filter: where(`n != ${n}`), ...options }),
        apply: (before) => [...before.filter((each) => each.n === null || each.n === n), ...rows],
      }
    case 6: {
      const more = randomRows(random)
      const other = random(4)
      return {
        name: `transaction: append ${textOf(rows)}, delete n = ${n} and n = ${other}, append ${textOf(more)}`,
        run: async (table, options) =>
          table
            .transaction()
            .append(await filesOf(table, rows), options)
            .deleteWhere(where(`n = ${n}`), options)
            .deleteWhere(where(`n = ${other}`), options)
            .append(await filesOf(table, more), options)
            .commit(),
        apply: (before) => [...without(before).filter((each) => each.n !== other), ...rows, ...more],
      }
    }
    default:
      return {
        name: `overwrite days by ${textOf(rows)}`,
        run: async (table, options) =>
          table.overwrite(await filesOf(table, rows), { filter: 'dynamic-partitions', ...options }),
        apply: (before) => replacingDays(before, rows),
      }
  }
}

/** Compaction of main; what it loses to a rival it leaves alone. */
const rewrite: Operation = {
  name: 'rewrite',
  run: async (table) => {
    const plan = await planRewrite(table, { rewriteAll: true })
    const runId = newRunId(systemClock)
    await runRewrite(table, plan, { runId, spillFolder: join(tmpdir(), `firn-histories-${runId}`) })
  },
  apply: (before) => before,
}

/** Another engine's deletes of an id, as equality or position deletes. */
function foreignDelete(random: Random): Operation {
  const id = String.fromCharCode(97 + random(8))
  const isEquality = random(2) === 0
  const deletesOf = async (table: Table): Promise<DataFile[]> => {
    const tasks = await table.scan().planFiles()
    if (isEquality) {
      const places = new Map(tasks.map(({ file }) => [`${file.specId} ${file.partition.map(String)}`, file]))
      return Promise.all(
        [...places.values()].map((place) => equalityDeletes(table, column(EVENTS, 'id'), [{ id }], place)),
      )
    }
    const made: DataFile[] = []
    for (const { file } of tasks) {
      // Positions count rows that are deleted already: each row of the id may be any of the file.
      const positions = Array.from({ length: file.recordCount }, (_, at) => at)
      const ids = await idsOf(table, file)
      const hits = positions.filter((at) => ids[at] === id).map((at) => [file.filePath, at] as const)
      if (hits.length > 0) made.push(await positionDeletes(table, hits, file))
    }
    return made
  }
  return {
    name: `${isEquality ? 'equality' : 'position'} deletes of ${id}`,
    isForeign: true,
    run: async (table) => {
      const made = await deletesOf(table)
      if (made.length === 0) return
      const after = await commitFiles(table, made)
      // The helper writes no totals; the next snapshot of ours is to go on from right ones.
      const head = after.currentSnapshot()!
      const summary = { ...head.summary, ...(await totalsOfFiles(after, head)) }
      const { metadata } = after
      await putMetadata(after, {
        ...metadata,
        lastUpdatedMillis: (metadata.lastUpdatedMillis + 1) as typeof metadata.lastUpdatedMillis,
        snapshots: metadata.snapshots.map((each) => (each === head ? { ...each, summary } : each)),
      })
    },
    apply: (before) => before.filter((each) => each.id !== id),
  }
}

/** Ids of all rows of a file in its order, deleted ones too. */
async function idsOf(table: Table, file: DataFile): Promise<readonly unknown[]> {
  const task = (await table.scan().planFiles()).find((each) => each.file.filePath === file.filePath)!
  const found: unknown[] = []
  const projected = { ...EVENTS, fields: EVENTS.fields.slice(0, 1) }
  const read = readTasks(
    table.store,
    table.location,
    [{ ...task, deletes: [] }],
    EVENTS,
    projected,
    undefined,
    undefined,
  )
  for await (const each of read) found.push(...rowsOf(projected, each).map(({ id }) => id))
  return found
}

/** A pick of one snapshot of a branch; what it did is known from when it was made. */
const pick = (made: CommitResult, of: Operation): Operation => ({
  name: `pick ${of.name}`,
  run: (table, { branch }) =>
    table.cherryPick(made.snapshot!.snapshotId, { ...(branch === undefined ? {} : { branch }) }),
  apply: of.apply,
  mayConflict: true,
})

interface History {
  readonly store: ObjectStore
  readonly random: Random
  readonly models: Map<string, Model>
  readonly log: string[]
  readonly verified: Set<unknown>
  readonly numbers: Map<string, readonly string[]>
  /** Appends and overwrites of days on branches, which can be picked. */
  readonly pickable: Operation[]
  byDay: boolean
}

/** @throws {AssertionError} with the history, when the table is not what the model says. */
export async function runHistory(seed: number, steps = 10): Promise<void> {
  const random = randomOf(seed)
  const store = freshStore()
  const { table } = await eventsTable(store, testClock(seed))
  await table.setProperties({
    'commit.manifest.min-count-to-merge': String(2 + random(4)),
    'commit.manifest.target-size-bytes': String([1, 9_000, 8_388_608][random(3)]),
  })
  const history: History = {
    store,
    random,
    models: new Map([['main', []]]),
    log: [],
    verified: new Set(),
    numbers: new Map(),
    pickable: [],
    byDay: random(2) === 0,
  }
  const fixedSpec = history.byDay
  try {
    for (let step = 0; step < steps; step++) {
      const kind = random(14)
      if (kind === 0 && !fixedSpec) await changeSpec(history)
      else if (kind === 1) await changeBranch(history)
      else if (kind === 2) await goBack(history)
      else await change(history)
      await check(history)
    }
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`seed ${seed}: ${problem}\n${history.log.join('\n')}`, { cause })
  }
}

async function changeSpec({ store, random, log }: History): Promise<void> {
  const table = await openEvents(store)
  const names = defaultSpec(table.metadata).fields.map(({ name }) => name)
  const [name, added] =
    random(2) === 0
      ? (['at_day', { source: 'at', transform: 'day', name: 'at_day' }] as const)
      : (['idb', { source: 'id', transform: 'bucket[2]', name: 'idb' }] as const)
  log.push(`spec: ${names.includes(name) ? 'without' : 'with'} ${name}`)
  await table.updateSpec([names.includes(name) ? { drop: name } : { add: added }])
}

async function changeBranch({ store, random, models, log }: History): Promise<void> {
  const table = await openEvents(store)
  const name = `b${random(2)}`
  if (models.has(name)) {
    log.push(`fast-forward main to ${name}`)
    const moved = await unless(table.fastForward('main', name), ['FIRN_NOT_AN_ANCESTOR'], log)
    if (moved) models.set('main', models.get(name)!)
  } else if (table.currentSnapshot() !== undefined) {
    log.push(`branch ${name}`)
    await table.createBranch(name)
    models.set(name, models.get('main')!)
  }
}

async function goBack({ store, random, models, log }: History): Promise<void> {
  const table = await openEvents(store)
  const { snapshotLog } = table.metadata
  if (snapshotLog.length < 2) return
  const { snapshotId } = snapshotLog[random(snapshotLog.length)]!
  const rows = await modelOf(table, { snapshotId })
  log.push(`back to ${textOf(rows)}`)
  if (await unless(table.rollbackTo(snapshotId), ['FIRN_NOT_AN_ANCESTOR'], log)) models.set('main', rows)
}

async function unless(work: Promise<unknown>, codes: readonly string[], log: string[]): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (!(error instanceof FirnError) || !codes.includes(error.code)) throw error
    log.push(`  refused: ${error.message}`)
    return false
  }
}

async function change(history: History): Promise<void> {
  const { store, random, models, log, byDay, pickable } = history
  const branches = [...models.keys()].filter((name) => name !== 'main')
  const oneOf = (chance: number): string =>
    branches.length > 0 && random(chance) === 0 ? branches[random(branches.length)]! : 'main'
  const picked = pickable.length > 0 && random(4) === 0 ? pickable.splice(random(pickable.length), 1)[0] : undefined
  const own = picked ?? (random(5) === 0 ? rewrite : operation(random, byDay))
  const branch = picked === undefined ? oneOf(3) : 'main'
  const rival = random(2) === 0 ? undefined : random(3) === 0 ? foreignDelete(random) : operation(random, byDay)
  const rivalBranch = rival?.isForeign === true ? 'main' : oneOf(4)
  const fault = ([undefined, undefined, 'before', 'after'] as const)[random(4)]
  log.push(`${branch}: ${own.name}; first on ${rivalBranch}: ${rival?.name}; answer lost ${fault}`)
  let faults = fault === undefined ? 0 : 1
  const faulty = faultyPuts(store, (key) => (VERSION_KEY.test(key) && faults-- > 0 ? fault : undefined))
  const table =
    rival === undefined
      ? await openEvents(faulty)
      : await raced(faulty, async () => {
          await rival.run(await openEvents(store), { branch: rivalBranch })
          models.set(rivalBranch, rival.apply(models.get(rivalBranch)!))
        })
  let result: CommitResult | undefined
  const run = own.run(table, { branch }).then((value) => {
    result = value as CommitResult
  })
  if (own.mayConflict === true) {
    if (!(await unless(run, ['FIRN_COMMIT_CONFLICT', 'FIRN_PICKED_ALREADY'], log))) return
  } else await run
  models.set(branch, own.apply(models.get(branch)!))
  const canBePicked = own.name.startsWith('append') || own.name.startsWith('overwrite days')
  if (branch !== 'main' && canBePicked && result?.snapshot !== undefined) pickable.push(pick(result, own))
}

async function check({ store, models, verified, numbers }: History): Promise<void> {
  const table = await openEvents(store)
  for (const [ref, model] of models) {
    const rows = table.currentSnapshot() === undefined ? [] : await modelOf(table, { ref })
    assert.deepEqual(textOf(rows), textOf(model), `rows of ${ref}`)
  }
  const fresh = table.metadata.snapshots.filter(({ snapshotId }) => !verified.has(snapshotId))
  for (const { snapshotId } of fresh.toSorted((a, b) => a.sequenceNumber - b.sequenceNumber)) {
    verified.add(snapshotId)
    await verifySnapshot(table, snapshotById(table.metadata, snapshotId)!, numbers)
  }
}
