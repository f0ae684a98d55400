/**
 * The end of the demo's line: shuffled, tokenized batches of one pinned snapshot into the model of `firn train`, for a
 * few steps. The library is called, not the command, so that every few steps can be shown.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type TrainingRequest, trainModel } from '../train/session.ts'

export interface TrainOptions {
  readonly warehouse: string
  readonly table: string
  readonly snapshotId: string
  readonly s3Endpoint: string
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const SEED = 7
const STEPS = 60
const SHOWN_STEPS = 12

/** @throws {FirnError} `FIRN_DEMO_TRAINING` (failed) when the loss does not fall. */
export async function trainOnSnapshot({ say, signal, ...options }: TrainOptions): Promise<void> {
  const modelFolder = await mkdtemp(join(tmpdir(), 'firn-demo-model-'))
  const losses: number[] = []
  try {
    const { backend, rows } = await trainModel({
      modelFolder,
      backend: 'auto',
      access: {
        source: {
          warehouse: options.warehouse,
          storeOptions: { s3: { endpoint: options.s3Endpoint } },
          table: options.table,
        },
        numWorkers: 1,
        clock: systemClock,
        signal,
      },
      table: options.table,
      request: requestOf(options),
      // after so few steps there is nothing to score
      validationRows: 0,
      leadWords: undefined,
      run: 'demo',
      checkpointSteps: STEPS,
      onStep: ({ step, loss, rowsPerSecond }) => {
        losses.push(loss)
        if (step % SHOWN_STEPS !== 0 && step > 1) return
        say(`   step ${step} of ${STEPS}  loss ${loss.toFixed(4)}  ${Math.round(rowsPerSecond)} rows/s`)
      },
    })
    const [first = 0, last = 0] = [losses.at(0), losses.at(-1)]
    if (!(last < first)) throw new FirnError('failed', 'FIRN_DEMO_TRAINING', `the loss went from ${first} to ${last}`)
    say(`   the loss fell from ${first.toFixed(4)} to ${last.toFixed(4)} (${rows} rows, backend ${backend})`)
  } finally {
    await rm(modelFolder, { recursive: true, force: true })
  }
}

/** Article to title, in sizes that are learned from in seconds. */
const requestOf = ({ table, snapshotId }: Pick<TrainOptions, 'table' | 'snapshotId'>): TrainingRequest => ({
  table,
  snapshotId,
  since: null,
  replay: 0,
  content: 'content',
  title: 'title',
  key: 'article_id',
  validationBuckets: 0,
  batchSize: 16,
  learningRate: 0.005,
  seed: SEED,
  steps: STEPS,
  epochs: 1,
  sizes: { vocabulary: 600, articleTokens: 64, titleTokens: 16, width: 32, encoderLayers: 1, seed: SEED },
})
