import { expect, test } from 'vitest'
import { dryRunStore } from '../../jobs/dry-run-store.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)
const keys = async (store: ObjectStore, startAfter?: string): Promise<string[]> => {
  const found = []
  for await (const { key } of store.list('p/', startAfter === undefined ? {} : { startAfter })) found.push(key)
  return found
}

test('reads through, keeps writes and deletes to itself, and lists both in order', async () => {
  const base = openMemoryStore('dry-run-test', {})
  const { etag } = await base.put('p/b', bytes('base'))
  await base.put('p/d', bytes('base'))
  const dry = dryRunStore(base)
  await dry.put('p/a', bytes('new'), { ifNoneMatch: '*' })
  await dry.put('p/c', bytes('new'))
  await dry.put('p/b', bytes('changed'), { ifMatch: etag })
  await dry.delete('p/d')
  expect(await keys(dry)).toEqual(['p/a', 'p/b', 'p/c'])
  expect(await keys(dry, 'p/a')).toEqual(['p/b', 'p/c'])
  expect(text((await dry.get('p/b', { range: { start: 0, end: 6 } })).bytes)).toBe('change')
  await expect(dry.get('p/d')).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  expect(await dry.head('p/d')).toBeUndefined()
  expect(await keys(base)).toEqual(['p/b', 'p/d'])
  expect(text((await base.get('p/b')).bytes)).toBe('base')
})

test('conditions hold across both layers', async () => {
  const base = openMemoryStore('dry-run-conditions', {})
  await base.put('k', bytes('base'))
  const dry = dryRunStore(base)
  const refused = { code: 'FIRN_PRECONDITION_FAILED' }
  await expect(dry.put('k', bytes('x'), { ifNoneMatch: '*' })).rejects.toMatchObject(refused)
  await expect(dry.put('k', bytes('x'), { ifMatch: '"stale"' })).rejects.toMatchObject(refused)
  await dry.put('new', bytes('x'), { ifNoneMatch: '*' })
  await expect(dry.put('new', bytes('y'), { ifNoneMatch: '*' })).rejects.toMatchObject(refused)
  await expect(dry.delete('k', { ifMatch: '"stale"' })).rejects.toMatchObject(refused)
  const { etag } = await dry.get('k')
  await dry.delete('k', { ifMatch: etag })
  await dry.delete('k', { ifMatch: etag })
  expect(await dry.head('k')).toBeUndefined()
})
