/** Runs that die: at any request to the store, before or after it takes effect. */
import { expect } from 'vitest'
import { openCatalog } from '../../../table/index.ts'
import { dropMemoryStore } from '../../../table/io/memory.ts'
import { unsteady } from '../../ingest/unsteady-store.ts'
import type { Warehouse } from './fixture.ts'

export const closeWarehouse = ({ store }: Warehouse): void => dropMemoryStore(store.url.slice('memory://'.length))

/** The same warehouse through a store that does as it is told. */
export function through(warehouse: Warehouse, around: Parameters<typeof unsteady>[1]): Warehouse {
  const store = unsteady(warehouse.store, around)
  return { ...warehouse, store, catalog: openCatalog(store, { clock: warehouse.clock }) }
}

/** Every request counted, and none served from the one at which the process dies on. */
export function dying(warehouse: Warehouse, at: number, when: 'before' | 'after'): Warehouse {
  let request = 0
  return through(warehouse, async (_name, call) => {
    request++
    if (request > at || (request === at && when === 'before')) throw new Error('killed')
    const result = await call()
    if (request >= at) throw new Error('killed')
    return result
  })
}

async function requestsOf(
  make: () => Promise<Warehouse>,
  run: (warehouse: Warehouse) => Promise<unknown>,
): Promise<number> {
  let requests = 0
  const warehouse = await make()
  await run(
    through(warehouse, (_name, call) => {
      requests++
      return call()
    }),
  )
  closeWarehouse(warehouse)
  return requests
}

/** `run` killed at every request, both before and after it takes effect, then `after`. */
export async function killedEverywhere(
  make: () => Promise<Warehouse>,
  run: (warehouse: Warehouse) => Promise<unknown>,
  after: (warehouse: Warehouse, message: string) => Promise<void>,
): Promise<void> {
  const requests = await requestsOf(make, run)
  expect(requests).toBeGreaterThan(8)
  for (let at = 1; at <= requests; at++) {
    for (const when of ['before', 'after'] as const) {
      const warehouse = await make()
      // what dies after its commit may not notice
      await run(dying(warehouse, at, when)).catch(() => undefined)
      await after(warehouse, `${when} request ${at} of ${requests}`)
      closeWarehouse(warehouse)
    }
  }
}
