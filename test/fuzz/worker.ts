/** A process that runs cases of the fuzzer. What becomes of it, its parent sees. */

import { openTableAt } from '../../table/catalog/open.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import { seedOf, uniform } from '../sim/random.ts'
import { testClock } from '../table/support.ts'
import { BOMBS } from './bombs.ts'
import { damage, type Random } from './damage.ts'
import { judge, type Outcome, type Reading, readAll } from './judge.ts'
import { seal } from './seal.ts'
import { type FuzzTable, fuzzTables, type ObjectKind } from './tables.ts'

/** Cases `[from, to)` of a seed; the first ones are the bombs. */
export interface Order {
  readonly seed: number
  readonly from: number
  readonly to: number
}

export interface CaseReport extends Outcome {
  readonly index: number
  readonly title: string
  readonly kind: ObjectKind
  readonly cpuMillis: number
  /** By which the most memory that the process ever had grew, and by which its buffers did, in bytes. */
  readonly peakBytes: number
  readonly bufferBytes: number
}

export type Message =
  | { readonly starts: number; readonly title: string }
  | { readonly report: CaseReport }
  | { readonly done: true }

const send = (message: Message): void => {
  process.send?.(message)
}

/** Data, metadata and manifests more often than what nobody reads. */
const WEIGHT: Readonly<Record<ObjectKind, number>> = {
  metadata: 8,
  list: 6,
  manifest: 6,
  data: 6,
  deletes: 5,
  vectors: 8,
  hint: 1,
  unread: 0.1,
}

const SEALABLE: ReadonlySet<ObjectKind> = new Set(['manifest', 'data', 'deletes', 'vectors'])

interface Case {
  readonly title: string
  readonly table: FuzzTable
  readonly key: string
  readonly kind: ObjectKind
  readonly bytes: Uint8Array
  /** The lengths that other objects state of it are true. */
  readonly isSealed: boolean
  readonly rows?: number
}

function caseOf(tables: readonly FuzzTable[], seed: number, index: number): Case {
  const bomb = BOMBS[index]
  if (bomb !== undefined) {
    const made = bomb.make(tables)
    return { title: `bomb: ${bomb.name}`, isSealed: true, ...made }
  }
  const next = uniform(seedOf(seed, `case ${index}`))
  const random: Random = (below) => Math.floor(next() * below)
  const table = tables[random(tables.length)]!
  const weights = table.targets.map(({ kind }) => WEIGHT[kind])
  const drawn = next() * weights.reduce((sum, weight) => sum + weight, 0)
  const chosen = weights.findIndex((_weight, n) => drawn < weights.slice(0, n + 1).reduce((a, b) => a + b, 0))
  const { key, kind } = table.targets[chosen]!
  const { how, bytes } = damage(kind, key, table.objects.get(key)!, random)
  const isSealed = SEALABLE.has(kind) && random(3) > 0
  return { title: `${table.name}/${key} ${how}${isSealed ? ', sealed' : ''}`, table, key, kind, bytes, isSealed }
}

async function run({ seed, from, to }: Order): Promise<void> {
  const tables = await fuzzTables()
  const expected = new Map<string, Reading>()
  for (const table of tables) {
    const store = openMemoryStore(`good-${table.name}`)
    for (const [key, bytes] of table.objects) await store.put(key, bytes)
    expected.set(table.name, await readAll(await openTableAt(store, { clock: testClock(1) })))
  }
  for (let index = from; index < to; index++) {
    const { title, table, key, kind, bytes, isSealed, rows } = caseOf(tables, seed, index)
    send({ starts: index, title })
    // Garbage of earlier cases is no growth of this one.
    if (index % 50 === 0) globalThis.gc?.()
    const buffersBefore = process.memoryUsage().arrayBuffers
    const peakBefore = process.resourceUsage().maxRSS
    const before = process.cpuUsage()
    const others = isSealed ? await seal(table, key, bytes.length, rows) : []
    const outcome = await judge(table, expected.get(table.name)!, kind, new Map([...others, [key, bytes]]))
    const { user, system } = process.cpuUsage(before)
    const bufferBytes = process.memoryUsage().arrayBuffers - buffersBefore
    const peakBytes = (process.resourceUsage().maxRSS - peakBefore) * 1024
    send({
      report: {
        ...outcome,
        index,
        title,
        kind,
        cpuMillis: (user + system) / 1000,
        peakBytes,
        bufferBytes,
      },
    })
  }
  send({ done: true })
}

// A promise that nobody waits for ends the process, and with it shows.
process.once('message', (order: Order) => void run(order).finally(() => process.disconnect?.()))
