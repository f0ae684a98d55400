/** A rival that commits just before one's own try, and rows read back in few letters. */
import { openCatalog } from '../../../table/catalog/open.ts'
import type { Clock } from '../../../table/clock.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import type { Table } from '../../../table/table.ts'
import { faultyPuts, readRows, type TestRow, testClock } from '../support.ts'

export const VERSION_KEY: RegExp = /v\d+\.metadata\.json$/
const DAY = 86_400_000_000n

export const row = (id: string, day = 0, n: number | null = null): TestRow => ({ id, at: BigInt(day) * DAY, n })

export const openEvents = async (store: ObjectStore, clock: Clock = testClock()): Promise<Table> =>
  openCatalog(store, { clock }).loadTable('t.events')

/** The events table as seen by somebody before whose first `times` commits `meanwhile` happens. */
export async function raced(
  store: ObjectStore,
  meanwhile: (other: Table) => Promise<unknown>,
  times = 1,
  clock: Clock = testClock(),
): Promise<Table> {
  let left = times
  const racing: ObjectStore = {
    ...faultyPuts(store, () => undefined),
    put: async (key, body, options) => {
      if (VERSION_KEY.test(key) && left > 0) {
        left--
        await meanwhile(await openEvents(store))
      }
      return store.put(key, body, options)
    },
  }
  return openEvents(racing, clock)
}

/** `id=n` or `id` of every row of the newest version, sorted. */
export async function rows(table: Table, ref?: string): Promise<readonly string[]> {
  const found = await readRows((await table.refresh()).scan({ columns: ['id', 'n'], ref }))
  return found.map(({ id, n }) => (n === null ? String(id) : `${id}=${n}`)).sort()
}
