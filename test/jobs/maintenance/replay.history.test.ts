/** Replays in the history of a table: histories of runs, replays, rollbacks and expiries against a small model. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { previewReplay } from '../../../jobs/compaction/refused/replay.ts'
import { expireTable } from '../../../jobs/maintenance/expire-table.ts'
import { isNoRollback, planRollback, runRollback } from '../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { newRunId } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { planExpire, type SnapshotId } from '../../../table/index.ts'
import { dropMemoryStore } from '../../../table/io/memory.ts'
import {
  loadTable,
  memoryWarehouse,
  runCompaction,
  stage,
  TABLE,
  type TestRecord,
  type Warehouse,
} from '../compaction/fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../compaction/replay-support.ts'

/** Text of a record, and the bounds under which it passes: the first all, the last only the largest. */
const SIZES = [10, 900, 3000] as const
const BOUNDS = [500, 2000, 8000] as const

type Step =
  | { readonly kind: 'publish'; readonly sizes: readonly number[] }
  | { readonly kind: 'rules'; readonly bound: number }
  | { readonly kind: 'compact' }
  | { readonly kind: 'replay'; readonly object?: number | undefined }
  | { readonly kind: 'rollback'; readonly to: number; readonly reprocess: boolean }
  | { readonly kind: 'expire'; readonly picks: readonly number[] }

interface State {
  readonly rows: readonly string[]
  /** Records that were read. */
  readonly read: number
  /** Objects that count, each with its records. */
  readonly refused: readonly (readonly string[])[]
}

const size = fc.constantFrom(0, 1, 2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      sizes: fc.array(size, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rules' as const), bound: size }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('replay' as const), object: fc.option(fc.nat(4), { nil: undefined }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('rollback' as const), to: fc.nat(9), reprocess: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('expire' as const),
      picks: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
    }),
  },
)

/** A table and what it should hold. */
class Story {
  readonly #warehouse: Warehouse = memoryWarehouse()
  readonly #records: TestRecord[] = []
  readonly #classes = new Map<string, number>()
  readonly #states = new Map<SnapshotId, State>()
  #bound = 0
  #state: State = { rows: [], read: 0, refused: [] }
  #expired = false
  refusals = 0

  async play(steps: readonly Step[]): Promise<void> {
    await stage(this.#warehouse, { a: { records: [] } })
    await this.#do({ kind: 'publish', sizes: [0, 1, 2] })
    await this.#do({ kind: 'compact' })
    for (const each of steps) {
      await this.#do(each)
      await this.#compare(each)
    }
    // whatever was refused passes in the end: nothing was lost on the way
    await this.#do({ kind: 'rules', bound: 2 })
    await this.#do({ kind: 'compact' })
    await this.#do({ kind: 'replay' })
    await this.#compare({ kind: 'replay' })
    expect(this.#state.refused).toEqual([])
    // nor came twice
    expect(new Set(this.#state.rows).size).toBe(this.#state.rows.length)
    const table = await loadTable(this.#warehouse)
    expect((await verifyTable({ table, warehouse: this.#warehouse.store })).problems).toEqual([])
    dropMemoryStore(this.#warehouse.store.url.slice('memory://'.length))
  }

  async #compare(after: Step): Promise<void> {
    const message = JSON.stringify(after)
    expect(await idsOf(this.#warehouse), message).toEqual([...this.#state.rows].sort())
    expect(await refusedIds(this.#warehouse), message).toEqual(this.#state.refused.flat().sort())
  }

  readonly #passes = (id: string): boolean => this.#classes.get(id)! <= this.#bound

  async #do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'publish':
        return this.#publish(step.sizes)
      case 'rules':
        this.#bound = step.bound
        await setLargestRecord(BOUNDS[step.bound]!, this.#warehouse)
        return
      case 'compact':
        return await this.#compact()
      case 'replay':
        return await this.#replay(step.object)
      case 'rollback':
        return await this.#rollback(step.to, step.reprocess)
      case 'expire':
        return await this.#expire(step.picks)
    }
  }

  async #publish(sizes: readonly number[]): Promise<void> {
    for (const each of sizes) {
      const [record] = sized(`s${each}`, this.#records.length + 1, 1, SIZES[each]!)
      this.#records.push(record!)
      this.#classes.set((record!.data as { article_id: string }).article_id, each)
    }
    await stage(this.#warehouse, { a: { records: this.#records } })
  }

  /** What a run that read `ids` makes of the state. */
  #after(ids: readonly string[], change: Partial<State>): State {
    const { rows, read, refused } = { ...this.#state, ...change }
    const failed = ids.filter((id) => !this.#passes(id))
    return {
      read,
      rows: [...rows, ...ids.filter(this.#passes)],
      refused: failed.length === 0 ? refused : [...refused, failed],
    }
  }

  async #compact(): Promise<void> {
    const ids = [...this.#classes.keys()]
    const result = await runCompaction(this.#warehouse, { dataset: setLargestRecord(BOUNDS[0]), maxBadRatio: 1 })
    expect(result.nothing_to_do).toBe(ids.length === this.#state.read)
    if (result.nothing_to_do) return
    this.#reached(this.#after(ids.slice(this.#state.read), { read: ids.length }), result.snapshot_id)
  }

  async #replay(number: number | undefined): Promise<void> {
    const objects = await previewReplay({ ...this.#warehouse, table: TABLE })
    const { refused } = this.#state
    expect(objects.length).toBe(refused.length)
    const picked = number === undefined || refused.length === 0 ? undefined : number % refused.length
    const choice = picked === undefined ? {} : { objects: [objects[picked]!.id] }
    const result = await runReplay(this.#warehouse, choice)
    const ids = picked === undefined ? refused.flat() : refused[picked]!
    const changes = ids.some(this.#passes)
    expect([result.nothing_to_do, result.unchanged]).toEqual([!changes, !changes && ids.length > 0])
    if (!changes) return
    const left = picked === undefined ? [] : refused.filter((_, index) => index !== picked)
    this.#reached(this.#after(ids, { refused: left }), result.snapshot_id)
  }

  #reached(state: State, snapshot: string | null): void {
    this.#state = state
    this.#states.set(BigInt(snapshot!) as SnapshotId, state)
  }

  async #rollback(to: number, reprocess: boolean): Promise<void> {
    const { store, clock } = this.#warehouse
    const table = await loadTable(this.#warehouse)
    const { snapshots } = table.metadata
    const target = snapshots[to % snapshots.length]!
    const options = { store, table, tableName: TABLE }
    try {
      const plan = await planRollback(options, target, { reprocess })
      const then = this.#states.get(target.snapshotId)!
      const next = reprocess ? then : { ...this.#state, rows: then.rows }
      if (isNoRollback(plan)) {
        expect(next.rows.toSorted()).toEqual(this.#state.rows.toSorted())
        expect(next.read).toBe(this.#state.read)
        expect(next.refused).toEqual(this.#state.refused)
        return
      }
      const { snapshotId } = await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
      this.#reached(next, String(snapshotId))
    } catch (error) {
      // what is read again, or counts as refused again, is not restored as well
      if (FirnError.is(error, 'FIRN_ROLLBACK_REPEATS') && !reprocess) return
      // only what has expired may keep a table from going back
      const isRefused = FirnError.is(error, 'FIRN_REPROCESS_IMPOSSIBLE') || FirnError.is(error, 'FIRN_NOT_AN_ANCESTOR')
      if (!isRefused || !this.#expired) throw error
      this.refusals++
    }
  }

  async #expire(picks: readonly number[]): Promise<void> {
    const { store, clock } = this.#warehouse
    const table = await loadTable(this.#warehouse)
    const ids = table.metadata.snapshots.map(({ snapshotId }) => snapshotId).slice(0, -1)
    const snapshotIds = [...new Set(picks.flatMap((pick) => ids[pick % Math.max(1, ids.length)] ?? []))]
    const head = table.currentSnapshot()!.snapshotId
    const leaving = snapshotIds.filter((id) => id !== head)
    if (leaving.length === 0) return
    this.#expired = true
    const plan = planExpire(table, { snapshotIds: leaving }, clock)
    const { result } = await expireTable({ store, table, tableName: TABLE, plan, graceMillis: 0, clock })
    expect(result.snapshotIds.length).toBe(leaving.length)
  }
}

test('rows and refused records are those of a model, whatever is run, replayed, undone and expired', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      await new Story().play(steps)
    }),
    { numRuns: 60 },
  )
}, 60_000)
