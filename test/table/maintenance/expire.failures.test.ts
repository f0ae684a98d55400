/** Expiry on a store that fails. */
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { storeUnavailable } from '../../../table/io/store-errors.ts'
import { planExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planOrphans } from '../../../table/maintenance/orphans.ts'
import { DAY, dataNames, lab, smallFile } from './expire-support.ts'

describe('a store that does not answer some deletes', () => {
  async function withFailing(names: number, isFailing: (key: string) => boolean) {
    const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
    const all = Array.from({ length: names }, (_, i) => `f${i}`)
    const files = await Promise.all(all.map((name) => smallFile(at.table, name)))
    let table = (await at.table.append(files)).table
    const removed = files.map(({ filePath }) => filePath)
    table = (await table.commitFiles({ operation: 'delete', added: [], removed })).table
    await at.clock.sleep(10 * DAY)
    const failing: ObjectStore = {
      url: at.store.url,
      put: (key, body, options) => at.store.put(key, body, options),
      get: (key, options) => at.store.get(key, options),
      head: (key, options) => at.store.head(key, options),
      list: (prefix, options) => at.store.list(prefix, options),
      delete: async (key, options) => {
        if (isFailing(key)) throw storeUnavailable(at.store.url, `delete of ${key}`)
        await at.store.delete(key, options)
      },
    }
    const opened = await openCatalog(failing, { clock: at.clock }).loadTable('t.events')
    return { ...at, table: opened, run: () => runExpire(opened, planExpire(opened, {}, at.clock), {}, at.clock) }
  }

  test('the others are deleted, and those are told; orphan removal finds them', async () => {
    const at = await withFailing(10, (key) => key.endsWith('f3.parquet'))
    const { result, table } = await at.run()
    expect(result.failed.map(({ path }) => path)).toEqual([`${table.location}/data/f3.parquet`])
    expect(result.deleted).toMatchObject({ dataFiles: 9, manifests: 1, manifestLists: 1 })
    expect(await dataNames(table)).toEqual(['f3'])
    await at.clock.sleep(4 * DAY)
    expect((await planOrphans(table, {}, at.clock)).orphans.map(({ key }) => key)).toEqual(['data/f3.parquet'])
  })

  test('one that is down is not asked again and again', async () => {
    const asked = new Set<string>()
    const at = await withFailing(60, (key) => asked.add(key).size > 0)
    await expect(at.run()).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
    expect(asked.size).toBeLessThan(50)
  })
})
