/** Each commit is told of once, whatever its tries and its end. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type CommitMessage, commitChannel, type ScanMessage, scanChannel } from '../../../table/diagnostics.ts'
import { FirnError } from '../../../table/errors.ts'
import { type Catalog, type ObjectStore, openCatalog, openStore, type Table } from '../../../table/index.ts'
import {
  articleRecords,
  fixedClock,
  memoryWarehouse,
  NOON,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../../jobs/compaction/fixture.ts'

const commits: CommitMessage[] = []
const scans: ScanMessage[] = []
let subscriptions: (() => void)[] = []
beforeEach(() => {
  commits.length = 0
  scans.length = 0
  subscriptions = [
    commitChannel.subscribe((message) => void commits.push(message)),
    scanChannel.subscribe((message) => void scans.push(message)),
  ]
})
afterEach(() => {
  for (const end of subscriptions) end()
})

async function filled(): Promise<{ warehouse: Warehouse; table: Table }> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { s: { records: articleRecords(0, 30) } })
  await runCompaction(warehouse)
  return { warehouse, table: await warehouse.catalog.loadTable(TABLE) }
}

/** The catalog over a store on which `act` comes before each put of metadata. */
function catalogOver(store: ObjectStore, act: (key: string) => Promise<void>): Catalog {
  const put: ObjectStore['put'] = async (key, body, options) => {
    if (key.includes('/metadata/v')) await act(key)
    return await store.put(key, body, options)
  }
  return openCatalog({ ...store, put }, { clock: fixedClock(NOON) })
}

test('an append: its counts, and what the table holds then', async () => {
  const { table } = await filled()
  const snapshot = table.currentSnapshot()!
  expect(commits).toHaveLength(1)
  const { summary } = snapshot
  expect(commits[0]).toMatchObject({
    table: TABLE,
    operation: 'append',
    outcome: 'ok',
    attempts: 1,
    recovered: false,
    snapshotId: String(snapshot.snapshotId),
    sequenceNumber: 1,
    counts: {
      addedDataFiles: Number(summary['added-data-files']),
      addedRecords: 30,
      addedFilesSizeBytes: Number(summary['added-files-size']),
      removedDataFiles: 0,
    },
    totals: { records: 30, deleteFiles: 0, snapshots: 1, filesSizeBytes: Number(summary['total-files-size']) },
  })
})

test('a change of metadata has no counts; one that has nothing to change is not told of', async () => {
  const { table } = await filled()
  commits.length = 0
  const tagged = await table.setProperties({ a: 'b' })
  expect(commits).toMatchObject([
    { table: TABLE, operation: 'metadata', outcome: 'ok', snapshotId: undefined, counts: undefined },
  ])
  await tagged.commitUpdates({ isOwn: () => false, requirements: [], prepare: () => [] })
  expect(commits).toHaveLength(1)
})

test('a lost race counts its tries in one message', async () => {
  const { warehouse } = await filled()
  let rivals = 2
  const catalog = catalogOver(warehouse.store, async () => {
    if (rivals-- > 0) await (await warehouse.catalog.loadTable(TABLE)).setProperties({ rival: String(rivals) })
  })
  const table = await catalog.loadTable(TABLE)
  commits.length = 0
  await table.setProperties({ mine: '1' })
  expect(commits.map(({ outcome, attempts }) => [outcome, attempts])).toEqual([
    ['ok', 1],
    ['ok', 1],
    ['ok', 3],
  ])
})

test('the end of a commit that fails says how: conflict, unknown, failed', async () => {
  const { warehouse } = await filled()
  const attempt = async (act: () => Promise<void>): Promise<CommitMessage> => {
    const table = await catalogOver(warehouse.store, act).loadTable(TABLE)
    commits.length = 0
    await table.setProperties({ mine: '1' }).catch(() => {})
    return commits.at(-1)!
  }
  let n = 0
  const lost = await attempt(async () => {
    await (await warehouse.catalog.loadTable(TABLE)).setProperties({ rival: String(n++) })
  })
  expect(lost).toMatchObject({ outcome: 'conflict', errorCode: 'FIRN_COMMIT_CONFLICT', attempts: 5, totals: undefined })
  const failed = await attempt(() => Promise.reject(new FirnError('invalid', 'FIRN_ACCESS_DENIED', 'no')))
  expect(failed).toMatchObject({ outcome: 'failed', errorCode: 'FIRN_ACCESS_DENIED', attempts: 1 })
  let asked = false
  const store = openStore(warehouse.store.url)
  const table = await openCatalog(
    {
      ...store,
      put: async (key, body, options) => {
        if (!key.includes('/metadata/v')) return await store.put(key, body, options)
        asked = true
        throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
      },
      list: (prefix, options) => {
        if (asked) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
        return store.list(prefix, options)
      },
    },
    { clock: fixedClock(NOON) },
  ).loadTable(TABLE)
  commits.length = 0
  await expect(table.setProperties({ mine: '2' })).rejects.toMatchObject({ code: 'FIRN_COMMIT_STATE_UNKNOWN' })
  expect(commits).toMatchObject([{ outcome: 'unknown', errorCode: 'FIRN_COMMIT_STATE_UNKNOWN', table: TABLE }])
})

test('a scan: files that were planned and those that cannot match', async () => {
  const { warehouse } = await filled()
  await stage(warehouse, { s: { records: articleRecords(0, 60) } })
  await runCompaction(warehouse)
  const table = await warehouse.catalog.loadTable(TABLE)
  scans.length = 0
  const all = await table.scan().planFiles()
  const { parseWhere } = await import('../../../table/index.ts')
  const some = await table.scan({ where: parseWhere("article_id = 'article-000001'", table.schemaFor()) }).planFiles()
  expect(scans).toHaveLength(2)
  expect(scans[0]).toMatchObject({
    table: TABLE,
    snapshotId: String(table.currentSnapshot()!.snapshotId),
    totalDataManifests: 2,
    scannedDataManifests: 2,
    skippedDataManifests: 0,
    resultDataFiles: all.length,
    skippedDataFiles: 0,
    totalFileSizeBytes: all.reduce((sum, { file }) => sum + file.fileSizeBytes, 0),
  })
  expect(scans[1]!.resultDataFiles).toBe(some.length)
  expect(scans[1]!.resultDataFiles + scans[1]!.skippedDataFiles).toBe(all.length)
  expect(some.length).toBeLessThan(all.length)
})

test('a listener that throws breaks no commit: it is a warning, once, and the others are told', async () => {
  const warnings: string[] = []
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)))
  subscriptions.push(
    commitChannel.subscribe(() => {
      throw new Error('out of order')
    }),
  )
  try {
    const { table } = await filled()
    const changed = await table.setProperties({ a: 'b' })
    // what a channel catches by itself ends the process at the next turn
    await new Promise((resolve) => setImmediate(resolve))
    expect(changed.metadata.properties['a']).toBe('b')
    expect(commits.map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
    expect(warnings).toEqual([expect.stringMatching(/^a listener of firn:commit failed: Error: out of order\n/)])
  } finally {
    warn.mockRestore()
  }
})
