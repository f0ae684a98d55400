/**
 * Where a training can go on: weights, optimizer, the place in the data, tokenizer and settings, in a folder of its own
 * that appears whole (written beside, then renamed). The two newest are kept.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FirnError } from '../../table/errors.ts'
import type { AdamState } from './adam.ts'
import type { Tf } from './backend.ts'
import { variablesOf } from './model.ts'
import { loadModel, namesIn, type SavedModel, saveModel, writeDurably } from './model-files.ts'
import type { TrainSettings } from './settings.ts'

/** How far a training is; plain JSON. */
export interface Progress {
  readonly step: number
  /** Token of the loader; `null` before the first batch. */
  readonly token: string | null
  readonly rows: number
  /** Ids of articles and titles, without padding. */
  readonly tokens: number
  /** Mean loss of the last steps, smoothed. */
  readonly loss: number | null
}

export interface Checkpoint extends SavedModel {
  readonly run: string
  readonly settings: TrainSettings
  readonly progress: Progress
  readonly adam: AdamState
}

const FOLDER = 'checkpoints'
const KEPT = 2
const STATE_FILE = 'state.json'
const OPTIMIZER_FILE = 'optimizer.bin'

interface StateFile {
  readonly schema: 'firn.checkpoint/1'
  readonly run: string
  readonly settings: TrainSettings
  readonly progress: Progress
  readonly adam_step: number
  readonly optimizer_sha256: string
}

/** @returns its folder. */
export async function saveCheckpoint(modelFolder: string, checkpoint: Checkpoint): Promise<string> {
  const { run, settings, progress, adam } = checkpoint
  const parent = join(modelFolder, FOLDER)
  const name = `step-${String(progress.step).padStart(9, '0')}`
  const scratch = join(parent, `.new-${name}`)
  await rm(scratch, { recursive: true, force: true })
  await mkdir(scratch, { recursive: true })
  await saveModel(scratch, checkpoint, { weightsName: 'weights.bin' })
  const optimizer = Buffer.concat([bytesOf(adam.first), bytesOf(adam.second)])
  await writeDurably(join(scratch, OPTIMIZER_FILE), optimizer)
  const state: StateFile = {
    schema: 'firn.checkpoint/1',
    run,
    settings,
    progress,
    adam_step: adam.step,
    optimizer_sha256: sha256(optimizer),
  }
  await writeDurably(join(scratch, STATE_FILE), JSON.stringify(state, null, 2))
  const folder = join(parent, name)
  await rm(folder, { recursive: true, force: true })
  await rename(scratch, folder)
  for (const old of (await checkpointNames(modelFolder)).slice(0, -KEPT)) {
    await rm(join(parent, old), { recursive: true, force: true })
  }
  return folder
}

/** @returns the newest; `undefined` when there is none. @throws {FirnError} `FIRN_CHECKPOINT_INVALID` (corrupt). */
export async function loadCheckpoint(tf: Tf, modelFolder: string): Promise<Checkpoint | undefined> {
  const folder = await newestCheckpoint(modelFolder)
  if (folder === undefined) return undefined
  const invalid = (why: string, cause?: unknown): FirnError =>
    new FirnError('corrupt', 'FIRN_CHECKPOINT_INVALID', `the checkpoint ${folder} ${why}`, {
      help: 'remove the folder to go on from the one before it',
      cause,
    })
  const read = (file: string): Promise<Buffer> =>
    readFile(join(folder, file)).catch((cause: unknown) => {
      throw invalid(`has no ${file} that can be read`, cause)
    })
  const text = (await read(STATE_FILE)).toString()
  const state = stateIn(text)
  if (state?.schema !== 'firn.checkpoint/1') throw invalid('is none that this version wrote')
  const optimizer = await read(OPTIMIZER_FILE)
  if (sha256(optimizer) !== state.optimizer_sha256) throw invalid('has another optimizer.bin than was written')
  const saved = await loadModel(tf, folder)
  const size = variablesOf(saved.summarizer).reduce((sum, variable) => sum + variable.size, 0)
  if (optimizer.length !== size * 8) throw invalid('has an optimizer.bin of another model')
  const both = new Float32Array(Uint8Array.from(optimizer).buffer)
  const adam = { step: state.adam_step, first: both.slice(0, size), second: both.slice(size) }
  return { ...saved, run: state.run, settings: state.settings, progress: state.progress, adam }
}

export const hasCheckpoint = async (modelFolder: string): Promise<boolean> =>
  (await checkpointNames(modelFolder)).length > 0

/** Folder of the newest one. */
export async function newestCheckpoint(modelFolder: string): Promise<string | undefined> {
  const name = (await checkpointNames(modelFolder)).at(-1)
  return name === undefined ? undefined : join(modelFolder, FOLDER, name)
}

export const removeCheckpoints = (modelFolder: string): Promise<void> =>
  rm(join(modelFolder, FOLDER), { recursive: true, force: true })

async function checkpointNames(modelFolder: string): Promise<string[]> {
  return (await namesIn(join(modelFolder, FOLDER))).filter((name) => /^step-\d{9,}$/.test(name)).sort()
}

function stateIn(text: string): StateFile | undefined {
  try {
    return JSON.parse(text) as StateFile
  } catch {
    return undefined
  }
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
