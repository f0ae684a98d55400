/** Plans of tables, and stores that keep a record of what is asked of them. */
import type { DatasetOptions } from '../../../loader/index.ts'
import { resolveOptions } from '../../../loader/options.ts'
import type { LoaderPlan } from '../../../loader/source/plan.ts'
import { planTable } from '../../../loader/source/plan-table.ts'
import { type ObjectStore, openCatalog, systemClock, type Table } from '../../../table/index.ts'

export type Choices = Omit<DatasetOptions, 'warehouse' | 'table' | 'batch'> & Partial<Pick<DatasetOptions, 'batch'>>

export async function planOf(table: Table, choices: Choices = {}): Promise<LoaderPlan> {
  const options = resolveOptions({ warehouse: table.store.url, table: 't.rows', batch: { size: 64 }, ...choices })
  return planTable(table, table.snapshotFor(options.selector)!, options, { storeOptions: {} })
}

export interface Requests {
  readonly gets: string[]
  bytes: number
}

export function recorded(store: ObjectStore): { readonly store: ObjectStore; readonly requests: Requests } {
  const requests: Requests = { gets: [], bytes: 0 }
  const recording: ObjectStore = {
    url: store.url,
    put: (...args) => store.put(...args),
    head: (...args) => store.head(...args),
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    get: async (key, options) => {
      const object = await store.get(key, options)
      requests.gets.push(key)
      requests.bytes += object.bytes.length
      return object
    },
  }
  return { store: recording, requests }
}

export const reopened = async (store: ObjectStore, name = 't.rows'): Promise<Table> =>
  openCatalog(store, { clock: systemClock }).loadTable(name)
