/** One simulated warehouse with one table, the processes around it, and the protocol by which they commit. */
import './synchronous-zlib.ts'
import { type Clock, openCatalog, type Table } from '../../table/index.ts'
import { dropMemoryStore, openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { Ledger } from './ledger.ts'
import { Observer } from './observer.ts'
import { processStore, type Weather } from './process.ts'
import { seedOf, uniform } from './random.ts'
import { type VirtualTime, virtualTime } from './virtual-time.ts'

export const TABLE = 'sim.events'
export const FOLDER = 'sim/events'

/** How a process reaches the table. The real one; tests put naive ones in its place. */
export interface Protocol {
  /** The table as it is now, to be committed to. @param store of the warehouse. */
  open(store: ObjectStore, clock: Clock): Promise<Table>
  /** Whether a commit that failed is tried again as a new one, without a look at what became of it. */
  readonly forgetful?: boolean
}

export const firnProtocol: Protocol = {
  open: (store, clock) => openCatalog(store, { clock }).loadTable(TABLE),
}

export interface WorldOptions {
  readonly seed: number
  readonly weather: Weather
  readonly protocol?: Protocol
  readonly properties?: Readonly<Record<string, string>>
  readonly keepStory?: boolean
}

/** A process: when it dies, `restart` gives the next one. */
export interface Process {
  readonly name: string
  readonly clock: Clock
  readonly store: ObjectStore
  open(): Promise<Table>
}

export interface World {
  readonly seed: number
  readonly time: VirtualTime
  readonly protocol: Protocol
  readonly observer: Observer
  readonly ledger: Ledger
  /** Without weather and without an observer. */
  readonly objects: ObjectStore
  /** A new process; each incarnation of a name has other weather. */
  process(name: string): Process
  random(name: string): () => number
  close(): void
}

let worlds = 0

export async function createWorld(options: WorldOptions): Promise<World> {
  const { seed, weather, protocol = firnProtocol, properties = {} } = options
  const time = virtualTime(seed)
  const name = `simulation-${process.pid}-${worlds++}`
  // The registry's name is in every location: it must not tell one run of a seed from another.
  const objects = renamed(openMemoryStore(name, { clock: time.clock('store') }), 'memory://warehouse')
  const observer = new Observer(FOLDER, time.now, options.keepStory)
  const birth = time.clock('birth')
  await openCatalog(observer.watch(objects, 'birth'), { clock: birth }).createTable(TABLE, {
    schema: {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [{ id: 1, name: 'row', required: true, type: 'string' }],
    },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties,
  })
  const incarnations = new Map<string, number>()
  return {
    seed,
    time,
    protocol,
    observer,
    ledger: new Ledger(`${objects.url}/${FOLDER}`),
    objects,
    process: (actor) => {
      const incarnation = (incarnations.get(actor) ?? 0) + 1
      incarnations.set(actor, incarnation)
      const own = seedOf(seed, `${actor}/${incarnation}`)
      // Clocks of machines disagree, by up to a minute.
      const clock = time.clock(`${actor}/${incarnation}`, Math.floor(uniform(seedOf(seed, actor))() * 60_000))
      const store = processStore(observer.watch(objects, actor), clock, own, weather)
      return { name: actor, clock, store, open: () => protocol.open(store, clock) }
    },
    random: (actor) => uniform(seedOf(seed, `random of ${actor}`)),
    close: () => dropMemoryStore(name),
  }
}

const renamed = (store: ObjectStore, url: string): ObjectStore => ({
  url,
  put: (key, body, options) => store.put(key, body, options),
  get: (key, options) => store.get(key, options),
  head: (key, options) => store.head(key, options),
  list: (prefix, options) => store.list(prefix, options),
  delete: (key, options) => store.delete(key, options),
})
