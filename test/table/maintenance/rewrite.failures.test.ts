/** What a rewrite does when things go wrong, and when others write at the same time. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { faultyStore, type StoreCall } from '../../../table/io/faulty.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import type { Table } from '../../../table/table.ts'
import { freshStore } from '../support.ts'
import {
  ARTICLES,
  appendFiles,
  articlesFrom,
  ascending,
  contents,
  filesOf,
  interleaved,
  makeTable,
  rewrite,
  withSpillFolder,
  writeFile,
} from './rewrite-support.ts'

const BY_RANGE: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'id_trunc', transform: 'truncate[1000]' }],
}

/** Three partitions of six small files each: three groups. */
async function threeGroups(store: ObjectStore): Promise<Table> {
  const table = await makeTable({ schema: ARTICLES, spec: BY_RANGE, order: [ascending(1)], store })
  const files = []
  for (const first of [0, 1000, 2000]) {
    for (const rows of interleaved(6, 10, 20, first))
      files.push(await writeFile(table, rows, { partition: [BigInt(first)] }))
  }
  return (await table.append(files)).table
}

const reopen = (store: ObjectStore): Promise<Table> => openCatalog(store, { clock: systemClock }).loadTable('t.rows')

describe('a run that dies', () => {
  test('at any call of the store loses the running group at most; a new plan goes on with the rest', async () => {
    const calls = await countCalls()
    let resumed = 0
    for (let at = 1; at <= calls; at += 3) {
      const inner = freshStore()
      const before = await contents(await threeGroups(inner))
      const kill = ({ index }: StoreCall) => (index === at ? ('after' as const) : undefined)
      const dying = await reopen(faultyStore(inner, { seed: 1, clock: systemClock, kill })).catch(() => undefined)
      if (dying === undefined) continue
      // the last calls are not needed for the commit: hints to readers
      await rewrite(dying).catch(() => undefined)
      const found = await reopen(inner)
      expect(await contents(found)).toEqual(before)
      const left = (await planRewrite(found)).groups.length
      if (left < 3) resumed++
      const { table } = await rewrite(found)
      expect(await contents(table)).toEqual(before)
      expect(await filesOf(table)).toHaveLength(3)
      expect((await planRewrite(table)).groups).toEqual([])
    }
    expect(resumed).toBeGreaterThan(3)
  }, 60_000)

  async function countCalls(): Promise<number> {
    const inner = freshStore()
    await threeGroups(inner)
    let calls = 0
    const kill = ({ index }: StoreCall) => {
      calls = index
      return undefined
    }
    await rewrite(await reopen(faultyStore(inner, { seed: 1, clock: systemClock, kill })))
    return calls
  }

  test('leaves no temporary files, also when it is aborted while it sorts', async () => {
    const inner = freshStore()
    const table = await sixFiles(inner)
    const abort = new AbortController()
    const watched = await reopen({
      ...bound(inner),
      get: async (key, options) => {
        const object = await inner.get(key, options)
        if (key.endsWith('.parquet')) abort.abort(new Error('stop it'))
        return object
      },
    })
    const before = await contents(table)
    await expect(rewrite(watched, {}, { signal: abort.signal })).rejects.toThrow('stop it')
    expect(await contents(await table.refresh())).toEqual(before)
  })
})

const sixFiles = async (store: ObjectStore): Promise<Table> =>
  appendFiles(await makeTable({ schema: ARTICLES, order: [ascending(1)], store }), interleaved(6, 50))

const bound = (store: ObjectStore): ObjectStore => ({
  url: store.url,
  put: store.put.bind(store),
  get: store.get.bind(store),
  head: store.head.bind(store),
  list: store.list.bind(store),
  delete: store.delete.bind(store),
})

describe('an output that is not what was written', () => {
  const damaged = (store: ObjectStore, damage: (bytes: Uint8Array) => Uint8Array): ObjectStore => ({
    ...bound(store),
    get: async (key, options) => {
      const object = await store.get(key, options)
      return key.includes('rewritten') ? { ...object, bytes: damage(object.bytes) } : object
    },
  })

  test.each([
    [
      'bytes are flipped',
      (bytes: Uint8Array) => {
        const copy = Uint8Array.from(bytes)
        copy[40] = copy[40]! ^ 0xff
        return copy
      },
    ],
    ['it is cut short', (bytes: Uint8Array) => bytes.slice(0, -20)],
  ])('is not committed when %s', async (_name, damage) => {
    const inner = freshStore()
    const table = await sixFiles(inner)
    const before = await contents(table)
    const watched = await reopen(damaged(inner, damage))
    await expect(rewrite(watched, {}, { runId: 'rewritten' as never })).rejects.toMatchObject({
      code: 'FIRN_REWRITE_DIGEST_MISMATCH',
    })
    const found = await table.refresh()
    expect(found.currentSnapshot()).toEqual(table.currentSnapshot())
    expect(await contents(found)).toEqual(before)
  })

  test('is not committed when it holds other rows of the same number', async () => {
    const inner = freshStore()
    const table = await sixFiles(inner)
    const other = await writeFile(table, articlesFrom(Array.from({ length: 300 }, (_, id) => id + 1)))
    const otherKey = `t/rows/${other.filePath.slice(table.location.length + 1)}`
    const sizes = new Map<string, number>()
    const watched = await reopen({
      ...bound(inner),
      // what the storage keeps under the new name is another file, a valid one
      put: async (key, body, options) => {
        const isSwapped = key.includes('rewritten')
        if (isSwapped) sizes.set(key, body.length)
        return inner.put(key, isSwapped ? (await inner.get(otherKey)).bytes : body, options)
      },
      // as long as the one that was written, as far as its reader can tell
      get: async (key, options) => {
        const size = sizes.get(key)
        if (size === undefined) return inner.get(key, options)
        const { bytes, etag } = await inner.get(key)
        const { start, end } = options!.range!
        const shift = bytes.length - size
        return {
          bytes: bytes.slice(end === size ? Math.max(0, start + shift) : start, end === size ? end + shift : end),
          etag,
        }
      },
    })
    await expect(rewrite(watched, {}, { runId: 'rewritten' as never })).rejects.toMatchObject({
      code: 'FIRN_REWRITE_DIGEST_MISMATCH',
    })
    expect((await table.refresh()).currentSnapshot()).toEqual(table.currentSnapshot())
  })
})

describe('beside other writers', () => {
  test('rows that are appended meanwhile stay', async () => {
    const store = freshStore()
    const table = await threeGroups(store)
    const plan = await planRewrite(table)
    const files = [await writeFile(table, articlesFrom([5000, 5001]), { partition: [5000n] })]
    const { table: grown } = await table.append(files)
    const expected = await contents(grown)
    const result = await withSpillFolder((spillFolder) =>
      runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder }),
    )
    expect(result.result.totals).toMatchObject({ committed: 3, conflicts: 0 })
    expect(await contents(result.table)).toEqual(expected)
  })

  test('rows that are deleted meanwhile stay deleted: that group is lost, the others are done', async () => {
    const store = freshStore()
    const table = await threeGroups(store)
    const plan = await planRewrite(table)
    const { table: shrunk } = await table.deleteWhere(parseWhere('id between 1003 and 1008', ARTICLES))
    const expected = await contents(shrunk)
    const seen: string[] = []
    const { result, table: after } = await withSpillFolder((spillFolder) =>
      runRewrite(table, plan, {
        runId: newRunId(systemClock),
        spillFolder,
        onGroup: ({ outcome, partition }) => seen.push(`${partition} ${outcome}`),
      }),
    )
    expect(seen).toEqual(['id_trunc=0 committed', 'id_trunc=1000 conflict', 'id_trunc=2000 committed'])
    expect(result.totals).toMatchObject({ committed: 2, conflicts: 1 })
    expect(result.groups[1]).toMatchObject({ snapshotId: null, problem: expect.stringContaining('t/rows') })
    expect(await contents(after)).toEqual(expected)
    const again = await rewrite(await reopen(store))
    expect(await contents(again.table)).toEqual(expected)
    expect(again.result.totals).toMatchObject({ committed: 1, conflicts: 0 })
  })

  test('groups that commit together are committed apart when one of them is lost', async () => {
    const store = freshStore()
    const table = await threeGroups(store)
    const plan = await planRewrite(table)
    const { table: shrunk } = await table.deleteWhere(parseWhere('id between 1003 and 1008', ARTICLES))
    const snapshots = shrunk.metadata.snapshots.length
    const { result, table: after } = await withSpillFolder((spillFolder) =>
      runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder, maxCommits: 1 }),
    )
    expect(result.totals).toMatchObject({ committed: 2, conflicts: 1 })
    expect(after.metadata.snapshots).toHaveLength(snapshots + 2)
    expect(await contents(after)).toEqual(await contents(shrunk))
  })

  test('groups that commit together make one snapshot', async () => {
    const table = await threeGroups(freshStore())
    const { result, table: after } = await rewrite(table, {}, { maxCommits: 1 })
    expect(new Set(result.groups.map(({ snapshotId }) => snapshotId)).size).toBe(1)
    expect(after.metadata.snapshots).toHaveLength(2)
  })

  test('an output that was swept away as an orphan before its commit is told, and nothing is replaced', async () => {
    const store = freshStore()
    const before = await contents(await threeGroups(store))
    const outputs: string[] = []
    const swept = await reopen({
      ...bound(store),
      put: async (key, body, options) => {
        const put = await store.put(key, body, options)
        // When the last group is written, the first was verified long ago.
        if (key.includes('/data/') && outputs.push(key) === 3) await store.delete(outputs[0]!)
        return put
      },
    })
    const lost = { code: 'FIRN_REWRITE_OUTPUT_LOST', kind: 'failed' }
    await expect(rewrite(swept, {}, { maxCommits: 1 })).rejects.toMatchObject(lost)
    expect(outputs).toHaveLength(3)
    expect(await contents(await reopen(store))).toEqual(before)
  })

  test('a spec that changes while groups are written is not for them', async () => {
    const store = freshStore()
    const table = await threeGroups(store)
    const before = await contents(table)
    const plan = await planRewrite(table)
    let changed: Promise<Table> | undefined
    const slow = await reopen({
      ...bound(store),
      get: async (key, options) => {
        if (key.endsWith('.parquet')) {
          changed ??= table.updateSpec([{ add: { source: 'id', transform: 'bucket[8]' } }])
          await changed
        }
        return store.get(key, options)
      },
    })
    const { table: after } = await withSpillFolder((spillFolder) =>
      runRewrite(slow, plan, { runId: newRunId(systemClock), spillFolder }),
    )
    expect(after.metadata.defaultSpecId).toBe(1)
    expect(await contents(after)).toEqual(before)
    const found = (await filesOf(after)).map(({ specId, partition }) => `${specId}: ${partition}`)
    expect(found.sort()).toEqual(['0: 0', '0: 1000', '0: 2000'])
  })

  test('a commit whose outcome nobody knows stops the run and deletes nothing', async () => {
    const inner = freshStore()
    await threeGroups(inner)
    const removed: string[] = []
    let isDown = false
    const unlessDown = async <T>(call: () => Promise<T>): Promise<T> => {
      if (isDown) throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
      return call()
    }
    const table = await reopen({
      ...bound(inner),
      get: (key, options) => unlessDown(() => inner.get(key, options)),
      head: (key, options) => unlessDown(() => inner.head(key, options)),
      put: (key, body, options) =>
        unlessDown(async () => {
          const result = await inner.put(key, body, options)
          if (!key.endsWith('.metadata.json')) return result
          isDown = true
          throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
        }),
      delete: async (key) => void removed.push(key),
    })
    await expect(rewrite(table)).rejects.toMatchObject({ kind: 'unknown-commit' })
    expect(removed).toEqual([])
  })
})

describe('a memory limit', () => {
  test('that no file of the target fits into is refused with the one that would do, before anything is written', async () => {
    const table = await appendFiles(await makeTable({ schema: ARTICLES, order: [ascending(1)] }), interleaved(6, 50))
    const keys = async (): Promise<number> => {
      let count = 0
      for await (const _ of table.store.list('')) count++
      return count
    }
    const before = await keys()
    await expect(rewrite(table, {}, { memoryLimitBytes: 100 * 1024 * 1024 })).rejects.toMatchObject({
      code: 'FIRN_MEMORY_LIMIT_TOO_SMALL',
      help: expect.stringMatching(/memoryLimitBytes to \d+ MiB/),
    })
    expect(await keys()).toBe(before)
  })
})

test('a group that does not fit the memory limit stops the run before the first one', async () => {
  const table = await threeGroups(freshStore())
  const plan = await planRewrite(table)
  const groups = plan.groups.map((group, index) => (index === 2 ? { ...group, bytes: 1e9 } : group))
  await withSpillFolder(async (spillFolder) => {
    await expect(
      runRewrite(table, { ...plan, groups }, { runId: newRunId(systemClock), spillFolder }),
    ).rejects.toMatchObject({
      code: 'FIRN_MEMORY_LIMIT_TOO_SMALL',
    })
  })
  expect((await table.refresh()).metadata.snapshots).toHaveLength(1)
})

test('a plan of another table, schema or spec is refused', async () => {
  const [one, other] = [await threeGroups(freshStore()), await threeGroups(freshStore())]
  const plan = await planRewrite(one)
  const changed = [
    other,
    await one.updateSpec([{ add: { source: 'id', transform: 'bucket[8]' } }]),
    await one.updateSchema([{ add: { name: 'author', type: 'string' } }]),
  ]
  for (const table of changed) {
    await withSpillFolder(async (spillFolder) => {
      await expect(runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder })).rejects.toMatchObject({
        code: 'FIRN_PLAN_STALE',
      })
    })
  }
})
