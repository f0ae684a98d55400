/** Removal of old metadata files: what goes, what stays, and the writers that stalled meanwhile. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { planTrim } from '../../../table/catalog/trim.ts'
import type { Clock } from '../../../table/clock.ts'
import type { ObjectInfo, ObjectStore } from '../../../table/io/object-store.ts'
import type { TableMetadata } from '../../../table/spec/metadata.ts'
import type { Table } from '../../../table/table.ts'
import { eventsTable, faultyPuts, freshStore, readRows, testClock, writeRows } from '../support.ts'

const HOUR = 3_600_000
const versionsIn = async (store: ObjectStore): Promise<number[]> => {
  const found: number[] = []
  for await (const { key } of store.list('t/events/metadata/v')) {
    const match = /v(\d+)\.metadata\.json$/.exec(key)
    if (match !== null) found.push(Number(match[1]))
  }
  return found.sort((a, b) => a - b)
}
const TRIMMED = { 'write.metadata.delete-after-commit.enabled': 'true', 'write.metadata.previous-versions-max': '2' }

async function commits(table: Table, clock: Clock, count: number, waitMillis: number): Promise<Table> {
  let current = table
  for (let n = 0; n < count; n++) {
    await clock.sleep(waitMillis)
    current = (await current.append([])).table
  }
  return current
}

describe('trimming', () => {
  test('versions that are old and out of the log go; the ten newest stay; off unless asked for', async () => {
    const clock = testClock()
    const store = freshStore(clock)
    const { table } = await eventsTable(store, clock)
    const many = await commits(table, clock, 14, HOUR)
    expect(await versionsIn(store)).toHaveLength(15)
    const on = await many.setProperties(TRIMMED)
    expect(await versionsIn(store)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
    await commits(on, clock, 5, HOUR)
    expect(await versionsIn(store)).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
  })

  test('nothing younger than an hour goes, however many commits there are', async () => {
    const clock = testClock()
    const store = freshStore(clock)
    const { table } = await eventsTable(store, clock)
    await commits(await table.setProperties(TRIMMED), clock, 30, 60_000)
    expect(await versionsIn(store)).toHaveLength(32)
  })

  test('what the log names stays, and one commit removes ten at most', () => {
    const info = (n: number): ObjectInfo => ({
      key: `metadata/v${n}.metadata.json`,
      sizeBytes: 1,
      etag: 'e',
      lastModifiedMillis: n * HOUR,
    })
    const versions = new Map(Array.from({ length: 50 }, (_, n) => [n + 1, info(n + 1)] as const))
    const metadata = (logged: readonly number[]) =>
      ({
        properties: TRIMMED,
        metadataLog: logged.map((n) => ({
          metadataFile: `memory://x/metadata/v${n}.metadata.json`,
          timestampMillis: 0,
        })),
      }) as unknown as TableMetadata
    const numbers = (files: readonly ObjectInfo[]) => files.map((file) => Number(/v(\d+)/.exec(file.key)![1]))
    expect(numbers(planTrim(metadata([2, 3]), 50, versions))).toEqual([1, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect(numbers(planTrim(metadata([]), 12, new Map([...versions].slice(0, 12))))).toEqual([1, 2])
  })

  test('a writer whose base is older than half that time starts again from the newest', async () => {
    const clock = testClock()
    const store = freshStore(clock)
    const { table } = await eventsTable(store, clock)
    const patient = { ...TRIMMED, 'commit.retry.total-timeout-ms': String(100 * HOUR) }
    await commits(await table.setProperties(patient), clock, 3, 1)
    let stalled = false
    // Between loading the base and the commit an hour passes, and the table moves on by twelve trimmed versions.
    const slow: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      put: async (key, body, options) => {
        if (key.includes('/snap-') && !stalled) {
          stalled = true
          await commits(await openCatalog(store, { clock }).loadTable('t.events'), clock, 14, HOUR)
          expect(await versionsIn(store)).not.toContain(6)
        }
        if (/v6\.metadata\.json$/.test(key)) throw new Error('it created a version in the gap')
        return store.put(key, body, options)
      },
    }
    const writer = await openCatalog(slow, { clock }).loadTable('t.events')
    const result = await writer.append(await writeRows(writer, [{ id: 'late', at: 0n }], [0]))
    expect(result.attempts).toBe(2)
    expect(await readRows((await table.refresh()).scan({ columns: ['id'] }))).toEqual([{ id: 'late' }])
  })

  test('a removal that fails does not fail the commit', async () => {
    const clock = testClock()
    const store = freshStore(clock)
    const { table } = await eventsTable(store, clock)
    await commits(await table.setProperties(TRIMMED), clock, 14, 1)
    await clock.sleep(2 * HOUR)
    const stuck: ObjectStore = {
      ...faultyPuts(store, () => undefined),
      delete: async () => {
        throw new Error('no')
      },
    }
    const before = await versionsIn(store)
    await (await openCatalog(stuck, { clock }).loadTable('t.events')).append([])
    expect(await versionsIn(store)).toHaveLength(before.length + 1)
  })
})
