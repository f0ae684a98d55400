/** Every operation when the answer to its commit is lost: it happens exactly once, whether it took effect or not. */
import { expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { FirnError } from '../../../table/errors.ts'
import type { SnapshotId } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { batchOf, EVENTS, eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const ids = async (table: Table, ref?: string): Promise<string> =>
  (await readRows((await table.refresh()).scan({ columns: ['id'], ref })))
    .map((row) => row['id'])
    .sort()
    .join()
const add = async (table: Table, id: string, branch?: string) =>
  table.append(await writeRows(table, [{ id, at: 0n }], [0]), { branch })
const head = (table: Table): SnapshotId => table.currentSnapshot()!.snapshotId
const where = (text: string) => parseWhere(text, EVENTS)

/** A table with rows a, b on main and a, b, d, e on the branch dev. */
async function prepared() {
  const store = freshStore()
  const { table } = await eventsTable(store, testClock())
  const one = (await add(table, 'a')).table
  const two = (await add(one, 'b')).table
  const dev = await add(await two.createBranch('dev'), 'd', 'dev')
  const last = (await add(dev.table, 'e', 'dev')).table
  return {
    store,
    first: head(one),
    picked: dev.snapshot!.snapshotId,
    next: Number(/v(\d+)/.exec(last.metadataLocation)![1]) + 1,
  }
}
type Prepared = Awaited<ReturnType<typeof prepared>>

const operations: readonly (readonly [string, (table: Table, at: Prepared) => Promise<unknown>, string])[] = [
  ['append', (table) => add(table, 'c'), 'a,b,c'],
  ['deleteWhere', (table) => table.deleteWhere(where("id = 'a'")), 'b'],
  [
    'overwrite',
    async (table) => table.overwrite(await writeRows(table, [{ id: 'o', at: 0n }], [0]), { filter: where("id = 'a'") }),
    'b,o',
  ],
  [
    'overwrite of partitions',
    async (table) =>
      table.overwrite(await writeRows(table, [{ id: 'o', at: 0n }], [0]), { filter: 'dynamic-partitions' }),
    'o',
  ],
  [
    'upsert',
    (table) =>
      table.upsert(
        [
          batchOf(EVENTS, [
            { id: 'a', at: 5n },
            { id: 'u', at: 0n },
          ]),
        ],
        { key: ['id'] },
      ),
    'a,b,u',
  ],
  [
    'replaceFiles',
    async (table) => {
      const files = (await table.scan().planFiles()).map((task) => task.file)
      const rows = await readRows(table.scan())
      await table.replaceFiles(files, await writeRows(table, rows, [0]), { startSnapshotId: head(table) })
    },
    'a,b',
  ],
  ['rollbackTo', (table, { first }) => table.rollbackTo(first), 'a'],
  ['cherryPick', (table, { picked }) => table.cherryPick(picked), 'a,b,d'],
  ['fastForward', (table) => table.fastForward('main', 'dev'), 'a,b,d,e'],
  [
    'transaction',
    async (table) =>
      table
        .transaction()
        .setProperties({ x: 'y' })
        .append(await writeRows(table, [{ id: 'c', at: 0n }], [0]))
        .commit(),
    'a,b,c',
  ],
  ['updateSchema', (table) => table.updateSchema([{ add: { name: 'x', type: 'long' } }]), 'a,b'],
  ['updateSpec', (table) => table.updateSpec([{ add: { source: 'n', transform: 'identity' } }]), 'a,b'],
  ['setSortOrder', (table) => table.setSortOrder([{ column: 'n' }]), 'a,b'],
  ['setProperties', (table) => table.setProperties({ x: 'y' }), 'a,b'],
  ['createTag', (table) => table.createTag('v1'), 'a,b'],
  ['removeRef', (table) => table.removeRef('dev'), 'a,b'],
  ['setRefRetention', (table) => table.setRefRetention('dev', { minSnapshotsToKeep: 3 }), 'a,b'],
]

const losses = [
  'before it took effect',
  'after it took effect',
  'after it took effect, and it cannot be read back',
] as const

test.each(operations.flatMap((each) => losses.map((loss) => [each[0], loss, ...each] as const)))(
  '%s, lost %s',
  async (_name, loss, _again, run, expected) => {
    const at = await prepared()
    const isNext = (key: string): boolean => key.endsWith(`/v${at.next}.metadata.json`)
    let faults = 1
    const flaky = faultyPuts(at.store, (key) =>
      isNext(key) && faults-- > 0 ? (loss === losses[0] ? 'before' : 'after') : undefined,
    )
    let deaf = loss === losses[2]
    const store: ObjectStore = {
      ...flaky,
      get: async (key, options) => {
        if (isNext(key) && deaf) {
          deaf = false
          throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'time-out')
        }
        return at.store.get(key, options)
      },
    }
    const table = await openCatalog(store, { clock: testClock() }).loadTable('t.events')
    const before = table.metadata.snapshots.length
    await run(table, at)
    expect(deaf).toBe(false)
    expect(await ids(table)).toBe(expected)
    const now = await table.refresh()
    expect(now.metadataLocation).toContain(`v${at.next}.metadata.json`)
    expect(now.metadata.snapshots.length - before).toBeLessThanOrEqual(1)
    expect(Number(now.currentSnapshot()!.summary['total-records'])).toBe(expected.split(',').length)
  },
)
