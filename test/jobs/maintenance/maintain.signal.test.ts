/** A signal in the middle of maintenance: a commit that has begun comes to its end, nothing else begins. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import { maintain } from '../../../jobs/maintenance/maintain.ts'
import type { MaintainPart } from '../../../jobs/settings/maintain.ts'
import { type ObjectStore, openCatalog } from '../../../table/index.ts'
import { TABLE } from '../compaction/fixture.ts'
import { agedWarehouse } from './prune/aged-warehouse.ts'

const STOP = new Error('told to stop')
const METADATA = /\/metadata\/v\d+\.metadata\.json$/

/** A store that hears of the stop when the metadata of a commit is on its way, and heeds it. */
function stoppedAtCommit(store: ObjectStore, stop: AbortController): ObjectStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name !== 'put') return Reflect.get(target, name, target) as unknown
      const put: ObjectStore['put'] = async (key, bytes, options) => {
        if (METADATA.test(key)) stop.abort(STOP)
        options?.signal?.throwIfAborted()
        return await target.put(key, bytes, options)
      }
      return put
    },
  })
}

test.each(['rewrite', 'manifests', 'expire'] as const)(
  '%s ends the commit that it is at, and no more',
  async (part) => {
    const warehouse = agedWarehouse()
    for (let end = 3; end <= 36; end += 3) {
      await warehouse.land(end)
      await warehouse.compact()
    }
    warehouse.later(100)
    const before = await warehouse.load()
    const stop = new AbortController()
    const store = stoppedAtCommit(warehouse.store, stop)
    const only: readonly MaintainPart[] = [part, 'leftovers']
    const config = { ...loadConfig({ env: {}, cwd: '/nowhere' }), maintain: { manifests: { enabled: true } } }
    const options = { ...warehouse, store, catalog: openCatalog(store, warehouse), config, table: TABLE, only }
    const ends = { signal: stop.signal, commitSignal: new AbortController().signal }
    const log = pino({ level: 'silent' })
    await warehouse.store.put('_spill/dead/0/part', Buffer.from('spilled'))
    warehouse.later(100)
    await expect(maintain({ ...options, log, ...ends })).rejects.toBe(STOP)
    const after = await warehouse.load()
    expect(after.metadataLocation, 'one commit').not.toBe(before.metadataLocation)
    expect(after.metadata.metadataLog.length - before.metadata.metadataLog.length).toBe(1)
    expect(await warehouse.store.head('_spill/dead/0/part'), 'leftovers did not begin').toBeDefined()
  },
)
