/** A store that tells of its requests, and costs nothing while nobody listens. */
import { afterEach, expect, test } from 'vitest'
import { newUuid, systemClock } from '../../../table/clock.ts'
import { type StoreRequest, storeChannel } from '../../../table/diagnostics.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { observedStore } from '../../../table/io/observed.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

let nowMillis = 0
/** Every request takes 7 ms. */
const clock = {
  ...systemClock,
  monotonicMillis: () => {
    nowMillis += 7
    return nowMillis
  },
}
const heard: StoreRequest[] = []
let end = (): void => {}
const listen = (): void => {
  heard.length = 0
  end = storeChannel.subscribe((message) => {
    if (message.kind === undefined) heard.push(message)
  })
}
afterEach(() => end())

const NAME = 'observed'
const open = (): ObjectStore => {
  dropMemoryStore(NAME)
  return observedStore(openMemoryStore(NAME, { clock }), clock)
}

test('tells operation, outcome, bytes and time of each request', async () => {
  const store = open()
  listen()
  await store.put('a', new Uint8Array(10))
  await store.put('a', new Uint8Array(1), { ifNoneMatch: '*' }).catch(() => {})
  await store.get('a', { range: { start: 2, end: 6 } })
  await store.get('b').catch(() => {})
  await store.head('a')
  await store.delete('a')
  const aborted = AbortSignal.abort(new Error('stop'))
  await Promise.resolve()
    .then(() => store.get('a', { signal: aborted }))
    .catch(() => {})
  expect(heard.map(({ op, outcome, bytes }) => [op, outcome, bytes])).toEqual([
    ['put', 'ok', 10],
    ['put', 'conflict', 0],
    ['get', 'ok', 4],
    ['get', 'not_found', 0],
    ['head', 'ok', 0],
    ['delete', 'ok', 0],
    ['get', 'aborted', 0],
  ])
  expect(new Set(heard.map(({ durationMillis }) => durationMillis))).toEqual(new Set([7]))
})

test('a listing is told of once, when it ends or is left, with the time that its reader waited', async () => {
  const store = open()
  for (const key of ['a', 'b', 'c']) await store.put(key, new Uint8Array(1))
  listen()
  for await (const _info of store.list('')) nowMillis += 1000 // the reader's own time
  for await (const _info of store.list('')) break
  expect(heard).toEqual([
    { op: 'list', outcome: 'ok', bytes: 0, durationMillis: 28 },
    { op: 'list', outcome: 'ok', bytes: 0, durationMillis: 7 },
  ])
})

test('a failure goes through as it is, and without a listener the clock is not even asked', async () => {
  const failure = new Error('broken')
  const broken = observedStore({ ...openMemoryStore(NAME), get: () => Promise.reject(failure) }, clock)
  const before = nowMillis
  await expect(broken.get('a')).rejects.toBe(failure)
  expect(nowMillis).toBe(before)
  listen()
  await expect(broken.get('a')).rejects.toBe(failure)
  expect(heard).toMatchObject([{ op: 'get', outcome: 'failed' }])
})

objectStoreContract('observed, with a listener', async () => {
  const name = newUuid(systemClock)
  const unsubscribe = storeChannel.subscribe(() => {})
  return {
    store: observedStore(openMemoryStore(name)),
    close: async () => {
      unsubscribe()
      dropMemoryStore(name)
    },
  }
})
