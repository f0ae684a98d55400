/** Tables worth copying, and what a copy must have in common with them. */
import { expect } from 'vitest'
import { openTableAt } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { type CopyOptions, type CopyResult, copyTable } from '../../../table/maintenance/copy.ts'
import { collectDigest } from '../../../table/maintenance/rewrite/digest.ts'
import type { Table } from '../../../table/table.ts'
import { commitFiles, positionDeletes } from '../scan/delete-tables.ts'
import { eventsTable, freshStore, writeRows } from '../support.ts'

/** 2023-11-14, and the day after. */
export const DAY = 19675
export const at = (day: number, n: number): bigint => BigInt(day) * 86_400_000_000n + BigInt(n)
export const event = (day: number, n: number): { id: string; at: bigint; n: number } => ({
  id: `e${String(n).padStart(4, '0')}`,
  at: at(day, n),
  n,
})

/** Three snapshots: two appends, then position deletes in both days. */
export async function tableWithDeletes(store: ObjectStore = freshStore()): Promise<Table> {
  const { table } = await eventsTable(store)
  const first = await writeRows(table, [event(DAY, 1), event(DAY, 2), event(DAY, 3)], [DAY])
  const one = (await table.append(first)).table
  const second = await writeRows(one, [event(DAY + 1, 4), event(DAY + 1, 5)], [DAY + 1])
  const two = (await one.append(second)).table
  const path = (index: number, files: typeof first): string => files[index]!.filePath
  const deletes = await positionDeletes(two, [[path(0, first), 1]], { partition: [DAY] })
  const others = await positionDeletes(two, [[path(0, second), 0]], { partition: [DAY + 1] })
  return commitFiles(two, [deletes, others])
}

export const copyTo = (table: Table, target: ObjectStore, options: Partial<CopyOptions> = {}): Promise<CopyResult> =>
  copyTable(table, target, { clock: systemClock, ...options })

export const reopen = (store: ObjectStore): Promise<Table> => openTableAt(store, { clock: systemClock })

export async function digests(table: Table): Promise<readonly string[]> {
  const found: string[] = []
  for (const { snapshotId } of table.metadata.snapshots) {
    const digest = collectDigest()
    for await (const batch of table.scan({ snapshotId }).batches()) digest.add(batch)
    const { rows, hash } = digest.digest()
    found.push(`${snapshotId} ${rows} ${hash}`)
  }
  return found
}

export async function keysOf(store: ObjectStore): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  return keys
}

/** Bytes of every object, to see that nothing was touched. */
export async function everything(store: ObjectStore): Promise<ReadonlyMap<string, string>> {
  const objects = new Map<string, string>()
  for (const key of await keysOf(store)) objects.set(key, Buffer.from((await store.get(key)).bytes).toString('base64'))
  return objects
}

/** Nothing in the copy, Parquet pages aside, leads back to where it came from. */
export async function expectSelfContained(copy: ObjectStore, source: string): Promise<void> {
  for (const [key, base64] of await everything(copy)) {
    expect(Buffer.from(base64, 'base64').includes(source), key).toBe(false)
  }
}
