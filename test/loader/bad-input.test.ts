/**
 * Everything that can be wrong with what a dataset is asked for or given: the error it is, with the next step, or the
 * policy that was declared; what the statistics say of it; and that a token taken before goes on as if nothing had been.
 */
import { createHash } from 'node:crypto'
import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Dataset, DatasetOptions, DatasetStats, TensorBatch, TFDatasetOptions } from '../../loader/index.ts'
import { openCatalog, openFileTask, openStore, systemClock } from '../../table/index.ts'
import { testClock } from '../table/support.ts'
import { numbersOf, ROWS, rowsTable, withDataset } from './support.ts'
import { clear, type DataRead, type Weather, type WeatherWarehouse, weatherWarehouse } from './support-weather.ts'

const FILE_ROWS = 130
const GROUP_ROWS = 16
const BATCH = 32
/** Batches before the token. */
const BEFORE = 3

let warehouse: WeatherWarehouse
let token: string
/** Rows of the epoch behind the token, in their order. */
let rest: readonly number[]
/** A row group that has rows behind the token: where it is, and its rows. */
let group: { file: string; start: number; end: number; rows: ReadonlySet<number> }

const options = (more: object = {}): DatasetOptions =>
  ({
    warehouse: warehouse.url,
    storeOptions: warehouse.storeOptions,
    table: 't.rows',
    shuffle: { seed: 7, blockBytes: 20_000 },
    batch: { size: BATCH },
    pin: false,
    clock: testClock(1),
    ...more,
  }) as DatasetOptions

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  warehouse = await weatherWarehouse()
  const sizes = { rows: 500, fileRows: FILE_ROWS, rowGroupRows: GROUP_ROWS }
  await rowsTable(warehouse.url, sizes, warehouse.storeOptions)
  rest = await withDataset(options(), async (dataset) => {
    const batches = dataset.epoch(0)
    for (let batch = 0; batch < BEFORE; batch++) await batches.next()
    token = batches.stateDict()
    return (await numbersOf(batches)).flat()
  })
  group = await groupOf(rest.at(-1)!)
})
afterAll(() => warehouse.close())
beforeEach(() => {
  warehouse.weather = clear
})

async function groupOf(row: number): Promise<typeof group> {
  const firstOfFile = row - (row % FILE_ROWS)
  const name = createHash('sha256').update(String(firstOfFile)).digest('hex').slice(0, 12)
  const store = openStore(warehouse.url, warehouse.storeOptions)
  const table = await openCatalog(store, { clock: systemClock }).loadTable('t.rows')
  const task = (await table.scan().planFiles()).find(({ file }) => file.filePath.includes(name))!
  const { rowGroups } = await openFileTask(table.store, table.location, task, ROWS)
  const index = Math.floor((row % FILE_ROWS) / GROUP_ROWS)
  const { offset, compressedBytes, rows } = rowGroups[index]!
  const first = firstOfFile + index * GROUP_ROWS
  return {
    file: task.file.filePath.split('/').at(-1)!,
    start: offset,
    end: offset + compressedBytes,
    rows: new Set(Array.from({ length: rows }, (_, at) => first + at)),
  }
}

type Read = (dataset: Dataset) => Promise<number[]>

const asBatches: Read = async (dataset) => (await numbersOf(dataset.epoch())).flat()
const tensorsOf =
  (columns: Partial<TFDatasetOptions<tf.Tensor>> = {}): Read =>
  async (dataset) => {
    const iterator = await dataset.toTFDataset(tf, { xs: 'n', ys: 'n', ...columns }).iterator()
    const numbers: number[] = []
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      const { xs, ys } = next.value as { xs: tf.Tensor; ys: tf.Tensor }
      numbers.push(...ys.dataSync())
      tf.dispose([xs, ys])
    }
    return numbers
  }

/** Until then this thread decodes. The worker reads the ends of the files for itself. */
async function workerIsUp(dataset: Dataset): Promise<void> {
  const ends = new Set<string>()
  let isUp = false
  warehouse.weather = ({ path, bytes }) => {
    if (bytes.toString('latin1', bytes.length - 4) === 'PAR1') {
      isUp ||= ends.has(path)
      ends.add(path)
    }
    return bytes
  }
  let epoch = 1
  const readOne = async (): Promise<boolean> => {
    await numbersOf(dataset.epoch(epoch++))
    return isUp
  }
  // with pauses, in which the thread can start
  await expect.poll(readOne, { interval: 100, timeout: 30_000 }).toBe(true)
}

interface Case {
  readonly what: string
  readonly more?: object
  /** Default: in both ways. */
  readonly read?: Read
  /** What the reads after the token meet. */
  readonly weather?: () => Weather
  /** Begin at the beginning: the case has other batches than the token. */
  readonly isFresh?: boolean
  /** The error; without it the case ends well. */
  readonly error?: { readonly kind: string; readonly code: string; readonly help: RegExp }
  readonly rows?: () => readonly number[]
  readonly stats?: (stats: DatasetStats) => void
}

const inGroup = ({ path, start, bytes }: DataRead): boolean =>
  path.endsWith(group.file) && start < group.end && start + bytes.length > group.start
/** The bytes of the row group are other ones; the footer, which a read may have as well, is not. */
const damaged: Weather = (read) => {
  if (!inGroup(read)) return read.bytes
  const at = (position: number): number => Math.min(Math.max(position - read.start, 0), read.bytes.length)
  return Buffer.from(read.bytes).fill(0xee, at(group.start), at(group.end))
}
/** Every read once, then it is fine. */
const once = (weather: Weather): Weather => {
  const seen = new Set<string>()
  return (read) => {
    const key = `${read.path} ${read.start}`
    if (seen.has(key)) return read.bytes
    seen.add(key)
    return weather(read)
  }
}
const counted = (least: Partial<DatasetStats>) => (stats: DatasetStats) => {
  for (const [name, value] of Object.entries(least)) {
    expect(stats[name as keyof DatasetStats], name).toBeGreaterThanOrEqual(value as number)
  }
}
const nothing = (stats: DatasetStats): void => expect(stats).toMatchObject({ batches: 0, rows: 0, rowsSkipped: 0 })
const noneSkipped = { rowsSkipped: 0, unitsSkipped: 0, lastSkipped: undefined }

const invalid = (code: string, help: RegExp) => ({ kind: 'invalid', code, help })
const unavailable = { kind: 'unavailable', code: 'FIRN_STORE_UNAVAILABLE', help: /store/ }
const corrupt = { kind: 'corrupt', code: 'FIRN_PARQUET_CORRUPT', help: /verify/ }

const CASES: readonly Case[] = [
  {
    what: 'a column that the table does not have',
    more: { columns: ['n', 'nope'] },
    error: invalid('FIRN_COLUMN_NOT_FOUND', /columns/i),
  },
  {
    what: 'a filter on a column that the table does not have',
    more: { filter: 'nope > 1' },
    error: invalid('FIRN_COLUMN_NOT_FOUND', /The columns are: id, n/),
    isFresh: true,
  },
  {
    what: 'a tensor of a column that was not read',
    more: { columns: ['n'] },
    read: tensorsOf({ xs: 'score' }),
    error: invalid('FIRN_COLUMN_NOT_FOUND', /The columns are: n/),
  },
  {
    what: 'a tensor of text',
    read: tensorsOf({ xs: 'text' }),
    error: invalid('FIRN_TENSOR_TYPE', /batch\.texts/),
    stats: nothing,
  },
  {
    what: 'a tensor of timestamps',
    read: tensorsOf({ xs: 'at' }),
    error: invalid('FIRN_TENSOR_TYPE', /batch\.record/),
    stats: nothing,
  },
  {
    what: 'a number that no tensor holds',
    read: tensorsOf({ xs: (batch: TensorBatch) => tf.tensor(batch.numbers('big', { nullAs: 0 }).values) }),
    error: invalid('FIRN_TENSOR_RANGE', /64-bit/),
    stats: counted({ rows: BATCH }),
  },
  {
    what: 'a null in a column of tensors',
    read: tensorsOf({ xs: 'ratio' }),
    error: invalid('FIRN_TENSOR_NULL', /nullAs/),
    stats: counted({ rows: BATCH }),
  },
  {
    what: 'a split that no row is in',
    more: { split: { column: 'n', buckets: 1_000_000, include: [0, 1] } },
    isFresh: true,
    error: invalid('FIRN_DATASET_EMPTY', /split/),
    stats: nothing,
  },
  {
    what: 'a batch larger than the data, short ones left out',
    more: { batch: { size: 501 }, dropLast: true },
    isFresh: true,
    error: invalid('FIRN_DATASET_EMPTY', /dropLast/),
    stats: nothing,
  },
  {
    what: 'a batch larger than the data, short ones wanted',
    more: { batch: { size: 501 } },
    isFresh: true,
    rows: () => Array.from({ length: 500 }, (_, n) => n),
    stats: (stats) => expect(stats).toMatchObject({ batches: 1, rows: 500 }),
  },
  {
    what: 'a damaged row group',
    weather: () => damaged,
    error: corrupt,
    stats: (stats) => {
      counted({ retries: 1 })(stats)
      expect(stats).toMatchObject(noneSkipped)
    },
  },
  {
    what: 'a damaged row group that may be skipped',
    more: { onError: 'skip' },
    weather: () => damaged,
    rows: () => rest.filter((n) => !group.rows.has(n)),
    stats: (stats) => {
      counted({ retries: 1 })(stats)
      expect(stats).toMatchObject({ rowsSkipped: group.rows.size, unitsSkipped: 1 })
      expect(stats.lastSkipped).toContain(group.file)
    },
  },
  {
    what: 'a row group that arrives damaged once',
    weather: () => once(damaged),
    rows: () => rest,
    stats: (stats) => {
      counted({ retries: 1 })(stats)
      expect(stats).toMatchObject(noneSkipped)
    },
  },
  ...(['raise', 'skip'] as const).flatMap((onError): Case[] => [
    {
      what: `a store that does not answer, onError: '${onError}'`,
      more: { onError, retry: { attempts: 2 } },
      weather: () => (read) => (inGroup(read) ? 'refused' : read.bytes),
      error: unavailable,
      stats: (stats) => {
        counted({ retries: 1 })(stats)
        expect(stats).toMatchObject(noneSkipped)
      },
    },
    {
      what: `reads that always break off, onError: '${onError}'`,
      more: { onError, retry: { attempts: 1 } },
      weather: () => (read) => (inGroup(read) ? 'cut off' : read.bytes),
      error: unavailable,
      stats: (stats) => expect(stats).toMatchObject(noneSkipped),
    },
  ]),
  {
    what: 'reads that are always short, and may be skipped when damaged',
    more: { onError: 'skip', retry: { attempts: 1 } },
    weather: () => (read) => (inGroup(read) ? read.bytes.subarray(1) : read.bytes),
    error: unavailable,
    stats: (stats) => expect(stats).toMatchObject(noneSkipped),
  },
  {
    what: 'reads that are refused once each',
    more: { retry: { attempts: 2 } },
    weather: () => once(() => 'refused'),
    rows: () => rest,
    stats: counted({ retries: 2 }),
  },
  {
    what: 'reads that break off once each',
    more: { retry: { attempts: 2 } },
    weather: () => once(() => 'cut off'),
    rows: () => rest,
    stats: (stats) => expect(stats).toMatchObject(noneSkipped),
  },
]

const WAYS = [
  ['as batches, decoded in this thread', 0, asBatches],
  ['as tensors, decoded by a worker', 1, tensorsOf()],
] as const

describe.each(CASES)('$what', ({ more = {}, read: own, weather, isFresh = false, error, rows, stats }) => {
  it.each(own === undefined ? WAYS : WAYS.slice(-1))('%s', async (_way, numWorkers, given) => {
    const read = own ?? given
    const attempt = (): Promise<number[]> =>
      withDataset(options({ numWorkers, ...more }), async (dataset) => {
        if (weather !== undefined && numWorkers > 0) await workerIsUp(dataset)
        if (!isFresh) await dataset.loadStateDict(token)
        warehouse.weather = weather?.() ?? clear
        try {
          const numbers = await read(dataset)
          stats?.(dataset.stats())
          return numbers
        } catch (failure) {
          stats?.(dataset.stats())
          warehouse.weather = clear
          if (weather !== undefined) {
            // the same dataset goes on once the weather is clear
            await dataset.loadStateDict(token)
            expect(await read(dataset)).toEqual(rest)
          }
          throw failure
        } finally {
          warehouse.weather = clear
        }
      })
    if (error === undefined) {
      const numbers = await attempt()
      expect(isFresh ? numbers.toSorted((a, b) => a - b) : numbers).toEqual(rows!())
    } else {
      const { kind, code, help } = error
      await expect(attempt()).rejects.toMatchObject({
        name: 'FirnError',
        kind,
        code,
        help: expect.stringMatching(help) as string,
      })
    }
    await withDataset(options({ numWorkers }), async (dataset) => {
      await dataset.loadStateDict(token)
      expect(await given(dataset)).toEqual(rest)
    })
  })
})
