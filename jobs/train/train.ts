/**
 * The training loop: batches of a pinned snapshot in, weights, checkpoints and scores out.
 *
 * Everything that the weights depend on is in the settings and in a checkpoint, so a training that was interrupted and
 * resumed takes the same steps as one that was not; on a backend that computes the same each time, to the last bit.
 */
import type { Tokenizer } from '../../loader/index.ts'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type AdamState, learningRateAt, newAdam, updateWeights } from './adam.ts'
import type { Backend, Variable } from './backend.ts'
import { type Checkpoint, type Progress, saveCheckpoint } from './checkpoint.ts'
import { idsOf, type TrainingData } from './data.ts'
import { type IdBatch, lossOf, type Summarizer, variablesOf } from './model.ts'
import { type ModelMetadata, marksOf } from './model-files.ts'
import type { TrainSettings } from './settings.ts'

export interface StepReport {
  readonly step: number
  readonly steps: number
  /** Smoothed over about the last 50 steps. */
  readonly loss: number
  /** Of this process so far. */
  readonly rowsPerSecond: number
  /** Share of the time in which the trainer waited for batches, 0 to 1. */
  readonly waited: number
}

export interface Training {
  readonly run: string
  readonly settings: TrainSettings
  readonly summarizer: Summarizer
  readonly tokenizer: Tokenizer
  readonly adam: AdamState
  readonly progress: Progress
}

export interface LoopOptions {
  readonly modelFolder: string
  readonly backend: Backend
  /** Steps between checkpoints. */
  readonly checkpointSteps: number
  readonly clock: Clock
  readonly signal: AbortSignal
  onStep?(report: StepReport): void
  /** Waited for: what it does is done before the training goes on or ends. */
  onCheckpoint?(checkpoint: SavedCheckpoint): Promise<void> | void
}

export interface SavedCheckpoint {
  readonly folder: string
  readonly step: number
  readonly run: string
  readonly snapshotId: string
}

/** Of the smoothed loss: the weight of what was before. */
const MEMORY = 0.98

/** A training that begins, with the weights of `summarizer`. */
export const begin = (parts: Omit<Training, 'adam' | 'progress'>): Training => ({
  ...parts,
  adam: newAdam(variablesOf(parts.summarizer)),
  progress: { step: 0, token: null, rows: 0, tokens: 0, loss: null },
})

export const resumed = ({ run, settings, summarizer, tokenizer, adam, progress }: Checkpoint): Training => ({
  run,
  settings,
  summarizer,
  tokenizer,
  adam,
  progress,
})

/**
 * Take the steps that are left. A signal ends it between two steps, with a checkpoint.
 * @throws {FirnError} `FIRN_TRAINING_DIVERGED` (failed); what reading throws; `signal.reason`.
 */
export async function runSteps(training: Training, data: TrainingData, options: LoopOptions): Promise<Progress> {
  const { settings, summarizer, tokenizer, adam } = training
  const { clock, signal, checkpointSteps } = options
  const { begin: beginMark } = marksOf(tokenizer)
  const variables = variablesOf(summarizer)
  const meter = createMeter(clock)
  let progress = training.progress
  let savedStep = progress.step
  const save = async (): Promise<void> => {
    const metadata = metadataOf(training, options.backend, progress)
    const checkpoint = { run: training.run, settings, progress, adam, summarizer, tokenizer, metadata }
    const folder = await saveCheckpoint(options.modelFolder, checkpoint)
    savedStep = progress.step
    await options.onCheckpoint?.({ folder, step: savedStep, run: training.run, snapshotId: settings.snapshotId })
  }
  const first = progress.token === null ? 0 : (await data.loadStateDict(progress.token)).epoch
  try {
    for (let epoch = first; progress.step < settings.steps; epoch++) {
      for await (const record of meter.waiting(data.epoch(epoch))) {
        const batch = idsOf(record)
        const rate = learningRateAt(progress.step, settings.steps, settings.learningRate)
        const loss = step(summarizer, variables, adam, batch, beginMark, rate)
        if (!Number.isFinite(loss)) throw diverged(progress.step, settings)
        progress = advanced(progress, batch, loss, data.stateDict())
        meter.count(batch.rows)
        options.onStep?.({ step: progress.step, steps: settings.steps, loss: progress.loss!, ...meter.rates() })
        if (progress.step >= settings.steps) break
        if (progress.step - savedStep >= checkpointSteps) await save()
        signal.throwIfAborted()
      }
    }
    // scoring takes its time too: an interruption then costs no step
    if (progress.step > savedStep) await save()
  } catch (error) {
    // what was done since the last one is not lost, whatever ended it
    if (progress.step > savedStep && !FirnError.is(error, 'FIRN_TRAINING_DIVERGED')) await save()
    throw error
  }
  return progress
}

function step(
  { tf, ...rest }: Summarizer,
  variables: readonly Variable[],
  adam: AdamState,
  batch: IdBatch,
  beginMark: number,
  rate: number,
): number {
  return tf.tidy(() => {
    const { value, grads } = tf.variableGrads(
      () => lossOf({ tf, ...rest }, batch, beginMark).asScalar(),
      [...variables],
    )
    const loss = value.dataSync()[0]!
    // weights that are no numbers any more would go into the next checkpoint
    if (Number.isFinite(loss)) updateWeights(tf, adam, variables, grads, rate)
    return loss
  })
}

function advanced(progress: Progress, { rows, articles, titles }: IdBatch, loss: number, token: string): Progress {
  const before = progress.loss ?? loss
  return {
    step: progress.step + 1,
    token,
    rows: progress.rows + rows,
    tokens: progress.tokens + count(articles) + count(titles),
    loss: before * MEMORY + loss * (1 - MEMORY),
  }
}

function count(ids: Int32Array): number {
  let sum = 0
  for (let at = 0; at < ids.length; at++) if (ids[at] !== 0) sum++
  return sum
}

interface Meter {
  waiting<T>(batches: AsyncIterable<T>): AsyncGenerator<T, void, undefined>
  count(rows: number): void
  rates(): Pick<StepReport, 'rowsPerSecond' | 'waited'>
}

function createMeter(clock: Clock): Meter {
  const startedMillis = clock.monotonicMillis()
  let waitedMillis = 0
  let rows = 0
  return {
    async *waiting(batches) {
      const iterator = batches[Symbol.asyncIterator]()
      try {
        for (;;) {
          const askedMillis = clock.monotonicMillis()
          const { done, value } = await iterator.next()
          waitedMillis += clock.monotonicMillis() - askedMillis
          if (done === true) return
          yield value
        }
      } finally {
        await iterator.return?.()
      }
    },
    count: (more) => {
      rows += more
    },
    rates: () => {
      const elapsed = Math.max(clock.monotonicMillis() - startedMillis, 1)
      return { rowsPerSecond: (rows / elapsed) * 1000, waited: waitedMillis / elapsed }
    },
  }
}

export function metadataOf(
  { run, settings, summarizer }: Training,
  backend: Backend,
  progress: Progress,
  more: object = {},
): ModelMetadata {
  const { step, rows, tokens, loss } = progress
  const training = { run, backend, ...settings, done: { steps: step, rows, tokens, loss } }
  return { schema: 'firn.model/1', sizes: summarizer.sizes, training, ...more }
}

const diverged = (step: number, { learningRate }: TrainSettings): FirnError =>
  new FirnError('failed', 'FIRN_TRAINING_DIVERGED', `the loss of step ${step + 1} is not a number`, {
    help: `lower --learning-rate (it was ${learningRate}); checkpoints from before are whole`,
    detail: { step: step + 1 },
  })
