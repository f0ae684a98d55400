/**
 * The pipeline without one of its safeguards, each taken away from outside: by a store, a stream or a catalog that
 * stands between the jobs and the world. Never by a flag of the product.
 */
import { FirnError } from '../../../table/errors.ts'
import { type Catalog, openCatalog, type Table } from '../../../table/index.ts'
import type { ObjectInfo, ObjectStore } from '../../../table/io/object-store.ts'
import { concurrent } from './concurrent.ts'
import { deaths, type JobKind } from './deaths.ts'
import type { Host } from './jobs.ts'
import { DAY, SOME } from './jobs.ts'

export interface Safeguard {
  /** As in docs/reliability.md. */
  readonly name: string
  readonly simulation: 'deaths' | 'concurrent'
  readonly without: (host: Host) => Host
  /** Jobs that die. Default: all. */
  readonly kinds?: readonly JobKind[]
}

/** What the simulation of `seed` finds; a job that fails in the midst of it is a finding too. */
async function findingsWithout({ simulation, without, kinds }: Safeguard, seed: number): Promise<readonly string[]> {
  try {
    const options = { seed, without, isFirstEnough: true, kinds }
    return (await (simulation === 'deaths' ? deaths(options) : concurrent(options))).findings
  } catch (error) {
    return [`a job failed: ${error instanceof Error ? String(error.cause ?? error) : String(error)}`]
  }
}

/** The first seed from 1 to `most` that fails without the safeguard; which one it is changes with the product. */
export async function failingSeed(
  safeguard: Safeguard,
  most: number,
): Promise<{ readonly seed: number; readonly finding: string } | undefined> {
  for (let seed = 1; seed <= most; seed++) {
    const [finding] = await findingsWithout(safeguard, seed)
    if (finding !== undefined) return { seed, finding }
  }
  return undefined
}

const CHUNK = /^_staging\/[^/]+\/shards\//

export const SAFEGUARDS: readonly Safeguard[] = [
  {
    name: 'chunks are created, never overwritten',
    simulation: 'concurrent',
    without: onStore((store) => ({
      put: (key, body, { ifNoneMatch, ...rest } = {}) =>
        store.put(key, body, CHUNK.test(key) || ifNoneMatch === undefined ? rest : { ...rest, ifNoneMatch }),
    })),
  },
  {
    name: "a lander that lost goes on from the winner's last record",
    simulation: 'concurrent',
    without: onStore(seeingOwnChunks),
  },
  {
    name: 'metadata versions are created, never overwritten',
    simulation: 'concurrent',
    without: onStore((store) => ({
      put: (key, body, { ifNoneMatch, ...rest } = {}) =>
        store.put(key, body, isVersion(key) || ifNoneMatch === undefined ? rest : { ...rest, ifNoneMatch }),
    })),
  },
  {
    name: 'a run commits only while positions are those that it was planned on',
    simulation: 'concurrent',
    without: onCommits((set) => Object.keys(set).some((name) => name.startsWith('firn.positions.'))),
  },
  {
    name: 'a replay commits only while its objects are not used up',
    simulation: 'concurrent',
    without: onCommits((set) => set['firn.replayed'] !== undefined),
  },
  {
    name: 'prune keeps what any of the tables has not read',
    simulation: 'concurrent',
    without: onStore((store) => ({
      list: (prefix, options) =>
        filtered(store.list(prefix, options), ({ key }) => !key.includes(`/consumers/${SOME}`)),
    })),
  },
  {
    name: 'a table registers before it reads a stream',
    simulation: 'concurrent',
    without: onStore((store) => ({
      put: (key, body, options) =>
        key.includes(`/consumers/${SOME}`) ? Promise.resolve({ etag: '"none"' }) : store.put(key, body, options),
    })),
  },
  {
    name: 'prune deletes the oldest chunk first',
    simulation: 'deaths',
    kinds: ['prune'],
    without: onStore(deletingLaterFirst),
  },
  {
    name: 'expiry leaves files for a while after their snapshots are gone',
    simulation: 'concurrent',
    without: (host) => ({
      ...host,
      clock: { ...host.clock, sleep: (millis, signal) => host.clock.sleep(millis === 60_000 ? 0 : millis, signal) },
    }),
  },
  {
    name: 'orphans younger than days stay',
    simulation: 'concurrent',
    without: onStore((store) => ({
      list: (prefix, options) => aged(store.list(prefix, options)),
      head: async (key, options) => {
        const info = await store.head(key, options)
        return info && older(info)
      },
    })),
  },
]

const isVersion = (key: string): boolean => /\/metadata\/v\d+\.metadata\.json$/.test(key)

/** A host whose store does some things in another way. */
function onStore(change: (store: ObjectStore) => Partial<ObjectStore>): Safeguard['without'] {
  return (host) => {
    const { store } = host
    const plain: ObjectStore = {
      url: store.url,
      put: (key, body, options) => store.put(key, body, options),
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      list: (prefix, options) => store.list(prefix, options),
      delete: (key, options) => store.delete(key, options),
    }
    return { ...host, store: { ...plain, ...change(store) } }
  }
}

/** Whoever lost the race for a chunk is shown its own in place of the winner's. */
function seeingOwnChunks(store: ObjectStore): Partial<ObjectStore> {
  const lost = new Map<string, Uint8Array>()
  return {
    put: async (key, body, options) => {
      try {
        return await store.put(key, body, options)
      } catch (error) {
        if (CHUNK.test(key) && FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) lost.set(key, body.slice())
        throw error
      }
    },
    get: async (key, options) => {
      const own = lost.get(key)
      lost.delete(key)
      const object = await store.get(key, options)
      return own === undefined ? object : { ...object, bytes: own }
    },
  }
}

/** Of two chunks of a chain the later one goes first, and the earlier one right after it. */
function deletingLaterFirst(store: ObjectStore): Partial<ObjectStore> {
  const held = new Map<string, string>()
  return {
    delete: async (key, options) => {
      if (!CHUNK.test(key)) return store.delete(key, options)
      const chain = key.slice(0, key.lastIndexOf('/'))
      const earlier = held.get(chain)
      held.delete(chain)
      if (earlier === undefined) {
        held.set(chain, key)
        return
      }
      await store.delete(key, options)
      await store.delete(earlier, options)
    },
  }
}

/** Tables whose commits of some kind go through whatever happened since they were planned. */
function onCommits(isMeant: (setProperties: Readonly<Record<string, string>>) => boolean): Safeguard['without'] {
  const careless = (table: Table): Table => {
    const [commitFiles, refresh] = [table.commitFiles.bind(table), table.refresh.bind(table)]
    const change = (options: Parameters<Table['commitFiles']>[1] = {}): typeof options => {
      const { requireProperties, ...rest } = options
      return isMeant(options.setProperties ?? {}) || requireProperties === undefined ? rest : options
    }
    return Object.assign(table, {
      commitFiles: ((files, options) => commitFiles(files, change(options))) satisfies Table['commitFiles'],
      refresh: (async (options) => careless(await refresh(options))) satisfies Table['refresh'],
    })
  }
  const openTables: Host['openTables'] = (store, clock): Catalog => {
    const catalog = openCatalog(store, { clock })
    return { ...catalog, loadTable: async (name, options) => careless(await catalog.loadTable(name, options)) }
  }
  return (host) => ({ ...host, openTables })
}

async function* filtered(
  infos: AsyncIterable<ObjectInfo>,
  isShown: (info: ObjectInfo) => boolean,
): AsyncGenerator<ObjectInfo, void, undefined> {
  for await (const info of infos) if (isShown(info)) yield info
}

async function* aged(infos: AsyncIterable<ObjectInfo>): AsyncGenerator<ObjectInfo, void, undefined> {
  for await (const info of infos) yield older(info)
}

/** What lies in a table's folder looks as if it had lain there for long. */
const older = (info: ObjectInfo): ObjectInfo =>
  info.key.startsWith('sim/') && !info.key.includes('probe')
    ? { ...info, lastModifiedMillis: info.lastModifiedMillis - 10 * DAY }
    : info
