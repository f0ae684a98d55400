/** Epochs over units that a test makes up: row r of unit u is the number `u * 10_000 + r`. */
import { Field, Int32, makeData, type RecordBatch, Schema, Utf8 } from 'apache-arrow'
import { type MemoryBudget, memoryBudget } from '../../../loader/batches/budget.ts'
import { type EpochIterator, epochIterator, type Progress } from '../../../loader/batches/epoch-iterator.ts'
import { unitFeed } from '../../../loader/batches/feed.ts'
import { batchOf, gatherer } from '../../../loader/batches/gather.ts'
import { lengthsOf } from '../../../loader/batches/lengths.ts'
import type { Shard } from '../../../loader/batches/made-batch.ts'
import { sizedBatches } from '../../../loader/batches/sized-batches.ts'
import { tokenBatches } from '../../../loader/batches/token-batches.ts'
import { blockV1, type EpochBlocks, sequentialBlocks } from '../../../loader/order/blocks.ts'
import type { LengthBatching } from '../../../loader/order/lengths.ts'
import { drawOrder, rowOrder } from '../../../loader/order/rows.ts'
import type { DecodedUnit, Decoder, UnitRequest } from '../../../loader/read/decoder.ts'

export const SCHEMA: Schema = new Schema([
  new Field('n', new Int32(), false),
  new Field('length', new Int32(), true),
  new Field('text', new Utf8(), false),
])
const BEGINNING: Progress = { batches: 0, next: { block: 0, offset: 0 }, ended: false }

export interface World {
  /** Physical rows of each unit. */
  readonly sizes: readonly number[]
  readonly blockBytes: number
  readonly isShuffled?: boolean
  /** Rows that are deleted or filtered out. */
  readonly isLive?: (n: number) => boolean
  /** Bytes that a row is said to take, before any is decoded. Default: what it takes. */
  readonly estimatedRowBytes?: number
  /** Rows of a segment. Default 8. */
  readonly segmentRows?: number
  /** Units wait for it before they arrive. */
  readonly arrives?: (unit: number) => Promise<void>
  /** Length of a row; `null` allowed. */
  readonly lengthOf?: (n: number) => number | null
}

/** The text of a row, so that rows differ in size and content. */
const TEXT_BYTES = 40
/** Bytes of a row as `SCHEMA` has it: two ints, an offset, the text. */
export const ROW_BYTES: number = 4 + 4 + 4 + TEXT_BYTES

export const textOf = (n: number): string => String(n).padStart(TEXT_BYTES, '.')

export function rowsBatch(numbers: readonly number[], lengthOf: (n: number) => number | null = () => 1): RecordBatch {
  const lengths = numbers.map(lengthOf)
  const nullBitmap = new Uint8Array((numbers.length + 7) >> 3)
  for (const [row, length] of lengths.entries()) if (length !== null) nullBitmap[row >> 3]! |= 1 << (row & 7)
  const nullCount = lengths.filter((length) => length === null).length
  const text = new TextEncoder().encode(numbers.map(textOf).join(''))
  const valueOffsets = Int32Array.from({ length: numbers.length + 1 }, (_, row) => row * TEXT_BYTES)
  const shared = { length: numbers.length }
  return batchOf(
    SCHEMA,
    [
      makeData({ ...shared, type: new Int32(), nullCount: 0, data: Int32Array.from(numbers) }),
      makeData({
        ...shared,
        type: new Int32(),
        nullCount,
        data: Int32Array.from(lengths, (length) => length ?? 0),
        ...(nullCount === 0 ? {} : { nullBitmap }),
      }),
      makeData({ ...shared, type: new Utf8(), nullCount: 0, valueOffsets, data: text }),
    ],
    numbers.length,
  )
}

export const numberOf = (unit: number, row: number): number => unit * 10_000 + row

/** Units are byte ranges [u, u + 1) of a file. */
export function fakeDecoder(world: World): { decoder: Decoder; asked: number[]; aborted: number[] } {
  const { sizes, isLive = () => true, segmentRows = 8, arrives = async () => {} } = world
  const asked: number[] = []
  const aborted: number[] = []
  const decode = async ({ start, key }: UnitRequest, signal: AbortSignal): Promise<DecodedUnit> => {
    asked.push(start)
    signal.addEventListener('abort', () => aborted.push(start))
    await arrives(start)
    signal.throwIfAborted()
    const rows = sizes[start]!
    const order = rowOrder(rows, key)
    const live = Array.from(order.keys()).filter((draw) => isLive(numberOf(start, order[draw]!)))
    const numbers = live.map((draw) => numberOf(start, order[draw]!))
    const segments: RecordBatch[] = []
    for (let row = 0; row < numbers.length; row += segmentRows) {
      segments.push(rowsBatch(numbers.slice(row, row + segmentRows), world.lengthOf))
    }
    const counters = {
      requests: 1,
      bytesRead: rows,
      cacheHits: 0,
      cacheMisses: 0,
      cacheFailures: 0,
      retries: 0,
      rowGroups: 1,
    }
    return { rows, draws: live.length === rows ? undefined : Uint32Array.from(live), segments, counters }
  }
  const none = { requests: 0, bytesRead: 0, cacheHits: 0, cacheMisses: 0, cacheFailures: 0, retries: 0, rowGroups: 0 }
  const decoder: Decoder = {
    unitRows: async ({ start }) => sizes[start]!,
    decode,
    collect: () => {},
    takeCounters: () => none,
    close: async () => {},
  }
  return { decoder, asked, aborted }
}

export const unitBytes = ({ sizes, estimatedRowBytes = ROW_BYTES }: World): number[] =>
  sizes.map((rows) => Math.ceil(rows * estimatedRowBytes))

export function blocksOf(world: World, epoch = 0): EpochBlocks {
  if (world.isShuffled === false) return sequentialBlocks(unitBytes(world), world.blockBytes)
  return blockV1(unitBytes(world), { tableUuid: 'u', snapshotId: 1n, seed: 1, epoch }, world.blockBytes)
}

/** The live rows of an epoch in their order, as the rules of the order say it and not as they are read. */
export function expectedRows(world: World): number[] {
  const blocks = blocksOf(world)
  const rows: number[] = []
  for (let block = 0; block < blocks.count; block++) {
    const units = [...blocks.unitsOf(block)]
    const sizes = units.map((unit) => world.sizes[unit]!)
    const keys = units.map((_unit, ordinal) => blocks.unitKey(block, ordinal))
    const orders = sizes.map((size, ordinal) => rowOrder(size, keys[ordinal]))
    const drawn = sizes.map(() => 0)
    for (const ordinal of drawOrder(sizes, keys, { opening: blocks.isOpening(block) })) {
      const row = numberOf(units[ordinal]!, orders[ordinal]![drawn[ordinal]!++]!)
      if (world.isLive?.(row) ?? true) rows.push(row)
    }
  }
  return rows
}

export interface EpochOptions {
  readonly size?: number
  readonly batching?: LengthBatching
  readonly dropLast?: boolean
  readonly shard?: Shard
  readonly depth?: number
  readonly limitBytes?: number
  readonly aheadBytes?: number
  readonly start?: Progress
  readonly lastBatch?: number
  readonly signal?: AbortSignal
  readonly ready?: Promise<unknown>
}

export interface TestEpoch {
  readonly iterator: EpochIterator
  readonly budget: MemoryBudget
  readonly asked: readonly number[]
  readonly aborted: readonly number[]
  /** What a token would hold. */
  progress(): Progress
}

export function epochOf(world: World, options: EpochOptions = {}): TestEpoch {
  const { size = 4, batching, dropLast = false, shard = { rank: 0, worldSize: 1 }, start = BEGINNING } = options
  const { decoder, asked, aborted } = fakeDecoder(world)
  const { limitBytes = Number.POSITIVE_INFINITY, aheadBytes } = options
  const budget = memoryBudget(limitBytes, 4, aheadBytes)
  const stop = new AbortController()
  const iterator = epochIterator({
    depth: options.depth ?? 0,
    start,
    lastBatch: options.lastBatch,
    signal: options.signal ?? new AbortController().signal,
    open: (onChange) => {
      const blocks = blocksOf(world)
      const feed = unitFeed({
        blocks,
        unitBytes: unitBytes(world),
        unitAt: (unit) => ({ file: { filePath: 'f' } as UnitRequest['file'], start: unit, end: unit + 1 }),
        decoder,
        budget,
        reserveBytes: 0,
        start: batching === undefined ? start.next : { block: start.next.block, offset: 0 },
        signal: stop.signal,
        onChange,
        onDecoded: () => {},
      })
      const shared = { feed, blockCount: blocks.count, gather: gatherer(SCHEMA), shard, start: start.next }
      const maker =
        batching === undefined
          ? sizedBatches({ ...shared, size, dropLast })
          : tokenBatches({ ...shared, batching, lengthOf: lengthsOf(SCHEMA, 'length') })
      return {
        maker,
        collect: () => {},
        ready: options.ready,
        close: async () => {
          stop.abort()
          feed.close()
        },
      }
    },
    onDelivered: () => {},
    onEnd: () => {},
    monotonicMillis: () => 0,
    token: (progress) => JSON.stringify(progress),
  })
  return { iterator, budget, asked, aborted, progress: () => JSON.parse(iterator.stateDict()) as Progress }
}

/** Column `n` of every batch; every text must belong to its number. */
export async function rowsIn(batches: AsyncIterable<RecordBatch>): Promise<number[][]> {
  const all: number[][] = []
  for await (const batch of batches) all.push(numbersIn(batch))
  return all
}

export function numbersIn(batch: RecordBatch): number[] {
  const numbers = [...(batch.getChild('n')!.toArray() as Int32Array)]
  const texts = batch.getChild('text')!
  numbers.forEach((n, row) => {
    if (texts.get(row) !== textOf(n)) throw new Error(`row ${n} has the text of another: ${String(texts.get(row))}`)
  })
  return numbers
}
