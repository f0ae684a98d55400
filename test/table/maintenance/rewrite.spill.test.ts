/** Groups that do not fit into memory, and several files of output. */
import { readdirSync } from 'node:fs'
import { rm, writeFile as writeText } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type GroupWork, writeGroup } from '../../../table/maintenance/rewrite/group-run.ts'
import { resolveSettings } from '../../../table/maintenance/rewrite/options.ts'
import { planRewrite } from '../../../table/maintenance/rewrite.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { Table } from '../../../table/table.ts'
import {
  ARTICLES,
  appendFiles,
  ascending,
  contents,
  filesOf,
  interleaved,
  makeTable,
  noise,
  rewrite,
  withSpillFolder,
} from './rewrite-support.ts'

const workOf = async (table: Table, spillFolder: string): Promise<GroupWork> => ({
  table,
  tasks: await table.scan().planFiles(),
  settings: resolveSettings(table.metadata, { targetFileSizeBytes: 1 << 20 }),
  isRepartitioned: false,
  budget: { runBytes: 5_000, residentBytes: 0, chunkBytes: 1_000, fanIn: 3 },
  spillFolder,
  fileNamePrefix: 'work',
})

describe('a group that is larger than its memory', () => {
  test('is spilled, sorted and written, and leaves nothing on the disk', async () => {
    const table = await appendFiles(
      await makeTable({ schema: ARTICLES, order: [ascending(1)] }),
      interleaved(6, 50, 100),
    )
    const rows = await contents(table)
    await withSpillFolder(async (folder) => {
      const { files, digest } = await writeGroup(await workOf(table, folder))
      expect(digest.rows).toBe(300)
      const { table: after } = await table.replaceFiles(
        (await filesOf(table)).map(({ filePath }) => filePath),
        files.map(({ dataFile }) => dataFile),
        { startSnapshotId: table.currentSnapshot()!.snapshotId },
      )
      expect(await contents(after)).toEqual(rows)
    })
  })

  test('leaves nothing on the disk either when it is aborted between two row groups', async () => {
    const table = await appendFiles(
      await makeTable({ schema: ARTICLES, order: [ascending(1)] }),
      interleaved(6, 50, 100),
    )
    await withSpillFolder(async (folder) => {
      const abort = new AbortController()
      const work = await workOf(table, folder)
      let spilled = 0
      const store = {
        ...work.table.store,
        url: table.store.url,
        put: table.store.put.bind(table.store),
        get: async (...args: Parameters<Table['store']['get']>) => {
          spilled = Math.max(spilled, readdirSync(folder).length)
          if (spilled > 0) abort.abort(new Error('stop it'))
          return table.store.get(...args)
        },
      }
      const watched = new Proxy(table, {
        get: (target, name) => (name === 'store' ? store : Reflect.get(target, name, target)),
      })
      await expect(writeGroup({ ...work, table: watched }, { signal: abort.signal })).rejects.toThrow('stop it')
      expect(spilled).toBe(1)
    })
  })

  test('says so when the disk does not take it', async () => {
    const table = await appendFiles(
      await makeTable({ schema: ARTICLES, order: [ascending(1)] }),
      interleaved(6, 50, 100),
    )
    await expect(
      withSpillFolder(async (folder) => {
        const file = join(folder, 'no-folder')
        await writeText(file, '')
        await writeGroup(await workOf(table, file)).finally(() => rm(file))
      }),
    ).rejects.toMatchObject({ code: 'FIRN_SPILL_FAILED', help: expect.stringContaining('spillFolder') })
  })
})

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'url', required: false, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'int' },
    { id: 3, name: 'pad', required: false, type: 'string' },
  ],
}

test('several files of output do not overlap and are not rewritten again, whatever their keys have in common', async () => {
  const key = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c') },
    { weight: 3, arbitrary: fc.nat(30).map((page) => `https://example.com/a/long/way/${page}`) },
    { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 24 }) },
    { weight: 1, arbitrary: fc.constant(null) },
  )
  const row = fc.record({
    url: key,
    n: fc.option(fc.integer({ min: 0, max: 9 })),
    chars: fc.integer({ min: 50, max: 600 }),
  })
  const files = fc.array(fc.array(row, { minLength: 20, maxLength: 60 }), { minLength: 3, maxLength: 6 })
  const direction = fc.constantFrom('asc' as const, 'desc' as const)
  const nullOrder = fc.constantFrom('nulls-first' as const, 'nulls-last' as const)
  await fc.assert(
    fc.asyncProperty(files, direction, nullOrder, async (some, way, nulls) => {
      let seed = 0
      const padded = some.map((rows) => rows.map(({ chars, ...rest }) => ({ ...rest, pad: noise(seed++, chars) })))
      const order = [ascending(1, { direction: way, nullOrder: nulls }), ascending(2)]
      const table = await appendFiles(await makeTable({ schema: SCHEMA, order, rowGroupRows: 4 }), padded)
      const before = await contents(table)
      const options = { targetFileSizeBytes: 20_000 }
      const { table: after, result } = await rewrite(table, options)
      expect(await contents(after)).toEqual(before)
      expect(result.overlapDepth.after).toBeLessThanOrEqual(1)
      expect((await planRewrite(after, options)).groups).toEqual([])
      const sizes = (await filesOf(after)).map(({ fileSizeBytes }) => fileSizeBytes).sort((a, b) => a - b)
      for (const size of sizes) expect(size).toBeLessThan(1.8 * 20_000)
      // Where a file ends is judged by how the rows before it compressed, so the last one may be short when those at
      // the end are of another kind. A row group of four rows is a tenth of such a file.
      for (const size of sizes.slice(1)) expect(size).toBeGreaterThan(0.65 * 20_000)
    }),
    { numRuns: 25, endOnFailure: true },
  )
}, 60_000)
