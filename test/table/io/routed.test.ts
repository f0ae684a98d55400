import { expect, test } from 'vitest'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { subStore } from '../../../table/io/object-store.ts'
import { routedStore } from '../../../table/io/routed.ts'
import { failureOf, keysOf, objectStoreContract, text, utf8 } from '../../contract/object-store.ts'
import { freshStore } from '../support.ts'

objectStoreContract('a routed store without other places', async () => ({
  store: routedStore(freshStore(), {}),
  close: async () => {},
}))

const outside = { kind: 'invalid', code: 'FIRN_PATH_OUTSIDE_TABLE' }

async function opened(): Promise<{ table: ObjectStore; other: ObjectStore; nested: ObjectStore; routed: ObjectStore }> {
  const [table, other, nested] = [freshStore(), freshStore(), freshStore()]
  await table.put('x', utf8('of the table'))
  await other.put('a/x', utf8('of the other'))
  await nested.put('x', utf8('of the nested'))
  const routed = routedStore(table, { 's3a://other/': other, 's3://other/nested': nested })
  return { table, other, nested, routed }
}

test('reads the allowed places, the most precise one first, and its own keys as before', async () => {
  const { routed } = await opened()
  expect(text((await routed.get('x')).bytes)).toBe('of the table')
  expect(text((await routed.get('s3://other/a/x')).bytes)).toBe('of the other')
  expect(text((await routed.get('s3://other/nested/x', { range: { start: 0, end: 2 } })).bytes)).toBe('of')
  expect(await routed.head('s3://other/a/x')).toMatchObject({ key: 's3://other/a/x', sizeBytes: 12 })
  expect(await routed.head('s3://other/none')).toBeUndefined()
})

test('a name that only begins like an allowed place is refused, and so is every way up', async () => {
  const { routed } = await opened()
  for (const url of ['s3://other2/a/x', 's3://elsewhere/x', 'file:///etc/passwd']) {
    expect(await failureOf(routed.get(url))).toMatchObject(outside)
    expect(await failureOf(routed.head(url))).toMatchObject(outside)
  }
  expect((await failureOf(routed.get('s3://other/nested/../a/x'))).code).toBe('FIRN_INVALID_KEY')
})

test('nothing is written or deleted in other places', async () => {
  const { routed, other } = await opened()
  expect(await failureOf(routed.put('s3://other/a/y', utf8('y')))).toMatchObject(outside)
  expect(await failureOf(routed.delete('s3://other/a/x'))).toMatchObject(outside)
  expect(await keysOf(other, '')).toEqual(['a/x'])
  expect(await keysOf(routed, '')).toEqual(['x'])
})

test('stores that were not told of other places refuse every one of them, below a prefix too', async () => {
  const base = freshStore()
  for (const store of [base, subStore(base, 'ns/table'), subStore(subStore(base, 'ns'), 'table')]) {
    const url = 's3://other/a/x'
    for (const call of [store.get(url), store.head(url), store.put(url, utf8('x')), store.delete(url)]) {
      expect(await failureOf(call)).toMatchObject({ ...outside, detail: { path: url, location: store.url } })
    }
  }
})
