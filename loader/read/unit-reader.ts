/** Units of data files, read in this thread: footers and deletes are kept, damaged bytes are read twice. */
import type { RecordBatch } from 'apache-arrow'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import {
  arrowSchema,
  type ObjectStore,
  parseSchema,
  projectSchema,
  type ReadInOrderOptions,
  type ReadMemory,
  type RowTest,
  type TaskReader,
  untilAborted,
} from '../../table/index.ts'
import { rowOrder } from '../order/rows.ts'
import type { FileRef, ReadSetup } from '../source/plan.ts'
import { splitTest } from '../source/split.ts'
import { noCounters, takeCounters } from './counters.ts'
import {
  createGate,
  type DecodedUnit,
  type ReadCounters,
  SEGMENT_ROWS,
  type UnitRequest,
  type UnitSpan,
} from './decoder.ts'
import { joinOrdered, splitOrder } from './drawn-rows.ts'
import { type FileOpener, fileOpener, storesOf } from './open-files.ts'
import { loadTransform, type RunTransform } from './transform.ts'

/** Of row groups whose rows were asked for, the place and the number of rows are kept. */
const KEPT_SIZES = 1 << 20
/** Footers read at once to learn how many rows units have: a block may have units of a thousand files. */
const FOOTERS_AT_ONCE = 32

export interface UnitReader {
  unitRows(unit: UnitSpan, signal: AbortSignal): Promise<number>
  decode(request: UnitRequest, signal: AbortSignal): Promise<DecodedUnit>
  /** What was counted and not yet handed over with a unit. */
  takeCounters(): ReadCounters
}

export interface UnitReaderOptions {
  readonly setup: ReadSetup
  /** Rooted where `setup.storeUrl` is. */
  readonly store: ObjectStore
  readonly clock: Clock
  /** Ends every read, of footers and delete files too, which several units wait for. */
  readonly signal: AbortSignal
  /** Default: the garbage collector's. */
  readonly memory?: ReadMemory | undefined
}

export function unitReader({ setup, store, clock, signal, memory }: UnitReaderOptions): UnitReader {
  const counters = noCounters()
  const schema = parseSchema(setup.schema)
  const open = fileOpener(setup.location, schema, storesOf(setup, store, clock, counters), signal)
  const sizesOf = sizeReader(open)
  const input = arrowSchema(projectSchema(schema, setup.columns))
  const keep = setup.split === undefined ? undefined : splitTest(setup.split, schema)
  let transform: Promise<RunTransform> | undefined
  const transformOnce = (): Promise<RunTransform> | undefined => {
    if (setup.transform !== undefined) transform ??= loadTransform(setup.transform, input)
    return transform
  }

  /** Bytes that are damaged may have been damaged on their way: what is corrupt is read once more from the store. */
  const twice = async <T>(file: FileRef, abort: AbortSignal, read: (fresh: boolean) => Promise<T>): Promise<T> => {
    try {
      return await read(false)
    } catch (error) {
      abort.throwIfAborted()
      if (!isCorrupt(error)) throw error
      counters.retries++
      open.forget(file)
      return read(true)
    }
  }
  const decode = async (request: UnitRequest, abort: AbortSignal, fresh: boolean): Promise<DecodedUnit> => {
    const file = await untilAborted(open.withDeletes(request.file, fresh), abort)
    const run = await transformOnce()
    const groups = groupsOf(file, request)
    const { rows, ...read } = await readGroups(file, groups, request.key, {
      columns: setup.columns,
      where: setup.where,
      keep,
      memory,
      signal: abort,
    })
    counters.rowGroups += groups.length
    const segments = run === undefined ? read.segments : read.segments.map(run)
    return { rows, draws: read.draws, segments, counters: takeCounters(counters) }
  }
  return {
    unitRows: (unit, abort) =>
      twice(unit.file, abort, async (fresh) => rowsBetween(await sizesOf(unit.file, abort, fresh), unit)),
    decode: (request, abort) => twice(request.file, abort, (fresh) => decode(request, abort, fresh)),
    takeCounters: () => takeCounters(counters),
  }
}

export const isCorrupt = (error: unknown): error is FirnError => FirnError.is(error) && error.kind === 'corrupt'

/** Offset and rows of each row group of a file: a pair of numbers each, kept for longer than footers can be. */
function sizeReader(open: FileOpener): (file: FileRef, abort: AbortSignal, fresh: boolean) => Promise<Float64Array> {
  const kept = new Map<string, Float64Array>()
  const gate = createGate(FOOTERS_AT_ONCE)
  let groups = 0
  return async (file, abort, fresh) => {
    const known = kept.get(file.filePath)
    if (known !== undefined) return known
    const { rowGroups } = await gate(() => untilAborted(open.footer(file, fresh), abort))
    // A file of thousands of row groups is asked for by thousands of units at the same time.
    const meanwhile = kept.get(file.filePath)
    if (meanwhile !== undefined) return meanwhile
    const sizes = Float64Array.from(rowGroups.flatMap(({ offset, rows }) => [offset, rows]))
    if (groups > KEPT_SIZES) {
      kept.clear()
      groups = 0
    }
    groups += rowGroups.length + 1
    kept.set(file.filePath, sizes)
    return sizes
  }
}

/** @param sizes offset and rows of each row group. */
function rowsBetween(sizes: Float64Array, { start, end }: UnitSpan): number {
  let rows = 0
  for (let at = 0; at < sizes.length; at += 2) if (sizes[at]! >= start && sizes[at]! < end) rows += sizes[at + 1]!
  return rows
}

function groupsOf({ rowGroups }: TaskReader, { start, end }: UnitSpan): readonly number[] {
  const groups: number[] = []
  for (let group = 0; group < rowGroups.length; group++) {
    const { offset } = rowGroups[group]!
    if (offset >= start && offset < end) groups.push(group)
  }
  return groups
}

interface UnitRows {
  readonly rows: number
  readonly draws: Uint32Array | undefined
  readonly segments: readonly RecordBatch[]
}

interface GroupRead extends Pick<ReadInOrderOptions, 'columns' | 'where' | 'memory' | 'signal'> {
  readonly keep: RowTest | undefined
}

async function readGroups(
  file: TaskReader,
  groups: readonly number[],
  key: string | undefined,
  read: GroupRead,
): Promise<UnitRows> {
  const sizes = groups.map((group) => file.rowGroupRows[group]!)
  const rows = sizes.reduce((sum, size) => sum + size, 0)
  const order = rowOrder(rows, key)
  if (groups.length === 1) {
    const { batches, positions } = await file.readInOrder(groups[0]!, { ...read, order, batchRows: SEGMENT_ROWS })
    return { rows, draws: positions, segments: batches.filter((batch) => batch.numRows > 0) }
  }
  const parts = splitOrder(order, sizes)
  // What is read here is copied once more, and only the copies come out.
  const memory = read.memory && { ...read.memory, values: () => undefined }
  const results = await Promise.all(
    groups.map((group, index) =>
      file.readInOrder(group, { ...read, memory, order: parts[index]!.order, batchRows: SEGMENT_ROWS }),
    ),
  )
  return { rows, ...joinOrdered(parts, results) }
}
