import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { describe, expect, test } from 'vitest'
import { decodeBody } from '../../../jobs/demo/s3/body.ts'
import { checksum } from '../../../jobs/demo/s3/checksums.ts'
import { tag, useServer } from './support.ts'

const server = useServer()
const ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const

// The check values of the catalogue of CRC algorithms, for the ASCII digits 1 to 9.
test.each([
  ['x-amz-checksum-crc32', 'cbf43926'],
  ['x-amz-checksum-crc32c', 'e3069283'],
  ['x-amz-checksum-crc64nvme', 'ae8b14860a799888'],
  ['content-md5', '25f9e794323b453885f5181f1b624d0b'],
])('%s of the check string', (name, hex) => {
  expect(checksum(name, Buffer.from('123456789'))).toBe(Buffer.from(hex, 'hex').toString('base64'))
})

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const name = `x-amz-checksum-${algorithm.toLowerCase()}`
  const body = Buffer.alloc(300_000, 'firn')

  test('a body of known length is accepted with its checksum', async () => {
    const Key = `plain-${algorithm}`
    await server.client.send(new PutObjectCommand({ Bucket: 'lab', Key, Body: body, ChecksumAlgorithm: algorithm }))
    const found = await server.client.send(new GetObjectCommand({ Bucket: 'lab', Key, ChecksumMode: 'ENABLED' }))
    expect(Buffer.from(await found.Body!.transformToByteArray()).equals(body)).toBe(true)
    expect(found[`Checksum${algorithm}`]).toBe(checksum(name, body))
  })

  test('a stream in aws-chunked framing is unframed and compared with its trailer', async () => {
    const Key = `stream-${algorithm}`
    const Body = Readable.from([body.subarray(0, 1), body.subarray(1, 70_000), body.subarray(70_000)])
    const input = { Bucket: 'lab', Key, Body, ContentLength: body.length, ChecksumAlgorithm: algorithm }
    await server.client.send(new PutObjectCommand(input))
    const found = await server.client.send(new GetObjectCommand({ Bucket: 'lab', Key }))
    expect(Buffer.from(await found.Body!.transformToByteArray()).equals(body)).toBe(true)
    expect(found.ContentEncoding).toBeUndefined()
  })

  test('a wrong checksum is BadDigest, and nothing is stored', async () => {
    const headers = { [name]: checksum(name, Buffer.from('other'))! }
    const answer = await server.send('PUT', `/lab/bad-${algorithm}`, { body: 'this', headers })
    expect([answer.status, tag(answer.text, 'Code')]).toEqual([400, 'BadDigest'])
    expect((await server.send('HEAD', `/lab/bad-${algorithm}`)).status).toBe(404)
  })
})

describe('framing', () => {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64')
  const framed = (trailer: string): string =>
    `3;chunk-signature=00\r\nabc\r\n2;chunk-signature=00\r\nde\r\n0;chunk-signature=00\r\n${trailer}\r\n`
  const streaming = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER' }

  test('signed chunks and a signed trailer are read, signatures passed over', () => {
    const trailer = `x-amz-checksum-sha256:${sha256('abcde')}\r\nx-amz-trailer-signature:00\r\n`
    const headers = { ...streaming, 'x-amz-decoded-content-length': '5' }
    const { bytes, checksums } = decodeBody(Buffer.from(framed(trailer)), headers)
    expect(Buffer.from(bytes).toString()).toBe('abcde')
    expect(checksums).toEqual({ 'x-amz-checksum-sha256': sha256('abcde') })
  })

  test('a trailer that does not match is BadDigest', () => {
    const trailer = `x-amz-checksum-sha256:${sha256('abcdX')}\r\n`
    expect(() => decodeBody(Buffer.from(framed(trailer)), streaming)).toThrow(
      expect.objectContaining({ code: 'BadDigest' }),
    )
  })

  test('a wrong decoded length and a cut-off chunk are IncompleteBody', () => {
    const headers = { ...streaming, 'x-amz-decoded-content-length': '6' }
    const incomplete = expect.objectContaining({ code: 'IncompleteBody' })
    expect(() => decodeBody(Buffer.from(framed('')), headers)).toThrow(incomplete)
    for (const cut of ['', '3\r\nab', '3\r\nabc\r\n', 'zz\r\n']) {
      expect(() => decodeBody(Buffer.from(cut), streaming), cut).toThrow(incomplete)
    }
  })
})

describe('integrity headers', () => {
  const code = async (headers: Record<string, string>): Promise<string | undefined> =>
    tag((await server.send('PUT', '/lab/integrity', { body: 'abc', headers })).text, 'Code')

  test('Content-MD5 is compared when it is there', async () => {
    expect(await code({ 'content-md5': checksum('content-md5', Buffer.from('abc'))! })).toBeUndefined()
    expect(await code({ 'content-md5': checksum('content-md5', Buffer.from('abd'))! })).toBe('BadDigest')
    expect(await code({ 'content-md5': 'c2hvcnQ=' })).toBe('InvalidDigest')
  })

  test('x-amz-content-sha256 is compared when it is a hash', async () => {
    expect(await code({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' })).toBeUndefined()
    expect(await code({ 'x-amz-content-sha256': createHash('sha256').update('abc').digest('hex') })).toBeUndefined()
    expect(await code({ 'x-amz-content-sha256': '0'.repeat(64) })).toBe('XAmzContentSHA256Mismatch')
  })

  test('a client that goes away in the middle of its body stores nothing', async () => {
    const put = request(`${server.url}/lab/half`, { method: 'PUT', headers: { 'content-length': '1000000' } })
    put.on('error', () => {})
    await new Promise<void>((resolve) => put.write(Buffer.alloc(1000), () => resolve()))
    put.destroy()
    expect((await server.send('PUT', '/lab/whole', { body: 'x' })).status).toBe(200)
    expect((await server.send('HEAD', '/lab/half')).status).toBe(404)
  })
})
