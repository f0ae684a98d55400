/** One `firn train`: from a table and settings, or from a checkpoint, to a model with its scores. */
import type { Tokenizer } from '../../loader/index.ts'
import { newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type Backend, openBackend, type Tf } from './backend.ts'
import { hasCheckpoint, loadCheckpoint, removeCheckpoints } from './checkpoint.ts'
import { type DataAccess, learnVocabulary, openTraining, type TrainingData, validationPairs } from './data.ts'
import { type Evaluation, evaluate } from './evaluate.ts'
import { buildSummarizer, type ModelSizes, type Summarizer } from './model.ts'
import { hasModel, loadModel, saveModel } from './model-files.ts'
import type { TrainSettings } from './settings.ts'
import { begin, type LoopOptions, metadataOf, resumed, runSteps, type Training } from './train.ts'

/** A training that begins. The vocabulary's size is a wish: it is smaller when the texts do not give as many. */
export interface TrainingRequest extends Omit<TrainSettings, 'steps' | 'sizes'> {
  readonly sizes: ModelSizes
  readonly steps: number | undefined
  /** Instead of `steps`. */
  readonly epochs: number
}

export interface SessionOptions extends Pick<LoopOptions, 'checkpointSteps' | 'onStep' | 'onCheckpoint'> {
  readonly modelFolder: string
  readonly backend: Backend | 'auto'
  readonly access: DataAccess
  readonly table: string
  /** What to train; `undefined`: go on where the newest checkpoint of the folder is. */
  readonly request: TrainingRequest | undefined
  /** Rows of the validation split that are scored, at most. */
  readonly validationRows: number
  /** Words of the baseline; default: as many as titles have on average. */
  readonly leadWords: number | undefined
  /** Name of the run; default: one that is new. */
  readonly run: string | undefined
}

export interface SessionResult {
  readonly run: string
  readonly backend: Backend
  readonly settings: TrainSettings
  /** 0: no row is newer than `since`, and the model is as it was. */
  readonly steps: number
  readonly rows: number
  readonly tokens: number
  readonly loss: number | null
  /** Of this process, scoring included. */
  readonly seconds: number
  /** `undefined` without rows for validation. */
  readonly evaluation: Evaluation | undefined
}

/**
 * @throws {FirnError} `FIRN_MODEL_EXISTS`, `FIRN_CHECKPOINT_NOT_FOUND`, `FIRN_BACKEND_MISSING` (invalid),
 *   `FIRN_CHECKPOINT_INVALID` (corrupt), `FIRN_TRAINING_DIVERGED` (failed); what the loader throws; `signal.reason`,
 *   after a checkpoint was written.
 */
export async function trainModel(options: SessionOptions): Promise<SessionResult> {
  const { modelFolder, access, request } = options
  const { signal, clock } = access
  const startedMillis = clock.monotonicMillis()
  // before anything is loaded: no work for nothing
  if (request !== undefined) await refuseOverwriting(modelFolder, request.since !== null)
  const { tf, backend } = await openBackend(options.backend)
  const { training, data } =
    request === undefined ? await goOn(tf, options) : await beginAnew(tf, { ...options, request })
  let progress = training.progress
  let provenance: readonly object[]
  try {
    if (training.settings.steps === 0) return nothingNew(training, backend)
    progress = await runSteps(training, data, { ...options, backend, clock, signal })
    provenance = data.datasets.map((dataset) => dataset.provenance())
  } finally {
    await data.close()
  }
  const { settings, summarizer, tokenizer, run } = training
  const pairs = await validationPairs(settings, access, options.validationRows)
  const evaluation = await evaluate(summarizer, tokenizer, pairs, { leadCount: options.leadWords, signal })
  const metadata = metadataOf(training, backend, progress, { provenance, results: evaluation ?? null })
  const weightsName = `weights-${run}-${progress.step}.bin`
  await saveModel(modelFolder, { summarizer, tokenizer, metadata }, { weightsName })
  await removeCheckpoints(modelFolder)
  const { step: steps, rows, tokens, loss } = progress
  const seconds = (clock.monotonicMillis() - startedMillis) / 1000
  return { run, backend, settings, steps, rows, tokens, loss, seconds, evaluation }
}

/** The model stays as it is. */
function nothingNew({ run, settings }: Training, backend: Backend): SessionResult {
  const none = { steps: 0, rows: 0, tokens: 0, loss: null, seconds: 0, evaluation: undefined }
  return { run, backend, settings, ...none }
}

interface Opened {
  readonly training: Training
  readonly data: TrainingData
}

async function goOn(tf: Tf, { modelFolder, access, table }: SessionOptions): Promise<Opened> {
  const checkpoint = await loadCheckpoint(tf, modelFolder)
  if (checkpoint === undefined) throw nothingToResume(modelFolder, await hasModel(modelFolder))
  const { settings, tokenizer } = checkpoint
  if (settings.table !== table) {
    const message = `the checkpoint in ${modelFolder} is of ${settings.table}, not of ${table}`
    throw new FirnError('invalid', 'FIRN_CHECKPOINT_MISMATCH', message, { help: `name the table ${settings.table}` })
  }
  return { training: resumed(checkpoint), data: await openTraining(settings, access, tokenizer) }
}

async function beginAnew(
  tf: Tf,
  { modelFolder, access, request, run }: SessionOptions & { readonly request: TrainingRequest },
): Promise<Opened> {
  const { steps: wanted, epochs, ...rest } = request
  const draft = { ...rest, steps: 0 }
  const { summarizer, tokenizer } =
    rest.since === null ? await freshModel(tf, draft, access) : await loadModel(tf, modelFolder)
  const sized: TrainSettings = { ...draft, sizes: summarizer.sizes }
  const data = await openTraining(sized, access, tokenizer)
  try {
    const batches = await data.countBatches()
    // new rows only: that there are none is no mistake
    const steps = batches === 0 && rest.since !== null ? 0 : (wanted ?? epochs * batches)
    const parts = { run: run ?? newRunId(access.clock), settings: { ...sized, steps }, summarizer, tokenizer }
    return { training: begin(parts), data }
  } catch (error) {
    await data.close()
    throw error
  }
}

async function freshModel(
  tf: Tf,
  settings: TrainSettings,
  access: DataAccess,
): Promise<{ readonly summarizer: Summarizer; readonly tokenizer: Tokenizer }> {
  const tokenizer = await learnVocabulary(settings, access, settings.sizes.vocabulary)
  const summarizer = buildSummarizer(tf, { ...settings.sizes, vocabulary: tokenizer.vocabSize })
  return { summarizer, tokenizer }
}

/** @param goesOn with the weights of a model that is there. */
async function refuseOverwriting(folder: string, goesOn: boolean): Promise<void> {
  if (await hasCheckpoint(folder)) {
    const message = `${folder} holds the checkpoints of a training that did not end`
    throw new FirnError('invalid', 'FIRN_MODEL_EXISTS', message, {
      help: 'go on with --resume, or name another folder',
    })
  }
  if (goesOn || !(await hasModel(folder))) return
  throw new FirnError('invalid', 'FIRN_MODEL_EXISTS', `${folder} holds a model`, {
    help: 'train it further with --since, or name another folder',
  })
}

function nothingToResume(folder: string, isTrained: boolean): FirnError {
  const why = isTrained ? 'its training came to its end' : 'no training wrote there'
  return new FirnError('not-found', 'FIRN_CHECKPOINT_NOT_FOUND', `there is no checkpoint in ${folder}: ${why}`, {
    help: isTrained ? 'train it further with --since' : 'train without --resume',
  })
}
