import { expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { subStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { keysOf, text, utf8 } from '../../contract/object-store.ts'

test.each([
  ['s3://my-bucket', 's3://my-bucket'],
  ['s3://my-bucket/', 's3://my-bucket'],
  ['s3://my-bucket/a/b c=d%20/', 's3://my-bucket/a/b c=d%20'],
  ['S3://my.bucket-1/x', 's3://my.bucket-1/x'],
  ['memory://name/', 'memory://name'],
  ['memory://name/a/b', 'memory://name/a/b'],
  ['file:///data/', 'file:///data'],
])('%s opens as %s', (url, expected) => {
  expect(openStore(url, { s3: { region: 'us-east-1' } }).url).toBe(expected)
})

test.each([
  '',
  'warehouse',
  '/data/warehouse',
  './data',
  'C:\\data',
  'file:data',
  'file:./data',
  'file://data/warehouse',
  'file:///data?x=1',
  'file:///data#x',
  'file:///data/%00',
  'file:///data/%zz',
  's3:',
  's3:bucket',
  's3:/bucket',
  's3://',
  's3:///key',
  's3://b',
  's3://my bucket/x',
  's3://bucket//x',
  's3://bucket/a/../b',
  's3://user:secret@bucket/x',
  's3a://bucket/x',
  's3n://bucket/x',
  'gs://bucket/x',
  'https://bucket.s3.amazonaws.com/x',
  'memory:',
  'memory:///',
  'memory://n/../x',
])('%j is refused as a warehouse URL, with the forms that are accepted', (url) => {
  let error: unknown
  try {
    openStore(url)
  } catch (thrown) {
    error = thrown
  }
  expect(FirnError.is(error, 'FIRN_BAD_WAREHOUSE_URL')).toBe(true)
  expect(error).toMatchObject({ kind: 'invalid', help: expect.stringContaining('file://') })
})

test('two opens of one memory URL share their objects, also through a prefix', async () => {
  await openStore('memory://shared/ns/table').put('k', utf8('x'))
  expect(await keysOf(openStore('memory://shared'), '')).toEqual(['ns/table/k'])
  expect(await keysOf(openStore('memory://other'), '')).toEqual([])
})

test('a subStore opened again by its URL is the same place', async () => {
  const store = subStore(openStore('memory://again/wh'), 'ns/table/')
  await store.put('k', utf8('x'))
  expect(store.url).toBe('memory://again/wh/ns/table')
  expect(text((await openStore(store.url).get('k')).bytes)).toBe('x')
})

test('a subStore of nothing is the store itself', () => {
  const store = openStore('memory://itself')
  expect(subStore(store, '')).toBe(store)
})

test('credentials in a URL are refused without being repeated', () => {
  expect(() => openStore('s3://id:secret@bucket/x')).toThrow(/^(?!.*secret).*bucket name/)
})
