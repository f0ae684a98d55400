import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newAdam, updateWeights } from '../../../jobs/train/adam.ts'
import { openBackend, type Tensor3D, type Tf, type Variable } from '../../../jobs/train/backend.ts'
import { buildSummarizer, type IdBatch, lossOf, type Summarizer, variablesOf } from '../../../jobs/train/model.ts'
import { loadModel, type ModelMetadata, saveModel } from '../../../jobs/train/model-files.ts'
import { writeTitles } from '../../../jobs/train/write-titles.ts'
import { trainTokenizer } from '../../../loader/index.ts'

const SIZES = { vocabulary: 30, articleTokens: 9, titleTokens: 4, width: 6, encoderLayers: 2, seed: 5 }
const MARKS = { begin: 1, end: 2 }
let tf: Tf

beforeAll(async () => {
  ;({ tf } = await openBackend('cpu'))
})

/** Titles are the two words behind the mark 3, padding at the end of some articles. */
function batchAt(index: number, rows = 4): IdBatch {
  const articles = new Int32Array(rows * 9)
  const titles = new Int32Array(rows * 4)
  for (let row = 0; row < rows; row++) {
    const number = index * rows + row
    const length = 6 + (number % 4)
    for (let at = 0; at < length; at++) articles[row * 9 + at] = 4 + ((number * 7 + at * 5) % 26)
    const mark = number % (length - 2)
    articles[row * 9 + mark] = 3
    titles.set([articles[row * 9 + mark + 1]!, articles[row * 9 + mark + 2]!, 2], row * 4)
  }
  return { rows, articles, titles }
}

function lossValue(summarizer: Summarizer, batch: IdBatch): number {
  return summarizer.tf.tidy(() => lossOf(summarizer, batch, MARKS.begin).dataSync()[0]!)
}

function takeStep(
  summarizer: Summarizer,
  variables: Variable[],
  adam: ReturnType<typeof newAdam>,
  index: number,
): number {
  return tf.tidy(() => {
    const loss = () => lossOf(summarizer, batchAt(index), MARKS.begin).asScalar()
    const { value, grads } = tf.variableGrads(loss, variables)
    updateWeights(tf, adam, variables, grads, 0.01)
    return value.dataSync()[0]!
  })
}

describe('the summarizer', () => {
  test('every weight has the gradient that the loss has by differences', () => {
    const summarizer = buildSummarizer(tf, SIZES)
    const variables = variablesOf(summarizer)
    const batch = batchAt(0)
    const { grads } = tf.variableGrads(() => lossOf(summarizer, batch, MARKS.begin).asScalar(), variables)
    for (const variable of variables) {
      const values = Float32Array.from(variable.dataSync())
      const gradient = Float32Array.from(grads[variable.name]!.dataSync())
      // where it is steepest: differences of 32-bit losses say nothing about flat places
      const at = gradient.reduce(
        (best, slope, index) => (Math.abs(slope) > Math.abs(gradient[best]!) ? index : best),
        0,
      )
      if (Math.abs(gradient[at]!) < 1e-3) continue
      const lossAt = (delta: number): number => {
        const moved = Float32Array.from(values)
        moved[at]! += delta
        variable.assign(tf.tensor(moved, variable.shape))
        return lossValue(summarizer, batch)
      }
      const measured = (lossAt(0.005) - lossAt(-0.005)) / 0.01
      variable.assign(tf.tensor(values, variable.shape))
      expect(Math.abs(measured - gradient[at]!), variable.name).toBeLessThan(0.05 * Math.abs(gradient[at]!) + 0.002)
    }
    // nothing is left out of the training but what a softmax cannot see: the bias of keys
    const idle = variables.filter(({ name }) => grads[name]!.dataSync().every((slope) => Math.abs(slope) < 1e-7))
    expect(idle.map(({ name }) => name.replace(/_\d+$/, '')).filter((name) => !/key\/bias/.test(name))).toEqual([])
  })

  test('learns to copy what a mark points at, and leaves no tensor behind', () => {
    const summarizer = buildSummarizer(tf, SIZES)
    const variables = variablesOf(summarizer)
    const adam = newAdam(variables)
    const first = takeStep(summarizer, variables, adam, 0)
    const tensors = tf.memory().numTensors
    for (let step = 1; step < 80; step++) takeStep(summarizer, variables, adam, step)
    expect(tf.memory().numTensors).toBe(tensors)
    const unseen = batchAt(1000)
    expect(lossValue(summarizer, unseen)).toBeLessThan(first / 4)
    const written = writeTitles(summarizer, unseen.articles, unseen.rows, MARKS)
    const right = written.filter((title, row) => title.join() === [...unseen.titles.slice(row * 4, row * 4 + 2)].join())
    expect(right.length).toBeGreaterThanOrEqual(3)
    expect(tf.memory().numTensors).toBe(tensors)
  })

  test('what is in an article behind its end, and in a title behind a word, changes nothing', () => {
    const summarizer = buildSummarizer(tf, SIZES)
    const alone = writeTitles(summarizer, Int32Array.of(5, 6, 3, 7, 8, 0, 0, 0, 0), 1, MARKS)
    const beside = Int32Array.of(5, 6, 3, 7, 8, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9)
    expect(writeTitles(summarizer, beside, 2, MARKS)[0]).toEqual(alone[0])
    const [words] = summarizer.model.apply([
      tf.tensor2d([[5, 6, 3, 7, 8, 0, 0, 0, 0]], [1, 9], 'int32'),
      tf.tensor2d([[1, 4, 5, 6]], [1, 4], 'int32'),
    ]) as [Tensor3D]
    const [others] = summarizer.model.apply([
      tf.tensor2d([[5, 6, 3, 7, 8, 0, 0, 0, 0]], [1, 9], 'int32'),
      tf.tensor2d([[1, 4, 9, 9]], [1, 4], 'int32'),
    ]) as [Tensor3D]
    const until = (logits: typeof words): Float32Array => logits.slice([0, 0, 0], [1, 2, 30]).dataSync() as Float32Array
    expect(until(words)).toEqual(until(others))
  })

  test('a batch of empty titles weighs nothing', () => {
    const summarizer = buildSummarizer(tf, SIZES)
    expect(lossValue(summarizer, { ...batchAt(0), titles: new Int32Array(16) })).toBe(0)
  })

  test('equal seeds give equal first weights, others others', () => {
    const weights = (seed: number): Float32Array[] =>
      variablesOf(buildSummarizer(tf, { ...SIZES, seed })).map((variable) => variable.dataSync() as Float32Array)
    expect(weights(1)).toEqual(weights(1))
    expect(weights(1)).not.toEqual(weights(2))
  })
})

describe('on WebAssembly', () => {
  test('all gradients are there, and the losses of a few steps are those of the pure backend', async () => {
    const losses = async (backend: 'cpu' | 'wasm'): Promise<number[]> => {
      await openBackend(backend)
      const summarizer = buildSummarizer(tf, SIZES)
      const variables = variablesOf(summarizer)
      const adam = newAdam(variables)
      return Array.from({ length: 10 }, (_, step) => takeStep(summarizer, variables, adam, step))
    }
    const [pure, wasm] = [await losses('cpu'), await losses('wasm')]
    await openBackend('cpu')
    expect(wasm.at(-1)).toBeLessThan(wasm[0]!)
    wasm.forEach((loss, step) => {
      expect(loss).toBeCloseTo(pure[step]!, 3)
    })
  })
})

describe('a saved model', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'firn-model-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('comes back bit by bit, also by the library itself, and names its origin', async () => {
    const tokenizer = await trainTokenizer(['some words to learn from'], { vocabSize: 270 })
    const summarizer = buildSummarizer(tf, { ...SIZES, vocabulary: tokenizer.vocabSize })
    const metadata: ModelMetadata = {
      schema: 'firn.model/1',
      sizes: summarizer.sizes,
      provenance: [{ snapshotId: '7' }],
    }
    await saveModel(folder, { summarizer, tokenizer, metadata }, { weightsName: 'weights-1.bin' })
    const loaded = await loadModel(tf, folder)
    const values = (of: Summarizer): Float32Array[] => variablesOf(of).map((each) => each.dataSync() as Float32Array)
    expect(values(loaded.summarizer)).toEqual(values(summarizer))
    expect(loaded.metadata).toEqual(metadata)
    expect([...loaded.tokenizer.encode('some words')]).toEqual([...tokenizer.encode('some words')])
    const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'))
    const weights = await readFile(join(folder, 'weights-1.bin'))
    const artifacts = {
      modelTopology: json.modelTopology,
      weightSpecs: json.weightsManifest[0].weights,
      weightData: Uint8Array.from(weights).buffer,
    }
    const plain = await tf.loadLayersModel(tf.io.fromMemory(artifacts))
    expect(plain.getWeights().map((each) => each.dataSync())).toEqual(
      summarizer.model.getWeights().map((each) => each.dataSync()),
    )
  })

  test('a newer one takes its place, weights of the old one go', async () => {
    const tokenizer = await trainTokenizer(['some words to learn from'], { vocabSize: 270 })
    const summarizer = buildSummarizer(tf, { ...SIZES, seed: 9, vocabulary: tokenizer.vocabSize })
    const metadata: ModelMetadata = { schema: 'firn.model/1', sizes: summarizer.sizes }
    await saveModel(folder, { summarizer, tokenizer, metadata }, { weightsName: 'weights-2.bin' })
    expect((await loadModel(tf, folder)).metadata).toEqual(metadata)
    await expect(readFile(join(folder, 'weights-1.bin'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a folder without a model is refused', async () => {
    await expect(loadModel(tf, join(folder, 'none'))).rejects.toMatchObject({ code: 'FIRN_MODEL_NOT_FOUND' })
  })
})
