import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type S3Server, startS3Server } from '../../../jobs/demo/s3-server.ts'
import { sendTo, tag, tags } from './support.ts'

let dir: string
let running: S3Server[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'firn-s3-server-'))
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((server) => server.close()))
  await rm(dir, { recursive: true, force: true })
})

async function start(options: Parameters<typeof startS3Server>[0] = {}): Promise<S3Server> {
  const server = await startS3Server(options)
  running.push(server)
  return server
}

async function stop(server: S3Server): Promise<void> {
  running.splice(running.indexOf(server), 1)
  await server.close()
}

test('buckets are created, found, located, listed and removed when empty', async () => {
  const { url } = await start({ buckets: ['first'] })
  expect((await sendTo(url, 'PUT', '/second')).status).toBe(200)
  expect(tag((await sendTo(url, 'PUT', '/second')).text, 'Code')).toBe('BucketAlreadyOwnedByYou')
  expect(tag((await sendTo(url, 'PUT', '/No_Such_Name')).text, 'Code')).toBe('InvalidBucketName')
  expect((await sendTo(url, 'HEAD', '/second')).status).toBe(200)
  expect((await sendTo(url, 'HEAD', '/third')).status).toBe(404)
  expect((await sendTo(url, 'GET', '/second?location')).text).toContain('<LocationConstraint')
  expect((await sendTo(url, 'GET', '/third?location')).status).toBe(404)
  expect(tags((await sendTo(url, 'GET', '/')).text, 'Name')).toEqual(['first', 'second'])
  await sendTo(url, 'PUT', '/second/k', { body: 'x' })
  expect(tag((await sendTo(url, 'DELETE', '/second')).text, 'Code')).toBe('BucketNotEmpty')
  await sendTo(url, 'DELETE', '/second/k')
  expect((await sendTo(url, 'DELETE', '/second')).status).toBe(204)
  expect((await sendTo(url, 'GET', '/second?list-type=2')).status).toBe(404)
})

test('it answers on the loopback address and on no other', async () => {
  const { port } = await start()
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)
  if (outside === undefined) return
  const socket = connect(port, outside.address)
  await expect(once(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a port that is taken is an error', async () => {
  const { port } = await start()
  await expect(startS3Server({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

test('close ends also while clients keep their connections', async () => {
  const server = await start()
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  await stop(server)
  await expect(fetch(server.url)).rejects.toThrow()
})

test('with a folder, a server started again has the same buckets, objects, ETags and metadata', async () => {
  const first = await start({ dir, buckets: ['lab', 'empty'] })
  const keys = ['k', 'd', 'd/', 'd/e', '%0A', 'x'.repeat(900)]
  for (const key of keys) {
    const headers = { 'content-type': 'text/x', 'x-amz-meta-m': '1' }
    expect((await sendTo(first.url, 'PUT', `/lab/${key}`, { body: key, headers })).status).toBe(200)
  }
  await sendTo(first.url, 'DELETE', '/lab/d/')
  const before = await sendTo(first.url, 'GET', '/lab/k')
  await stop(first)
  const [bucketFolder] = (await readdir(dir)).filter((name) => name === 'lab')
  await writeFile(join(dir, bucketFolder!, 'left-by-a-killed-server.0.tmp'), 'partial')
  const second = await start({ dir, buckets: ['lab'] })
  expect(tags((await sendTo(second.url, 'GET', '/')).text, 'Name').sort()).toEqual(['empty', 'lab'])
  const after = await sendTo(second.url, 'GET', '/lab/k')
  expect(after.text).toBe('k')
  for (const name of ['etag', 'content-type', 'x-amz-meta-m', 'last-modified']) {
    expect(after.headers.get(name), name).toBe(before.headers.get(name))
  }
  const listed = tags((await sendTo(second.url, 'GET', '/lab?list-type=2&encoding-type=url')).text, 'Key')
  expect(listed).toEqual(['%0A', 'd', 'd/e', 'k', 'x'.repeat(900)])
  expect(await readdir(join(dir, 'lab'))).toHaveLength(5)
})

test('with a folder, the last of many parallel overwrites is what a restart finds', async () => {
  const first = await start({ dir, buckets: ['lab'] })
  await Promise.all(Array.from({ length: 30 }, (_, i) => sendTo(first.url, 'PUT', '/lab/k', { body: `${i}` })))
  const { text } = await sendTo(first.url, 'GET', '/lab/k')
  await stop(first)
  const second = await start({ dir })
  expect((await sendTo(second.url, 'GET', '/lab/k')).text).toBe(text)
})

test('close waits for what requests still write, also those whose client is gone', async () => {
  const server = await start({ dir, buckets: ['lab'] })
  const puts = Array.from({ length: 20 }, (_, i) =>
    sendTo(server.url, 'PUT', `/lab/${i}`, { body: 'x'.repeat(500_000) }).catch(() => {}),
  )
  await Promise.race(puts)
  await stop(server)
  const names = await readdir(join(dir, 'lab'))
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  await Promise.all(puts)
  expect(await readdir(join(dir, 'lab'))).toEqual(names)
})

test('the fault switch ignores conditions on writes, and only when asked', async () => {
  const { url } = await start({ buckets: ['lab'], ignoreConditions: true })
  for (const body of ['one', 'two']) {
    const created = await sendTo(url, 'PUT', '/lab/k', { body, headers: { 'if-none-match': '*' } })
    expect(created.status).toBe(200)
  }
  expect((await sendTo(url, 'PUT', '/lab/k', { body: 'three', headers: { 'if-match': '"no"' } })).status).toBe(200)
  expect((await sendTo(url, 'GET', '/lab/k')).text).toBe('three')
})
