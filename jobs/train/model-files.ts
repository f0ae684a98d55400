/**
 * A model as TensorFlow.js keeps it, `model.json` and its weights, with the tokenizer beside it. What was trained on,
 * how and with which result is in `userDefinedMetadata` of `model.json`.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { loadTokenizer, type Tokenizer } from '../../loader/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { Tf } from './backend.ts'
import { buildSummarizer, type ModelSizes, type Summarizer } from './model.ts'
import type { Marks } from './write-titles.ts'

/** `userDefinedMetadata` of `model.json`; plain JSON. */
export interface ModelMetadata {
  readonly schema: 'firn.model/1'
  readonly sizes: ModelSizes
  readonly [key: string]: unknown
}

export interface SavedModel {
  readonly summarizer: Summarizer
  readonly tokenizer: Tokenizer
  readonly metadata: ModelMetadata
}

const MODEL_FILE = 'model.json'
const TOKENIZER_FILE = 'tokenizer.json'

/**
 * Replaces the model of a folder. Whoever reads meanwhile sees the old one or the new one: the weights have a name of
 * their own, and `model.json`, which names them, is put in place last.
 */
export async function saveModel(
  folder: string,
  { summarizer, tokenizer, metadata }: SavedModel,
  { weightsName }: { readonly weightsName: string },
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { json, weights } = await artifactsOf(summarizer, metadata, weightsName)
  await writeDurably(join(folder, weightsName), weights)
  await replaceFile(join(folder, TOKENIZER_FILE), JSON.stringify(tokenizer.toJSON()))
  await replaceFile(join(folder, MODEL_FILE), JSON.stringify(json))
  for (const name of await readdir(folder)) {
    if (/^weights.*\.bin$/.test(name) && name !== weightsName) await rm(join(folder, name), { force: true })
  }
}

/** @throws {FirnError} `FIRN_MODEL_NOT_FOUND` (not-found), `FIRN_MODEL_INVALID` (corrupt); of the tokenizer. */
export async function loadModel(tf: Tf, folder: string): Promise<SavedModel> {
  const { metadata, weightsManifest } = await readModelJson(folder)
  const tokenizer = await loadTokenizer(join(folder, TOKENIZER_FILE))
  const summarizer = buildSummarizer(tf, metadata.sizes)
  const [group] = weightsManifest
  try {
    const bytes = await readFile(join(folder, group!.paths[0]!))
    const values = tf.io.decodeWeights(arrayBufferOf(bytes), group!.weights)
    summarizer.model.loadWeights(values)
    tf.dispose(values)
  } catch (cause) {
    throw new FirnError('corrupt', 'FIRN_MODEL_INVALID', `the weights of ${folder} are not those of its model.json`, {
      help: 'train it again, or use a copy that is whole',
      cause,
    })
  }
  return { summarizer, tokenizer, metadata }
}

/** @throws {FirnError} `FIRN_MODEL_NOT_FOUND` (not-found), `FIRN_MODEL_INVALID` (corrupt). */
async function readModelJson(folder: string): Promise<ModelJson & { readonly metadata: ModelMetadata }> {
  const text = await readFile(join(folder, MODEL_FILE), 'utf8').catch((cause: unknown) => {
    throw new FirnError('not-found', 'FIRN_MODEL_NOT_FOUND', `there is no model in ${folder}`, {
      help: 'name the folder that firn train --model made',
      cause,
    })
  })
  const json = modelIn(text)
  const metadata = json?.userDefinedMetadata
  if (json !== undefined && metadata?.schema === 'firn.model/1') return { ...json, metadata }
  throw new FirnError('corrupt', 'FIRN_MODEL_INVALID', `the model in ${folder} is none that firn train made`, {
    help: 'name the folder that firn train --model made',
  })
}

export const hasModel = async (folder: string): Promise<boolean> => (await namesIn(folder)).includes(MODEL_FILE)

/** None when the folder is not there. */
export async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

export function marksOf(tokenizer: Tokenizer): Marks {
  const begin = tokenizer.idOf('<bos>')
  const end = tokenizer.idOf('<eos>')
  if (begin !== undefined && end !== undefined && tokenizer.idOf('<pad>') === 0) return { begin, end }
  throw new FirnError('invalid', 'FIRN_TOKENIZER_INVALID', 'the tokenizer has no <pad> at 0, <bos> and <eos>', {
    help: 'use the tokenizer.json that was saved beside the model',
  })
}

/** On the disk before anything refers to it. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function replaceFile(path: string, content: string): Promise<void> {
  await writeDurably(`${path}.new`, content)
  await rename(`${path}.new`, path)
}

type WeightSpecs = Parameters<Tf['io']['decodeWeights']>[1]
interface ModelJson {
  readonly weightsManifest: readonly { readonly paths: readonly string[]; readonly weights: WeightSpecs }[]
  readonly userDefinedMetadata?: ModelMetadata
}

function modelIn(text: string): ModelJson | undefined {
  try {
    return JSON.parse(text) as ModelJson
  } catch {
    return undefined
  }
}

async function artifactsOf(
  { tf, model }: Summarizer,
  metadata: ModelMetadata,
  weightsName: string,
): Promise<{ readonly json: object; readonly weights: Uint8Array }> {
  model.setUserDefinedMetadata({ ...metadata })
  let made: { json: object; weights: Uint8Array } | undefined
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      const { modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy, userDefinedMetadata } =
        artifacts
      const manifest = [{ paths: [weightsName], weights: weightSpecs }]
      const weights = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData))
      const json = { format, generatedBy, convertedBy, modelTopology, weightsManifest: manifest, userDefinedMetadata }
      made = { json, weights }
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  return made!
}

const arrayBufferOf = (bytes: Uint8Array): ArrayBuffer =>
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
