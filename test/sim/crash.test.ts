import './synchronous-zlib.ts'
import { describe, expect, test } from 'vitest'
import { newSnapshotId, openCatalog, systemClock, type Table } from '../../table/index.ts'
import { type FaultyStoreOptions, faultyStore } from '../../table/io/faulty.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { failureOf, text } from '../contract/object-store.ts'
import { freshStore, testClock } from '../table/support.ts'
import { type Intent, Ledger } from './ledger.ts'
import { liveFiles } from './table-view.ts'
import { FOLDER, TABLE } from './world.ts'

interface Scene {
  readonly store: ObjectStore
  readonly removed: readonly Intent[]
  readonly added: Intent
}

async function scene(): Promise<Scene> {
  const store = freshStore()
  const catalog = openCatalog(store, { clock: testClock(1) })
  let table = await catalog.createTable(TABLE, {
    schema: { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'row', required: true, type: 'string' }] },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: { 'commit.manifest.min-count-to-merge': '2' },
  })
  const ledger = new Ledger(`${store.url}/${FOLDER}`)
  const removed = [ledger.append('first', 2), ledger.append('first', 3)]
  for (const { file } of removed) table = (await table.append([file])).table
  return {
    store,
    removed,
    added: ledger.rewrite(
      'second',
      removed.map(({ file }) => file.filePath),
    ),
  }
}

const snapshotId = newSnapshotId(testClock(99))
const COMMITS = {
  append: (table: Table, { added }: Scene) => table.append([added.file], { snapshotId }),
  replace: (table: Table, { added, removed }: Scene) =>
    table.replaceFiles(
      removed.map(({ file }) => file.filePath),
      [added.file],
      { snapshotId, startSnapshotId: table.metadata.snapshots[1]?.snapshotId },
    ),
}

describe.each(['append', 'replace'] as const)('a process that dies at any request of its %s', (kind) => {
  const run = async (place: Scene, kill?: FaultyStoreOptions['kill']): Promise<void> => {
    const options = { seed: 1, clock: systemClock, ...(kill === undefined ? {} : { kill }) }
    const catalog = openCatalog(faultyStore(place.store, options), { clock: testClock(7) })
    await COMMITS[kind](await catalog.loadTable(TABLE), place)
  }

  async function expectOnce({ store, removed, added }: Scene): Promise<void> {
    const table = await openCatalog(store, { clock: testClock(8) }).loadTable(TABLE)
    const kept = kind === 'append' ? removed.map(({ file }) => file.filePath) : []
    expect([...(await liveFiles(store, table))].sort()).toEqual([...kept, added.file.filePath].sort())
    expect(table.metadata.snapshots).toHaveLength(3)
    expect(table.metadataLocation).toMatch(/\/v4\.metadata\.json$/)
    expect(text((await store.get(`${FOLDER}/metadata/version-hint.text`)).bytes)).toMatch(/^[34]$/)
  }

  test.each(['before', 'after'] as const)(
    '%s it takes effect: the next one finds or makes the commit',
    async (when) => {
      let requests = 0
      await run(await scene(), ({ index }) => {
        requests = index
        return undefined
      })
      expect(requests).toBeGreaterThan(8)
      for (let victim = 1; victim <= requests; victim++) {
        const place = await scene()
        const outcome = await run(place, ({ index }) => (index === victim ? when : undefined)).then(
          () => undefined,
          (error: unknown) => error,
        )
        // Raising the hint is not part of the commit: its failure is nobody's.
        if (outcome !== undefined) expect(['failed', 'unknown-commit']).toContain((await failed(outcome)).kind)
        await run(place)
        await expectOnce(place)
      }
    },
  )
})

const failed = (outcome: unknown) => failureOf(Promise.reject(outcome as Error))
