import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ObjectStore, openStore } from '../../../table/index.ts'

let folder: string
let store: ObjectStore

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-into-'))
  store = openStore(pathToFileURL(folder).href)
  await store.put('ten', Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
})
afterAll(() => rm(folder, { recursive: true }))

test('a file is read into memory that the caller has, where that is large enough', async () => {
  const room = new Uint8Array(8).fill(255)
  const { bytes } = await store.get('ten', { range: { start: 2, end: 7 }, into: room })
  expect([...bytes]).toEqual([2, 3, 4, 5, 6])
  expect([...room]).toEqual([2, 3, 4, 5, 6, 255, 255, 255])
  const { bytes: more } = await store.get('ten', { into: room })
  expect([...more]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(room[0]).toBe(2)
})
