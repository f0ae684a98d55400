/** However a history is cut into runs, in whatever order its streams come: the rows of the table are the same. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inlineExecutor } from '../../../../jobs/executors/executor.ts'
import { isNoRollback, planRollback, runRollback } from '../../../../jobs/maintenance/rollback.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { newRunId } from '../../../../table/clock.ts'
import { closeWarehouse } from '../crash-support.ts'
import { loadTable, memoryWarehouse, NOON, TABLE, type Warehouse } from '../fixture.ts'
import { runReplay } from '../replay-support.ts'
import { squeezed } from '../staged-fixture.ts'
import {
  allowLarge,
  expectedRows,
  rewriteAll,
  runScoped,
  scopeDataset,
  stageVersions,
  type Version,
  valuesOf,
  version,
} from './scope-fixture.ts'

const SHARDS = [
  ['a', 'shard-0'],
  ['a', 'shard-1'],
  ['b', 'shard-0'],
] as const

/** A record of one of the shards; whether it is refused until larger ones are allowed. */
interface Draft {
  readonly shard: number
  readonly id: string
  readonly arrival: number
  readonly isLarge: boolean
}

const draft: fc.Arbitrary<Draft> = fc.record({
  shard: fc.integer({ min: 0, max: SHARDS.length - 1 }),
  id: fc.constantFrom('k1', 'k2', 'k3', 'k4', 'm', 'ÿ', '\u{1f600}'),
  // few, so that many are equal, and in no order
  arrival: fc.integer({ min: 0, max: 3 }),
  isLarge: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
})

const versionsOf = (drafts: readonly Draft[]): Version[] =>
  drafts.map(({ shard, id, arrival, isLarge }, index) => {
    const [stream, shardId] = SHARDS[shard]!
    const value = isLarge ? `${index}-${'x'.repeat(2000)}` : `${index}`
    return version(id, value, index + 2, { stream, shard: shardId, arrivalMillis: NOON + arrival })
  })

type Step =
  /** The first records are there, a stream or all of them are compacted. */
  | {
      readonly kind: 'run'
      readonly share: number
      readonly streams: readonly string[]
      readonly tasks: number
      readonly isTiny: boolean
      readonly maxReadBytes: number | undefined
    }
  | { readonly kind: 'rewrite' | 'replay' | 'allow' }
  /** Back to one of the snapshots, whose later records are compacted again. */
  | { readonly kind: 'back'; readonly to: number }

const runStep = fc.record({
  kind: fc.constant('run' as const),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  streams: fc.constantFrom(['a'], ['b'], ['a', 'b'], ['b', 'a']),
  tasks: fc.integer({ min: 1, max: 3 }),
  isTiny: fc.boolean(),
  maxReadBytes: fc.constantFrom(undefined, 1, 1500),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: runStep },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('rewrite' as const, 'replay' as const, 'allow' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('back' as const), to: fc.nat() }) },
)

async function goBack(warehouse: Warehouse, to: number): Promise<void> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const { snapshots } = table.metadata
  if (snapshots.length === 0) return
  const options = { store, table, tableName: TABLE }
  const plan = await planRollback(options, snapshots[to % snapshots.length]!, { reprocess: true })
  if (!isNoRollback(plan)) await runRollback({ ...options, clock, runId: newRunId(clock) }, plan)
}

async function runOf(
  warehouse: Warehouse,
  { streams, tasks, isTiny, maxReadBytes }: Omit<Extract<Step, { kind: 'run' }>, 'kind' | 'share'>,
  keep: 'latest' | 'first',
): Promise<void> {
  const inline = inlineExecutor(warehouse.store)
  const executor = isTiny ? squeezed(inline) : inline
  const dataset = scopeDataset(keep)
  await runScoped(warehouse, { fallbackDataset: dataset, streams, executor, tasks, maxReadBytes, maxBadRatio: 1 })
}

async function exists(warehouse: Warehouse): Promise<boolean> {
  return (await warehouse.catalog.loadTable(TABLE).catch(() => undefined)) !== undefined
}

/** All steps, then what is left of the history, and a replay of what was refused. */
async function live(
  versions: readonly Version[],
  steps: readonly Step[],
  keep: 'latest' | 'first',
  recordsPerChunk: number,
  isVerified = true,
): Promise<string[]> {
  const warehouse = memoryWarehouse()
  // a stream of which nothing is staged cannot be compacted
  const opening = SHARDS.map(([stream, shard], index) =>
    version(`opening-${index}`, 'first', 1, { stream, shard, arrivalMillis: NOON }),
  )
  const all = [...opening, ...versions]
  let landed = opening.length
  await stageVersions(warehouse, opening)
  for (const each of steps) {
    if (each.kind === 'run') {
      landed = Math.max(landed, Math.floor(each.share * all.length))
      await stageVersions(warehouse, all.slice(0, landed), { recordsPerChunk })
      await runOf(warehouse, each, keep)
    } else if (await exists(warehouse)) {
      if (each.kind === 'allow') await allowLarge(warehouse)
      else if (each.kind === 'replay') await runReplay(warehouse)
      else if (each.kind === 'back') await goBack(warehouse, each.to)
      else await rewriteAll(warehouse)
    }
  }
  await stageVersions(warehouse, all, { recordsPerChunk })
  await runOf(warehouse, { streams: ['a', 'b'], tasks: 1, isTiny: false, maxReadBytes: undefined }, keep)
  await allowLarge(warehouse)
  await runReplay(warehouse)
  const rows = await valuesOf(warehouse)
  if (isVerified) {
    const { problems } = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
    // the rewrite is the library's
    expect(problems.filter(({ code }) => code !== 'json-manifest-missing')).toEqual([])
  }
  closeWarehouse(warehouse)
  const openings = rows.filter((row) => row.startsWith('opening-'))
  expect(openings).toHaveLength(SHARDS.length)
  return rows.filter((row) => !openings.includes(row))
}

describe('the rows of a table with one row a key', () => {
  it('are those of its whole history, whatever the runs, their order, tasks, rewrites, replays and ways back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(draft, { minLength: 1, maxLength: 24 }),
        fc.array(step, { maxLength: 6 }),
        fc.constantFrom('latest' as const, 'first' as const),
        fc.integer({ min: 1, max: 5 }),
        async (drafts, steps, keep, recordsPerChunk) => {
          const versions = versionsOf(drafts)
          expect(await live(versions, steps, keep, recordsPerChunk)).toEqual(expectedRows(versions, keep))
        },
      ),
      { numRuns: 25 },
    )
  }, 120_000)

  it.each(['latest', 'first'] as const)(
    'are the same for every cut of one history, keeping the %s',
    async (keep) => {
      const at = (id: string, sequence: number, shard: number, arrival: number): Version => {
        const [stream, shardId] = SHARDS[shard]!
        return version(id, `${sequence}`, sequence + 1, { stream, shard: shardId, arrivalMillis: NOON + arrival })
      }
      const history = [at('x', 1, 0, 5), at('x', 2, 2, 5), at('y', 3, 1, 1), at('x', 4, 1, 5), at('y', 5, 2, 1)]
      const expected = keep === 'latest' ? ['x=2', 'y=5'] : ['x=1', 'y=3']
      expect(expectedRows(history, keep)).toEqual(expected)
      for (let cuts = 0; cuts < 2 ** history.length; cuts++) {
        const steps = history.flatMap((_each, index): Step[] => {
          if ((cuts & (1 << index)) === 0) return []
          const share = (SHARDS.length + index + 1) / (SHARDS.length + history.length)
          return [{ kind: 'run', share, streams: ['a', 'b'], tasks: 1, isTiny: false, maxReadBytes: undefined }]
        })
        expect(await live(history, steps, keep, 10, false), cuts.toString(2)).toEqual(expected)
      }
    },
    120_000,
  )
})
