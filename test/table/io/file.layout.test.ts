import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FirnError } from '../../../table/errors.ts'
import { openFileStore } from '../../../table/io/file.ts'
import { fileFailure } from '../../../table/io/file-errors.ts'
import { fileUrlOfPath, pathOfFileUrl } from '../../../table/io/file-url.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { failureOf, keysOf, text, utf8 } from '../../contract/object-store.ts'

let dir: string
let store: ObjectStore
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'firn-layout-'))
  store = openFileStore(join(dir, 'wh'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

test('an object is a file of that very name, so that other engines find it', async () => {
  await store.put('ns/table/data/day=2026-10-01/a%20b.parquet', utf8('x'))
  expect(await readFile(join(dir, 'wh/ns/table/data/day=2026-10-01/a%20b.parquet'), 'utf8')).toBe('x')
})

test('opening and reading create nothing; a missing folder is an empty store', async () => {
  expect(await keysOf(store, '')).toEqual([])
  expect(await store.head('k')).toBeUndefined()
  await store.delete('k')
  expect((await failureOf(store.put('k', utf8('x'), { ifMatch: '"e"' }))).code).toBe('FIRN_PRECONDITION_FAILED')
  expect(await readdir(dir)).toEqual([])
})

test('nothing but the objects and an empty scratch folder is left after puts and deletes', async () => {
  await store.put('a/b/c', utf8('1'))
  await store.put('a/b/c', utf8('2'))
  await store.put('a/b/d', utf8('3'), { ifNoneMatch: '*' })
  await store.delete('a/b/c')
  expect((await readdir(join(dir, 'wh'), { recursive: true })).sort()).toEqual(['.firn-tmp', 'a', 'a/b', 'a/b/d'])
  await store.delete('a/b/d')
  expect(await readdir(join(dir, 'wh'))).toEqual(['.firn-tmp'])
})

test('an object cannot be put where a folder of objects is, nor below an object', async () => {
  await store.put('a/b', utf8('1'))
  for (const options of [{}, { ifNoneMatch: '*' }] as const) {
    expect(await failureOf(store.put('a', utf8('2'), options))).toMatchObject({ code: 'FIRN_INVALID_KEY' })
    expect(await failureOf(store.put('a/b/c', utf8('2'), options))).toMatchObject({ code: 'FIRN_INVALID_KEY' })
  }
  expect(await keysOf(store, '')).toEqual(['a/b'])
})

test('a name that is too long for the file system is an invalid key', async () => {
  const key = `a/${'x'.repeat(300)}`
  expect(await failureOf(store.put(key, utf8('1')))).toMatchObject({ kind: 'invalid', code: 'FIRN_INVALID_KEY' })
})

test('an ETag changes with every replacement, also within one tick of the clock and by equal bytes', async () => {
  const seen = new Set<string>()
  for (let i = 0; i < 60; i++) seen.add((await store.put('k', utf8('same'))).etag)
  expect(seen.size).toBe(60)
})

test('an ETag changes when the replaced file claims to be from the future', async () => {
  const first = await store.put('k', utf8('1'))
  const future = Date.now() / 1000 + 86_400
  await utimes(join(dir, 'wh/k'), future, future)
  const later = (await store.head('k'))!.etag
  const last = await store.put('k', utf8('2'), { ifMatch: later })
  expect(new Set([first.etag, later, last.etag]).size).toBe(3)
  expect((await stat(join(dir, 'wh/k'))).mtimeMs).toBeGreaterThan(future * 1000)
})

test('an ETag is not reused by an object that is created right after a delete', async () => {
  const seen = new Set<string>()
  for (let i = 0; i < 20; i++) {
    seen.add((await store.put('k', utf8('same'), { ifNoneMatch: '*' })).etag)
    await store.delete('k')
  }
  expect(seen.size).toBe(20)
})

test('files that other tools put there are objects too, through symbolic links as well', async () => {
  await mkdir(join(dir, 'wh/ns'), { recursive: true })
  await mkdir(join(dir, 'elsewhere'))
  await writeFile(join(dir, 'elsewhere/f'), 'linked')
  await symlink(join(dir, 'elsewhere'), join(dir, 'wh/ns/link'))
  await symlink(join(dir, 'nowhere'), join(dir, 'wh/ns/dangling'))
  await writeFile(join(dir, 'wh/ns/plain'), 'plain')
  expect(await keysOf(store, '')).toEqual(['ns/link/f', 'ns/plain'])
  expect(text((await store.get('ns/link/f')).bytes)).toBe('linked')
})

test.each([
  ['EACCES', 'write', 'invalid', 'FIRN_ACCESS_DENIED'],
  ['EROFS', 'write', 'invalid', 'FIRN_ACCESS_DENIED'],
  ['EXDEV', 'write', 'invalid', 'FIRN_STORE_UNSUPPORTED'],
  ['ENOTSUP', 'write', 'invalid', 'FIRN_STORE_UNSUPPORTED'],
  ['ENOSPC', 'write', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
  ['EMFILE', 'read', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
  ['EIO', 'read', 'unavailable', 'FIRN_STORE_UNAVAILABLE'],
])('%s during a %s is reported as %s %s, naming the object', (code, verb, kind, expected) => {
  const cause = Object.assign(new Error('the system says no'), { code })
  const error = fileFailure('file:///wh', 'ns/k', verb, cause)
  expect(error).toMatchObject({ kind, code: expected, cause })
  expect((error as FirnError).help).toBeDefined()
  expect((error as FirnError).message).toContain('file:///wh')
})

test('a full disk is said to be one', () => {
  const cause = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const { message, help } = fileFailure('file:///wh', 'ns/k', 'write', cause) as FirnError
  expect(message).toBe('No room to write ns/k in file:///wh (ENOSPC).')
  expect(help).toContain('Make room')
})

test('aborts and mistakes of our own are passed on as they are', () => {
  for (const error of [new DOMException('stop', 'AbortError'), new TypeError('bug'), 'a string', undefined, null]) {
    expect(fileFailure('file:///wh', 'k', 'read', error)).toBe(error)
  }
})

test.each([
  ['/data/warehouse', 'file:///data/warehouse'],
  ['/data/my warehouse', 'file:///data/my warehouse'],
  ['/data/größe/日本', 'file:///data/größe/日本'],
  ['/data/100%/a?b#c', 'file:///data/100%25/a%3Fb%23c'],
  ['/data/%20', 'file:///data/%2520'],
  ['/data/a=b&c+d@e', 'file:///data/a=b&c+d@e'],
  ['/data/trailing space ', 'file:///data/trailing space%20'],
])('the folder %s has the URL %s, and back', (path, url) => {
  expect(fileUrlOfPath(path)).toBe(url)
  expect(pathOfFileUrl(url)).toBe(path)
  expect(openStore(url).url).toBe(url)
})

test('a percent-encoded URL, one slash, localhost, trailing slashes and dots mean the same folder', () => {
  for (const url of [
    'file:///data/my%20dir',
    'file:/data/my%20dir',
    'file://localhost/data/my%20dir/',
    'file:///data/my%20dir//',
    'file:///data/./x/../my%20dir',
    'FILE:///data/my dir',
  ]) {
    expect(openStore(url).url, url).toBe('file:///data/my dir')
  }
})

test('the root folder keeps its URLs well-formed', () => {
  expect(pathOfFileUrl('file:///')).toBe('/')
  expect(`${openStore('file:///').url}/key`).toBe('file:///key')
})

test('a store opened at the folder of another one sees its objects', async () => {
  await store.put('ns/a b%/k', utf8('x'))
  const nested = openStore(fileUrlOfPath(join(dir, 'wh/ns/a b%')))
  expect(text((await nested.get('k')).bytes)).toBe('x')
})
