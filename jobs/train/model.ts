/**
 * The summarizer: an encoder that sees every word with its neighbours, and a decoder that writes the title word by
 * word, looks back at what it wrote, and at the article by Luong attention. A word comes from the vocabulary or is
 * copied from where the attention points (pointer-generator), so that rare names of the article can be titles too.
 *
 * No recurrence: all words of a title are trained at once, which is what makes it quick without a GPU.
 */
import type { LayersModel, SymbolicTensor, Tensor, Tensor2D, Tf, Variable } from './backend.ts'
import { layersOf } from './layers.ts'

/** Everything that the weights' shapes and first values depend on. Saved with the model. */
export interface ModelSizes {
  /** Ids of the tokenizer; 0 is padding. */
  readonly vocabulary: number
  readonly articleTokens: number
  /** Of a title, its end included. */
  readonly titleTokens: number
  readonly width: number
  /** Layers of the encoder; each sees two words to either side. */
  readonly encoderLayers: number
  /** Of the first weights. */
  readonly seed: number
}

export interface Summarizer {
  readonly tf: Tf
  readonly sizes: ModelSizes
  /** `[article, titleSoFar]` to `[logits, copy, gate]`. */
  readonly model: LayersModel
  /** `article` to what the decoder needs of it. */
  readonly encoder: LayersModel
  /** `[encoded, article, titleSoFar]` to `[logits, copy, gate]`. */
  readonly decoder: LayersModel
}

const ENCODER_OFFSETS = [-2, -1, 0, 1, 2]
const DECODER_OFFSETS = [-2, -1, 0]

export function buildSummarizer(tf: Tf, sizes: ModelSizes): Summarizer {
  const { vocabulary, articleTokens, titleTokens, width, encoderLayers } = sizes
  const layers = layersOf(tf)
  // distinct for every layer, so that no two start alike
  let seeds = sizes.seed * 1000 + 1
  const nextSeed = (): number => seeds++
  const linear = (name: string, units: number, activation: 'linear' | 'relu' | 'tanh' | 'sigmoid') =>
    layers.linear({ name, units, activation, seed: nextSeed() })
  const embedding = layers.embedding({ name: 'embedding', vocabulary, width, seed: nextSeed() })
  const articlePlaces = layers.positions({ name: 'article_places', length: articleTokens, seed: nextSeed() })
  const titlePlaces = layers.positions({ name: 'title_places', length: titleTokens, seed: nextSeed() })
  const context = Array.from({ length: encoderLayers }, (_, index) => ({
    around: layers.neighbours({ name: `around_${index}`, offsets: ENCODER_OFFSETS }),
    mixed: linear(`context_${index}`, width, 'relu'),
    sum: tf.layers.add({ name: `encoded_${index}` }),
  }))
  const before = layers.neighbours({ name: 'before', offsets: DECODER_OFFSETS })
  const written = linear('written', width, 'relu')
  const self = { query: linear('self_query', width, 'linear'), key: linear('self_key', width, 'linear') }
  const selfAttention = layers.attention({ name: 'self_attention', causal: true })
  const selfContext = layers.weighted({ name: 'self_context' })
  const state = tf.layers.add({ name: 'state' })
  const query = linear('query', width, 'linear')
  const key = linear('key', width, 'linear')
  const attention = layers.attention({ name: 'attention', causal: false })
  const found = layers.weighted({ name: 'found' })
  const joined = tf.layers.concatenate({ name: 'joined', axis: 2 })
  const attended = linear('attended', width, 'tanh')
  const logits = linear('logits', vocabulary, 'linear')
  const gate = linear('gate', 1, 'sigmoid')

  const encode = (article: SymbolicTensor): SymbolicTensor => {
    let encoded = articlePlaces.apply(embedding.apply(article)) as SymbolicTensor
    for (const { around, mixed, sum } of context) {
      encoded = sum.apply([encoded, mixed.apply(around.apply(encoded)) as SymbolicTensor]) as SymbolicTensor
    }
    return encoded
  }
  const decode = (encoded: SymbolicTensor, article: SymbolicTensor, title: SymbolicTensor): SymbolicTensor[] => {
    const words = titlePlaces.apply(embedding.apply(title))
    const local = written.apply(before.apply(words)) as SymbolicTensor
    const weights = selfAttention.apply([self.query.apply(local), self.key.apply(local), title] as SymbolicTensor[])
    const soFar = state.apply([local, selfContext.apply([weights, local] as SymbolicTensor[]) as SymbolicTensor])
    const copy = attention.apply([query.apply(soFar), key.apply(encoded), article] as SymbolicTensor[])
    const seen = found.apply([copy, encoded] as SymbolicTensor[])
    const hidden = attended.apply(joined.apply([seen, soFar] as SymbolicTensor[]))
    return [logits.apply(hidden), copy, gate.apply(hidden)] as SymbolicTensor[]
  }
  const ids = (name: string, length: number): SymbolicTensor => tf.input({ name, shape: [length], dtype: 'int32' })
  const article = ids('article', articleTokens)
  const title = ids('title', titleTokens)
  const encoded = encode(article)
  const given = tf.input({ name: 'encoded', shape: [articleTokens, width] })
  return {
    tf,
    sizes,
    model: tf.model({ name: 'summarizer', inputs: [article, title], outputs: decode(encoded, article, title) }),
    encoder: tf.model({ inputs: article, outputs: encoded }),
    decoder: tf.model({ inputs: [given, article, title], outputs: decode(given, article, title) }),
  }
}

export const variablesOf = ({ model }: Summarizer): Variable[] =>
  model.trainableWeights.map((weight) => weight.read() as Variable)

/** Ids of a batch, `rows` by `articleTokens` and `rows` by `titleTokens`, 0 after the end. Titles end with their mark. */
export interface IdBatch {
  readonly rows: number
  readonly articles: Int32Array
  readonly titles: Int32Array
}

/** What the decoder has written before each word: the mark of the beginning, then the title without its last. */
function shiftedTitles(titles: Int32Array, titleTokens: number, begin: number): Int32Array {
  const shifted = new Int32Array(titles.length)
  for (let from = 0; from < titles.length; from += titleTokens) {
    shifted[from] = begin
    shifted.set(titles.subarray(from, from + titleTokens - 1), from + 1)
  }
  return shifted
}

/** Mean negative log probability of a title's words; words that were seen in the article count from both sources. */
export function lossOf(summarizer: Summarizer, { rows, articles, titles }: IdBatch, begin: number): Tensor {
  const { tf, model, sizes } = summarizer
  const { articleTokens, titleTokens, vocabulary } = sizes
  const article = tf.tensor2d(articles, [rows, articleTokens], 'int32')
  const title = tf.tensor2d(shiftedTitles(titles, titleTokens, begin), [rows, titleTokens], 'int32')
  const [logits, copy, gate] = model.apply([article, title], { training: true }) as [Tensor, Tensor, Tensor]
  const targets = tf.tensor2d(titles, [rows, titleTokens], 'int32')
  const oneHot = tf.cast(tf.oneHot(targets.flatten().toInt(), vocabulary), 'float32')
  const words = tf.softmax(logits.reshape([rows * titleTokens, vocabulary]))
  const written = tf.sum(tf.mul(words, oneHot), 1).reshape([rows, titleTokens])
  const here = tf.cast(tf.equal(article.expandDims(1), targets.expandDims(2)), 'float32')
  const copied = tf.sum(tf.mul(copy, here), 2)
  const write = gate.reshape([rows, titleTokens])
  const probability = tf.add(tf.mul(write, written), tf.mul(tf.sub(1, write), copied))
  const counts = tf.cast(tf.notEqual(targets, 0), 'float32') as Tensor2D
  const losses = tf.mul(tf.neg(tf.log(tf.add(probability, SMALLEST))), counts)
  // a batch whose titles are all empty weighs nothing
  return tf.div(tf.sum(losses), tf.maximum(tf.sum(counts), 1))
}

/** Keeps the logarithm finite where both sources give a word no chance at all. */
const SMALLEST = 1e-9
