import './synchronous-zlib.ts'
import { expect, test } from 'vitest'
import { openCatalog, type Table } from '../../table/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { freshStore, testClock } from '../table/support.ts'
import { Ledger } from './ledger.ts'
import { liveFiles } from './table-view.ts'
import { FOLDER, TABLE } from './world.ts'

const DEFINITION = {
  schema: { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'row', required: true, type: 'string' }] },
  partitionSpec: { specId: 0, fields: [] },
  sortOrder: { orderId: 0, fields: [] },
  properties: {},
} as const

/** Clocks that stand still, behind the table's: every commit takes the millisecond after its base's. */
const behind = (seed: number) => ({ ...testClock(seed), nowMillis: testClock(1, 1_000).nowMillis })

/** Right before the stalled writer's create of version 2, `meanwhile` happens. */
function stalled(store: ObjectStore, meanwhile: () => Promise<void>): ObjectStore {
  let isFirst = true
  return {
    url: store.url,
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    put: async (key, body, options) => {
      if (isFirst && key === `${FOLDER}/metadata/v2.metadata.json`) {
        isFirst = false
        await meanwhile()
      }
      return store.put(key, body, options)
    },
  }
}

async function expire(table: Table, keep: number): Promise<Table> {
  const snapshotIds = table.metadata.snapshots.slice(0, -keep).map(({ snapshotId }) => snapshotId)
  const gone = (found: readonly { readonly snapshotId: unknown }[]): boolean =>
    !found.some(({ snapshotId }) => snapshotIds.some((id) => id === snapshotId))
  return table.commitUpdates({
    requirements: [],
    isOwn: ({ snapshots }) => gone(snapshots),
    prepare: () => [{ action: 'remove-snapshots', snapshotIds }],
  })
}

test.each([
  ['the rival snapshot is still there', false],
  ['the rival snapshot has expired', true],
])('a commit into a gap, with the timestamp of the removed version, is made again: %s', async (_, expires) => {
  const store = freshStore(testClock(3))
  await openCatalog(store, { clock: testClock(2) }).createTable(TABLE, DEFINITION)
  const ledger = new Ledger(`${store.url}/${FOLDER}`)
  const rivals = Array.from({ length: 4 }, () => ledger.append('rival', 1))
  const meanwhile = async (): Promise<void> => {
    let table = await openCatalog(store, { clock: behind(5) }).loadTable(TABLE)
    for (const { file } of rivals) table = (await table.append([file])).table
    if (expires) await expire(table, 2)
    await store.delete(`${FOLDER}/metadata/v2.metadata.json`)
  }
  const own = ledger.append('stalled', 1)
  const writer = openCatalog(stalled(store, meanwhile), { clock: behind(7) })
  const done = await (await writer.loadTable(TABLE)).append([own.file])
  expect(done.attempts).toBe(2)
  const newest = await openCatalog(store, { clock: testClock(2) }).loadTable(TABLE)
  const wanted = [...rivals, own].map(({ file }) => file.filePath)
  expect([...(await liveFiles(store, newest))].sort()).toEqual(wanted.sort())
})
