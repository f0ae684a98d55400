/**
 * How well an epoch is mixed, measured on what comes out, in a process of its own:
 * `node quality.ts firn <warehouse> <rows per file> [blockBytes]` or `node quality.ts tfjs <rows> <rows per file>`.
 *
 * The table is sorted by date and `position` is a row's place in it. VR is the variance of the batch means of
 * `position` over the variance that batches drawn without replacement from all rows have: 1 is perfect, 64 a batch of
 * neighbours. Drift is the same for windows of 64 batches.
 */
import * as tf from '@tensorflow/tfjs'
import { ROW_GROUP_ROWS, TABLE } from './tables.ts'

const BATCH = 64
const WINDOW_BATCHES = 64

export interface QualityReport {
  readonly rows: number
  readonly batches: number
  readonly varianceRatio: number
  readonly drift: number
  /** Row groups that a batch has rows of: mean, 1st percentile, least. */
  readonly units: { readonly mean: number; readonly low: number; readonly least: number }
}

async function* positionsOfFirn(warehouse: string, blockBytes: number): AsyncGenerator<ArrayLike<number>> {
  const { openDataset } = await import('../../../loader/index.ts')
  const dataset = await openDataset({
    warehouse,
    table: TABLE,
    columns: ['position'],
    shuffle: { seed: 1, ...(blockBytes > 0 ? { blockBytes } : {}) },
    batch: { size: BATCH },
    dropLast: true,
    prefetchBatches: 8,
  })
  for await (const batch of dataset.epoch(0)) yield batch.getChild('position')!.toArray() as Int32Array
  await dataset[Symbol.asyncDispose]()
}

/** The way of `tf.data`: the rows as they stand, through a buffer of 1,000. */
async function* positionsOfTfjs(rows: number): AsyncGenerator<ArrayLike<number>> {
  tf.enableProdMode()
  const source = tf.data.generator(function* () {
    for (let position = 0; position < rows; position++) yield position as unknown as tf.TensorContainer
  })
  const iterator = await source.shuffle(1000, '1').iterator()
  let batch: number[] = []
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    batch.push(next.value as unknown as number)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
}

async function measureQuality(batches: AsyncIterable<ArrayLike<number>>, rowsPerFile: number): Promise<QualityReport> {
  const means: number[] = []
  const units: number[] = []
  let [rows, sum, squares] = [0, 0, 0]
  for await (const batch of batches) {
    const seen = new Set<number>()
    let batchSum = 0
    for (let row = 0; row < batch.length; row++) {
      const position = batch[row]!
      // files begin with a row group of their own
      seen.add(Math.floor(position / rowsPerFile) * 1e6 + Math.floor((position % rowsPerFile) / ROW_GROUP_ROWS))
      batchSum += position
      squares += position * position
    }
    rows += batch.length
    sum += batchSum
    means.push(batchSum / batch.length)
    units.push(seen.size)
  }
  const variance = squares / rows - (sum / rows) ** 2
  const ratioOf = (values: readonly number[], size: number): number => {
    const mean = values.reduce((total, value) => total + value, 0) / values.length
    const found = values.reduce((total, value) => total + (value - mean) ** 2, 0) / (values.length - 1)
    return found / ((variance / size) * (1 - size / rows))
  }
  const windows: number[] = []
  for (let at = 0; at + WINDOW_BATCHES <= means.length; at += WINDOW_BATCHES) {
    windows.push(means.slice(at, at + WINDOW_BATCHES).reduce((total, mean) => total + mean, 0) / WINDOW_BATCHES)
  }
  const sorted = units.toSorted((a, b) => a - b)
  return {
    rows,
    batches: means.length,
    varianceRatio: ratioOf(means, BATCH),
    drift: ratioOf(windows, BATCH * WINDOW_BATCHES),
    units: {
      mean: units.reduce((total, count) => total + count, 0) / units.length,
      low: sorted[Math.floor(sorted.length / 100)]!,
      least: sorted[0]!,
    },
  }
}

const [who, what = '', rowsPerFile = '', blockBytes = '0'] = process.argv.slice(2)
const batches = who === 'tfjs' ? positionsOfTfjs(Number(what)) : positionsOfFirn(what, Number(blockBytes))
process.stdout.write(JSON.stringify(await measureQuality(batches, Number(rowsPerFile))))
