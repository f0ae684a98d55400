import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { listPage } from '../../../jobs/demo/s3/listing.ts'
import { ObjectMap } from '../../../jobs/demo/s3/state.ts'
import { tag, tags, useServer } from './support.ts'

const server = useServer()
const KEYS = ['a/1', 'a/2', 'a/x/3', 'a-b', 'b/1', 'b/2', 'c', 'd&e <f>', 'ü 1']
beforeAll(async () => {
  for (const Key of KEYS) await server.client.send(new PutObjectCommand({ Bucket: 'lab', Key, Body: Key }))
})
const list = async (query: string): Promise<string> => (await server.send('GET', `/lab?list-type=2&${query}`)).text

test('version 2 lists keys in byte order with size and ETag', async () => {
  const { Contents, KeyCount, IsTruncated } = await server.client.send(new ListObjectsV2Command({ Bucket: 'lab' }))
  expect(Contents?.map(({ Key }) => Key)).toEqual([...KEYS].sort())
  expect(KeyCount).toBe(KEYS.length)
  expect(IsTruncated).toBe(false)
  expect(Contents?.[0]).toMatchObject({ Size: 3, ETag: expect.stringMatching(/^"[0-9a-f]{32}"$/) })
})

test('a delimiter folds what is below into common prefixes, once each', async () => {
  const root = await list('delimiter=/')
  expect(tags(root, 'Key')).toEqual(['a-b', 'c', 'd&amp;e &lt;f&gt;', 'ü 1'])
  expect(tags(root, 'Prefix')).toEqual(['', 'a/', 'b/'])
  const below = await list('delimiter=/&prefix=a/')
  expect(tags(below, 'Key')).toEqual(['a/1', 'a/2'])
  expect(tags(below, 'Prefix')).toEqual(['a/', 'a/x/'])
})

test('pages of one item visit every key and every common prefix once', async () => {
  const seen: string[] = []
  for (let token: string | undefined = ''; token !== undefined; ) {
    const page = await list(`delimiter=/&max-keys=1${token === '' ? '' : `&continuation-token=${token}`}`)
    seen.push(...tags(page, 'Key'), ...tags(page, 'Prefix').slice(1))
    expect(tag(page, 'KeyCount')).toBe('1')
    token = tag(page, 'NextContinuationToken')
    expect(tag(page, 'IsTruncated')).toBe(String(token !== undefined))
  }
  expect(seen).toEqual(['a-b', 'a/', 'b/', 'c', 'd&amp;e &lt;f&gt;', 'ü 1'])
})

test('start-after is exclusive and need not exist', async () => {
  expect(tags(await list('start-after=a/2'), 'Key')).toEqual(['a/x/3', 'b/1', 'b/2', 'c', 'd&amp;e &lt;f&gt;', 'ü 1'])
  expect(tags(await list('start-after=a/15&prefix=a/'), 'Key')).toEqual(['a/2', 'a/x/3'])
})

test('encoding-type=url encodes keys and leaves slashes', async () => {
  expect(tags(await list('encoding-type=url'), 'Key')).toContain('d%26e%20%3Cf%3E')
  expect(tags(await list('encoding-type=url&prefix=%C3%BC'), 'Key')).toEqual(['%C3%BC%201'])
  expect(tag(await list('encoding-type=rot13'), 'Code')).toBe('InvalidArgument')
})

test('max-keys of 0 is an empty page; of nonsense an error; above 1,000 is 1,000', async () => {
  const none = await list('max-keys=0')
  expect([tags(none, 'Key'), tag(none, 'IsTruncated')]).toEqual([[], 'false'])
  expect(tag(await list('max-keys=many'), 'Code')).toBe('InvalidArgument')
  expect(tag(await list('max-keys=5000'), 'MaxKeys')).toBe('1000')
})

test('version 1 pages by marker', async () => {
  const first = (await server.send('GET', '/lab?max-keys=4')).text
  expect(tags(first, 'Key')).toEqual(['a-b', 'a/1', 'a/2', 'a/x/3'])
  const rest = (await server.send('GET', `/lab?marker=${tag(first, 'NextMarker')}`)).text
  expect(tags(rest, 'Key')[0]).toBe('b/1')
  expect(tag(rest, 'IsTruncated')).toBe('false')
})

test('pages put together equal the keys, folded at once (property)', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '-', '0', '😀', '～'), minLength: 1, maxLength: 5 })
  const prefix = fc.string({ unit: fc.constantFrom('a', '/', '-'), maxLength: 2 })
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 20 }),
      prefix,
      fc.constantFrom('', '/', 'a/'),
      fc.integer({ min: 1, max: 4 }),
      (keys, prefix, delimiter, maxKeys) => {
        const objects = new ObjectMap()
        for (const key of keys) {
          objects.set({ key, bytes: new Uint8Array(0), etag: '', lastModifiedMillis: 0, headers: {}, checksums: {} })
        }
        const folded = [...new Set(keys)]
          .filter((key) => key.startsWith(prefix))
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
          .map((key) => {
            const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
            return at < 0 ? key : key.slice(0, at + delimiter.length)
          })
        const expected = [...new Set(folded)]
        const seen: string[] = []
        for (let after: string | undefined = ''; after !== undefined; ) {
          const page = listPage(objects, { prefix, delimiter, after, maxKeys })
          const items = [...page.objects.map((object) => object.key), ...page.commonPrefixes]
          expect(items.length).toBeLessThanOrEqual(maxKeys)
          seen.push(...items)
          after = page.next
        }
        const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
        expect(seen.sort(byBytes)).toEqual(expected.sort(byBytes))
      },
    ),
    { numRuns: 500 },
  )
})
