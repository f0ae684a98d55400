import { createHash } from 'node:crypto'
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { describe, expect, test } from 'vitest'
import { parseRange } from '../../../jobs/demo/s3/objects.ts'
import { tag, tags, useServer } from './support.ts'

const server = useServer()
const put = (key: string, body: string, headers: Record<string, string> = {}) =>
  server.send('PUT', `/lab/${key}`, { body, headers })

describe('put, get, head, delete', () => {
  test('a get gives back bytes, MD5 as ETag, type and metadata', async () => {
    const md5 = createHash('md5').update('hello').digest('hex')
    const headers = { 'content-type': 'text/x-firn', 'x-amz-meta-run': '7', 'cache-control': 'no-store' }
    expect((await put('hello', 'hello', headers)).headers.get('etag')).toBe(`"${md5}"`)
    for (const method of ['GET', 'HEAD']) {
      const answer = await server.send(method, '/lab/hello')
      expect(answer.status).toBe(200)
      expect(answer.text).toBe(method === 'GET' ? 'hello' : '')
      expect(Object.fromEntries(answer.headers)).toMatchObject({ ...headers, etag: `"${md5}"`, 'content-length': '5' })
      expect(Date.parse(answer.headers.get('last-modified')!)).toBeGreaterThan(Date.now() - 3_600_000)
    }
  })

  test('a missing key, bucket and subresource are S3 errors in XML, without a body for HEAD', async () => {
    const cases = [
      ['GET', '/lab/none', 404, 'NoSuchKey'],
      ['GET', '/nobucket/none', 404, 'NoSuchBucket'],
      ['PUT', '/nobucket/none', 404, 'NoSuchBucket'],
      ['GET', '/lab?acl', 501, 'NotImplemented'],
      ['GET', '/lab/k?tagging', 501, 'NotImplemented'],
      ['PATCH', '/lab/k', 405, 'MethodNotAllowed'],
      ['GET', '/lab/%zz', 400, 'InvalidURI'],
    ] as const
    for (const [method, path, status, code] of cases) {
      const answer = await server.send(method, path)
      expect([answer.status, tag(answer.text, 'Code')], path).toEqual([status, code])
      expect(answer.headers.get('content-type')).toBe('application/xml')
    }
    expect(await server.send('HEAD', '/lab/none')).toMatchObject({ status: 404, text: '' })
  })

  test('what a request says about itself cannot break out of the error document', async () => {
    const answer = await server.send('GET', '/lab/<Code>%3CInjected%3E</Code>&"')
    expect(tags(answer.text, 'Code')).toEqual(['NoSuchKey'])
    expect(answer.text).not.toContain('<Injected>')
  })

  test('keys that S3 has and a file system has not live side by side', async () => {
    const keys = ['d', 'd/', 'd/e', 'd//e', '..%2F..', '%0A', 'a%2Bb+c']
    for (const key of keys) expect((await put(key, key)).status).toBe(200)
    for (const key of keys) expect((await server.send('GET', `/lab/${key}`)).text).toBe(key)
  })

  test('delete answers 204 whether or not there was an object', async () => {
    await put('gone', 'x')
    expect((await server.send('DELETE', '/lab/gone')).status).toBe(204)
    expect((await server.send('DELETE', '/lab/gone')).status).toBe(204)
    expect((await server.send('GET', '/lab/gone')).status).toBe(404)
  })

  test('DeleteObjects removes many keys, unescapes them and reports each', async () => {
    const keys = ['m/1', 'm/a&b <c>', 'm/absent']
    for (const Key of keys.slice(0, 2))
      await server.client.send(new PutObjectCommand({ Bucket: 'lab', Key, Body: 'x' }))
    const Objects = keys.map((Key) => ({ Key }))
    const { Deleted } = await server.client.send(new DeleteObjectsCommand({ Bucket: 'lab', Delete: { Objects } }))
    expect(Deleted?.map(({ Key }) => Key)).toEqual(keys)
    expect(tags((await server.send('GET', '/lab?list-type=2&prefix=m/')).text, 'Key')).toEqual([])
    const broken = await server.send('POST', '/lab?delete', { body: '<Nothing/>' })
    expect(tag(broken.text, 'Code')).toBe('MalformedXML')
  })

  test('CopyObject keeps the metadata unless told to replace it', async () => {
    await put('from', 'x', { 'x-amz-meta-a': '1' })
    await server.client.send(new CopyObjectCommand({ Bucket: 'lab', Key: 'to', CopySource: 'lab/from' }))
    const kept = await server.client.send(new HeadObjectCommand({ Bucket: 'lab', Key: 'to' }))
    expect(kept.Metadata).toEqual({ a: '1' })
    const replace = { MetadataDirective: 'REPLACE', Metadata: { z: '2' } } as const
    await server.client.send(new CopyObjectCommand({ Bucket: 'lab', Key: 'to', CopySource: '/lab/from', ...replace }))
    const replaced = await server.client.send(new HeadObjectCommand({ Bucket: 'lab', Key: 'to' }))
    expect(replaced.Metadata).toEqual({ z: '2' })
  })
})

describe('conditions', () => {
  test('If-None-Match: * creates once; other values are not implemented, as on S3', async () => {
    expect((await put('c1', 'x', { 'if-none-match': '*' })).status).toBe(200)
    const second = await put('c1', 'y', { 'if-none-match': '*' })
    expect([second.status, tag(second.text, 'Code')]).toEqual([412, 'PreconditionFailed'])
    expect((await put('c1', 'y', { 'if-none-match': '"e"' })).status).toBe(501)
    expect((await server.send('GET', '/lab/c1')).text).toBe('x')
  })

  test('If-Match compares ETags with and without quotes; an absent object is 404', async () => {
    const etag = (await put('c2', 'x')).headers.get('etag')!
    expect((await put('c2', 'y', { 'if-match': '"other"' })).status).toBe(412)
    expect((await put('c2', 'y', { 'if-match': etag.replaceAll('"', '') })).status).toBe(200)
    expect((await put('c2', 'z', { 'if-match': etag })).status).toBe(412)
    const absent = await put('c2-absent', 'z', { 'if-match': etag })
    expect([absent.status, tag(absent.text, 'Code')]).toEqual([404, 'NoSuchKey'])
  })

  test('64 parallel creators: one 200, the rest 412', async () => {
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, i) => put('c3', `${i}`.repeat(i * 100), { 'if-none-match': '*' })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(63)
  })

  test('reads and deletes honour conditions too', async () => {
    const etag = (await put('c4', 'x')).headers.get('etag')!
    const get = (headers: Record<string, string>) => server.send('GET', '/lab/c4', { headers })
    expect((await get({ 'if-match': etag })).status).toBe(200)
    expect((await get({ 'if-match': '"other"' })).status).toBe(412)
    expect(await get({ 'if-none-match': etag })).toMatchObject({ status: 304, text: '' })
    expect((await server.send('DELETE', '/lab/c4', { headers: { 'if-match': '"other"' } })).status).toBe(412)
    expect((await server.send('DELETE', '/lab/c4', { headers: { 'if-match': etag } })).status).toBe(204)
  })
})

describe('ranges', () => {
  test.each([
    ['bytes=0-0', 206, 'a', 'bytes 0-0/10'],
    ['bytes=2-4', 206, 'cde', 'bytes 2-4/10'],
    ['bytes=8-99', 206, 'ij', 'bytes 8-9/10'],
    ['bytes=8-', 206, 'ij', 'bytes 8-9/10'],
    ['bytes=-3', 206, 'hij', 'bytes 7-9/10'],
    ['bytes=-99', 206, 'abcdefghij', 'bytes 0-9/10'],
    ['bytes=4-2', 200, 'abcdefghij', null],
    ['bytes=0-1,4-5', 200, 'abcdefghij', null],
    ['bytes=-', 200, 'abcdefghij', null],
    ['lines=1-2', 200, 'abcdefghij', null],
  ])('%s of ten bytes', async (range, status, expected, contentRange) => {
    await put('ten', 'abcdefghij')
    const answer = await server.send('GET', '/lab/ten', { headers: { range } })
    expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([status, expected, contentRange])
    const head = await server.send('HEAD', '/lab/ten', { headers: { range } })
    expect([head.status, head.headers.get('content-length')]).toEqual([status, String(expected.length)])
  })

  test.each(['bytes=10-', 'bytes=10-12', 'bytes=-0'])('%s of ten bytes is 416 with the size', async (range) => {
    await put('ten', 'abcdefghij')
    const answer = await server.send('GET', '/lab/ten', { headers: { range } })
    expect([answer.status, tag(answer.text, 'Code')]).toEqual([416, 'InvalidRange'])
    expect(answer.headers.get('content-range')).toBe('bytes */10')
  })

  test('an empty object has no range', () => {
    expect(() => parseRange('bytes=0-', 0)).toThrow('not satisfiable')
    expect(() => parseRange('bytes=-5', 0)).toThrow('not satisfiable')
    expect(parseRange(undefined, 0)).toBeUndefined()
  })

  test('the client of the SDK sees the part it asked for', async () => {
    await put('ten', 'abcdefghij')
    const answer = await server.client.send(new GetObjectCommand({ Bucket: 'lab', Key: 'ten', Range: 'bytes=-4' }))
    expect(await answer.Body!.transformToString()).toBe('ghij')
  })
})
