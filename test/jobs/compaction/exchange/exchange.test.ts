import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  exchangeOn,
  openExchange,
  removeAbandoned,
  removeExchange,
  spillFolderOf,
} from '../../../../jobs/compaction/exchange/exchange.ts'
import { FirnError, type ObjectStore, openStore } from '../../../../table/index.ts'

const memory = (name: string): ObjectStore => openStore(`memory://exchange-${process.pid}-${name}`)

/** A store whose disk is full from the second object on. */
function small(store: ObjectStore, code: string): ObjectStore {
  let puts = 0
  return {
    ...store,
    url: store.url,
    put: async (key, body, options) => {
      if (puts++ === 0) return await store.put(key, body, options)
      const cause = Object.assign(new Error(`${code}: no space left on device, write`), { code })
      throw new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', `cannot write ${key}`, { cause })
    },
  }
}

describe('an exchange', () => {
  it.each(['ENOSPC', 'EDQUOT'])('says where there was no room, and how much was there (%s)', async (code) => {
    const exchange = exchangeOn(small(memory(code), code))
    await exchange.put('a', new Uint8Array(1000), {})
    const error: unknown = await exchange.put('b', new Uint8Array(234), {}).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      kind: 'unavailable',
      code: 'FIRN_SPILL_FAILED',
      detail: { folder: expect.stringContaining('memory://exchange'), bytes: 234, writtenBytes: 1000 },
      help: expect.stringContaining('--spill-folder'),
    })
  })

  it('passes on what is no matter of room', async () => {
    const exchange = exchangeOn(small(memory('other'), 'EIO'))
    await exchange.put('a', new Uint8Array(1), {})
    await expect(exchange.put('b', new Uint8Array(1), {})).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
  })

  it('says which folder cannot be written', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'firn-unwritable-'))
    const file = join(parent, 'file')
    await writeFile(file, 'no folder')
    const exchange = openExchange({ kind: 'folder', path: join(file, 'firn-spill-1') }, memory('unused'))
    await expect(exchange.put('a', new Uint8Array(1), {})).rejects.toMatchObject({
      kind: 'invalid',
      code: 'FIRN_SPILL_FAILED',
      detail: { folder: file },
      help: expect.stringContaining('--spill-folder'),
    })
    await rm(parent, { recursive: true })
  })

  it('refuses an object that is shorter than it was', async () => {
    const store = memory('short')
    const exchange = exchangeOn(store)
    await exchange.put('a', new Uint8Array(10), {})
    await store.put('a', new Uint8Array(8))
    await expect(exchange.get('a', { start: 2, end: 10 }, {})).rejects.toMatchObject({ code: 'FIRN_SPILL_CORRUPT' })
  })

  it('is removed many objects at a time, but for those that cannot be', async () => {
    const store = memory('many')
    for (let n = 0; n < 60; n++) await store.put(`_spill/r1/1/${n}`, new Uint8Array(1))
    let [open, most] = [0, 0]
    const slow: ObjectStore = {
      ...store,
      url: store.url,
      list: store.list.bind(store),
      delete: async (key) => {
        most = Math.max(most, ++open)
        await new Promise(setImmediate)
        open--
        if (key.endsWith('/7')) throw new Error('down')
        await store.delete(key)
      },
    }
    await removeExchange({ kind: 'warehouse', prefix: '_spill/r1/1/' }, slow)
    expect(most).toBe(16)
    expect(open).toBe(0)
    const left: string[] = []
    for await (const { key } of store.list('')) left.push(key)
    expect(left).toEqual(['_spill/r1/1/7'])
  })

  it('is removed as far as it can be, without a word', async () => {
    const store = memory('gone')
    for (const key of ['_spill/r1/1/a', '_spill/r1/1/b', '_spill/r1/2/a', '_spill/r10/1/a'])
      await store.put(key, new Uint8Array(1))
    await removeExchange({ kind: 'warehouse', prefix: '_spill/r1/1/' }, store)
    const left: string[] = []
    for await (const { key } of store.list('')) left.push(key)
    expect(left).toEqual(['_spill/r1/2/a', '_spill/r10/1/a'])
    const broken: ObjectStore = {
      ...store,
      url: store.url,
      list: store.list.bind(store),
      delete: async () => Promise.reject(new Error('down')),
    }
    await removeExchange({ kind: 'warehouse', prefix: '_spill/' }, broken)
  })

  it('leaves no folder of a killed run for longer than a day, and no other folder without one', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'firn-abandoned-'))
    const now = Date.now()
    const folder = async (path: string, ageHours: number): Promise<void> => {
      await mkdir(path)
      await writeFile(join(path, 'run-0-0-0.blocks'), 'x')
      await utimes(path, new Date(now - ageHours * 3_600_000), new Date(now - ageHours * 3_600_000))
    }
    await folder(spillFolderOf(parent, '0123456789abcdef', 1), 25)
    await folder(spillFolderOf(parent, '0123456789abcde0', 12), 23)
    await folder(join(parent, 'firn-spill-of-mine'), 2500)
    const own = spillFolderOf(parent, '0123456789abcde1', 1)
    await removeAbandoned(own)
    await removeExchange({ kind: 'folder', path: own }, memory('none'))
    expect(await readdir(parent)).toEqual(['firn-spill-0123456789abcde0-12', 'firn-spill-of-mine'])
    await removeAbandoned(spillFolderOf(join(parent, 'absent'), '0123456789abcdef', 1))
    expect(await readdir(parent)).not.toContain('absent')
    await rm(parent, { recursive: true })
  })
})
