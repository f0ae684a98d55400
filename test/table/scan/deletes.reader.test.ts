/** A delete file is read once for a scan while its content fits into the cache; failures are not kept. */
import { describe, expect, test } from 'vitest'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { DeleteFileTask } from '../../../table/scan/delete-index.ts'
import { createDeleteReader } from '../../../table/scan/deletes.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, readRows, writeRows } from '../support.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from './delete-tables.ts'

/** Keys that were read of the table's store; `fail` makes reads of a key fail once each. */
function spied(store: ObjectStore): { store: ObjectStore; reads: string[]; fail: Set<string> } {
  const get = store.get.bind(store)
  const reads: string[] = []
  const fail = new Set<string>()
  const spy: ObjectStore = {
    url: store.url,
    get: async (key, options) => {
      options?.signal?.throwIfAborted()
      reads.push(key)
      if (fail.delete(key)) throw new Error('weather')
      return get(key, options)
    },
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    put: (key, body, options) => store.put(key, body, options),
    delete: (key, options) => store.delete(key, options),
  }
  return { store: spy, reads, fail }
}

interface Deleted {
  readonly table: Table
  readonly files: readonly DataFile[]
  readonly byPosition: DeleteFileTask
  readonly byValue: DeleteFileTask
}

/** Three data files of three rows, one position delete file over all of them, one equality delete file. */
async function deleted(): Promise<Deleted> {
  let { table } = await eventsTable(freshStore())
  const files: DataFile[] = []
  for (const letter of 'xyz') {
    const rows = [0, 1, 2].map((n) => ({ id: `${letter}${n}`, n, at: 0n }))
    const [file] = await writeRows(table, rows, [0])
    files.push(file!)
    table = (await table.append([file!])).table
  }
  const paths = files.map((file) => file.filePath).sort()
  const byPosition = await positionDeletes(
    table,
    paths.map((path) => [path, 0] as const),
    { partition: [0] },
  )
  const byValue = await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 2 }], { partition: [0] })
  table = await commitFiles(table, [byPosition, byValue])
  const task = (file: DataFile): DeleteFileTask => ({ file, sequenceNumber: 9, columns: column(EVENTS, 'n') })
  return { table, files, byPosition: task(byPosition), byValue: task(byValue) }
}

const keyOf = (table: Table, { file }: DeleteFileTask): string => file.filePath.slice(table.location.length + 1)

describe('delete files of a scan', () => {
  test('are read once, however many data files they apply to', async () => {
    const { table, files, byPosition, byValue } = await deleted()
    const { store, reads } = spied(table.store)
    const reader = createDeleteReader(store, table.location)
    const footers = async (): Promise<number> => {
      const found = await Promise.all(files.map((file) => reader.load(file, [byPosition, byValue])))
      expect(found.map(({ positions }) => positions?.size)).toEqual([1, 1, 1])
      expect(found.every(({ equalities }) => equalities[0]!.keys.has(2))).toBe(true)
      return reads.length
    }
    const first = await footers()
    expect(await footers()).toBe(first)
    const { get } = table.store
    Object.assign(table.store, { get: store.get })
    reads.length = 0
    expect((await readRows(table.scan({ columns: ['id'] }))).map((row) => row['id']).sort()).toEqual(['x1', 'y1', 'z1'])
    const footerOf = (task: DeleteFileTask): number => reads.filter((key) => key === keyOf(table, task)).length
    Object.assign(table.store, { get })
    expect(footerOf(byPosition) + footerOf(byValue)).toBe(first)
  })

  test('are forgotten, the least used first, when they take more than the cache may', async () => {
    const { table, files, byPosition } = await deleted()
    const { store, reads } = spied(table.store)
    const other: DeleteFileTask = {
      ...byPosition,
      file: await positionDeletes(table, [[files[0]!.filePath, 1]], { partition: [0] }),
    }
    // Three positions are 24 bytes, one is 8.
    const roomy = createDeleteReader(store, table.location, { maxCacheBytes: 32 })
    const tight = createDeleteReader(store, table.location, { maxCacheBytes: 31 })
    for (const [reader, again] of [
      [roomy, 0],
      [tight, 1],
    ] as const) {
      await reader.load(files[0]!, [byPosition])
      await reader.load(files[0]!, [other])
      reads.length = 0
      await reader.load(files[0]!, [other])
      expect(reads).toEqual([])
      await reader.load(files[0]!, [byPosition])
      expect(new Set(reads).size).toBe(again)
    }
  })

  test('that could not be read are read again by the next one', async () => {
    const { table, files, byPosition } = await deleted()
    const { store, fail } = spied(table.store)
    const reader = createDeleteReader(store, table.location)
    fail.add(keyOf(table, byPosition))
    await expect(reader.load(files[0]!, [byPosition])).rejects.toThrow('weather')
    expect((await reader.load(files[0]!, [byPosition])).positions?.has(0)).toBe(true)
  })

  test('end with the signal', async () => {
    const { table, files, byPosition, byValue } = await deleted()
    const signal = AbortSignal.abort(new Error('enough'))
    const reader = createDeleteReader(spied(table.store).store, table.location, { signal })
    await expect(reader.load(files[0]!, [byPosition])).rejects.toThrow('enough')
    await expect(reader.load(files[0]!, [byValue])).rejects.toThrow('enough')
  })
})
