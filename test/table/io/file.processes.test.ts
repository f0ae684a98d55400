import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../../table/clock.ts'
import { ownerName } from '../../../table/io/file-owner.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { failureOf, keysOf, text, utf8 } from '../../contract/object-store.ts'

const PROCESSES = 6

let dir: string
let store: ObjectStore
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'firn-processes-'))
  store = openStore(pathToFileURL(dir).href)
})
afterEach(() => rm(dir, { recursive: true, force: true }))

function start(mode: string, id: number, count: number): ChildProcess {
  const script = fileURLToPath(new URL('./file-writer.child.ts', import.meta.url))
  const args = [script, mode, store.url, String(id), String(count)]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function linesOf(child: ChildProcess): Promise<string[]> {
  let output = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  return output.split('\n').filter((line) => line !== '')
}

/** Where the adapter keeps the lock of `key`. */
const lockPath = (key: string): string =>
  join(dir, '.firn-tmp', `lock-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`)

/** Name of a process on this machine that has ended. */
async function deadOwner(): Promise<string> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'close')
  const [machine] = ownerName().split('.')
  return `${machine}.${child.pid}.12345`
}

test('six processes that create the same keys: each key has exactly one winner, whose bytes it holds', async () => {
  const count = 100
  const children = Array.from({ length: PROCESSES }, (_, id) => start('create', id, count))
  const wins = await Promise.all(children.map(linesOf))
  const winnerOf = new Map<string, number>()
  for (const [id, keys] of wins.entries()) {
    for (const key of keys) {
      expect(winnerOf.has(key), `${key} has two winners`).toBe(false)
      winnerOf.set(key, id)
    }
  }
  expect(winnerOf.size).toBe(count)
  for (const [key, id] of winnerOf) expect(text((await store.get(key)).bytes)).toBe(String(id))
})

test('six processes that increment a counter by ifMatch lose no increment and see no value twice', async () => {
  const count = 25
  await store.put('counter', utf8('0'))
  const children = Array.from({ length: PROCESSES }, (_, id) => start('increment', id, count))
  const values = (await Promise.all(children.map(linesOf))).flat().map(Number)
  expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: PROCESSES * count }, (_, i) => i + 1))
  expect(text((await store.get('counter')).bytes)).toBe(String(PROCESSES * count))
})

test('a writer killed at any moment leaves a whole object, no lock that blocks, and nothing in listings', async () => {
  for (let round = 0; round < 6; round++) {
    const child = start('churn', 0, 0)
    await once(child.stdout!, 'data')
    await systemClock.sleep(20 + 17 * round)
    child.kill('SIGKILL')
    await once(child, 'close')
    const left = await store.head('churned')
    if (left !== undefined) {
      const { bytes } = await store.get('churned')
      const isWhole = bytes.length === 2_000_000 && bytes.every((byte) => byte === bytes[0])
      expect(isWhole || text(bytes) === 'mine', `${bytes.length} bytes`).toBe(true)
    }
    expect((await keysOf(store, '')).filter((key) => key !== 'churned')).toEqual([])
    await store.put('churned', utf8('mine'))
    expect(text((await store.get('churned')).bytes)).toBe('mine')
  }
  // A new store tidies up what the dead writers left.
  await openStore(store.url).put('other', utf8('x'))
  expect(await readdir(join(dir, '.firn-tmp'))).toEqual([])
})

test('the lock of a dead process is taken over at once; of many waiting writers one wins', async () => {
  const { etag } = await store.put('k', utf8('base'))
  await symlink(`${await deadOwner()}.0123456789abcdef`, lockPath('k'))
  const outcomes = await Promise.allSettled(
    Array.from({ length: 16 }, (_, i) => store.put('k', utf8(`${i}`), { ifMatch: etag })),
  )
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await readdir(join(dir, '.firn-tmp'))).toEqual([])
})

test('a process that died while it took over a lock blocks nobody', async () => {
  await store.put('k', utf8('base'))
  const dead = `${await deadOwner()}.0123456789abcdef`
  await symlink(dead, lockPath('k'))
  await symlink(`${await deadOwner()}.fedcba9876543210`, lockPath(`break ${dead}`))
  await store.put('k', utf8('next'))
  expect(text((await store.get('k')).bytes)).toBe('next')
  expect(await readdir(join(dir, '.firn-tmp'))).toEqual([])
})

/** Sleeping takes no time here, and waking up is late by as much as was asked for. */
function impatientClock(): Clock {
  let skippedMillis = 0
  return {
    ...systemClock,
    monotonicMillis: () => systemClock.monotonicMillis() + skippedMillis,
    sleep: async (millis, signal) => {
      signal?.throwIfAborted()
      skippedMillis += millis * 100
    },
  }
}

test('the lock of another machine is respected at first and taken over when its token never changes', async () => {
  await store.put('k', utf8('base'))
  const foreign = '0123456789ab.1.1.0123456789abcdef'
  await symlink(foreign, lockPath('k'))
  const waiting = store.put('k', utf8('never'), { signal: AbortSignal.timeout(300) })
  await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(text((await store.get('k')).bytes)).toBe('base')
  await openStore(store.url, { clock: impatientClock() }).put('k', utf8('next'))
  expect(text((await store.get('k')).bytes)).toBe('next')
})

test('a lock that keeps changing hands is given up with an error that names it', async () => {
  await store.put('k', utf8('base'))
  await symlink('0123456789ab.1.1.first', lockPath('k'))
  const clock = impatientClock()
  let turn = 0
  const busyClock: Clock = {
    ...clock,
    sleep: async (millis, signal) => {
      await clock.sleep(millis, signal)
      await rm(lockPath('k'), { force: true })
      await symlink(`0123456789ab.1.1.${turn++}`, lockPath('k'))
    },
  }
  const error = await failureOf(openStore(store.url, { clock: busyClock }).put('k', utf8('next')))
  expect(error).toMatchObject({ kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE' })
  expect(error.message).toContain(lockPath('k'))
})

test('leftover temporary files of other machines stay, and stay out of sight', async () => {
  await mkdir(join(dir, '.firn-tmp'))
  await writeFile(join(dir, '.firn-tmp', '0123456789ab.1.1.00.tmp'), 'partial')
  await store.put('k', utf8('x'))
  expect(await keysOf(store, '')).toEqual(['k'])
  expect(await readdir(join(dir, '.firn-tmp'))).toEqual(['0123456789ab.1.1.00.tmp'])
})
