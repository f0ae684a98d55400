/**
 * Layers of TensorFlow.js for the summarizer, made for backends on which standard ones are slow or cannot be trained:
 *
 * - the gradient of a standard embedding is one pass over the batch for every word of the vocabulary on the pure
 *   JavaScript backend, and does not exist on WebAssembly: here it is added up in plain JavaScript, row by row;
 * - the gradients of a standard dense layer are matrix products with transposed operands, for which WebAssembly has no
 *   fast path: transposing first is 4 to 9 times as fast.
 *
 * Classes can only be made once the module is there, which is loaded on demand: `layersOf(tf)`.
 */
import type { Shape, Tensor, Tensor2D, Tensor3D, Tf } from './backend.ts'

export type Activation = 'linear' | 'relu' | 'tanh' | 'sigmoid'
type LayerArguments = ConstructorParameters<Tf['layers']['Layer']>[0]
type Layer = InstanceType<Tf['layers']['Layer']>

export interface EmbeddingArguments extends NonNullable<LayerArguments> {
  readonly vocabulary: number
  readonly width: number
  readonly seed: number
}
export interface PositionsArguments extends NonNullable<LayerArguments> {
  readonly length: number
  readonly seed: number
}
export interface LinearArguments extends NonNullable<LayerArguments> {
  readonly units: number
  readonly activation: Activation
  readonly seed: number
}
export interface NeighboursArguments extends NonNullable<LayerArguments> {
  /** Which neighbours of a place are put side by side, e.g. -1: the one before. */
  readonly offsets: readonly number[]
}
export interface AttentionArguments extends NonNullable<LayerArguments> {
  /** A place may look at itself and those before it only. */
  readonly causal: boolean
}

/** Makers of the layers, all registered, so that `tf.loadLayersModel` knows them too. */
export interface SummarizerLayers {
  /** Ids `[rows, length]` to `[rows, length, width]`. */
  embedding(options: EmbeddingArguments): Layer
  /** Adds a learned vector to every place of `[rows, length, width]`. */
  positions(options: PositionsArguments): Layer
  /** `[rows, length, n]` to `[rows, length, units]`. */
  linear(options: LinearArguments): Layer
  /** `[rows, length, n]` to `[rows, length, n * offsets]`; zeros beyond the ends. */
  neighbours(options: NeighboursArguments): Layer
  /** Queries `[rows, t, n]`, keys `[rows, s, n]`, ids of the keys `[rows, s]` (0: padding) to weights `[rows, t, s]`. */
  attention(options: AttentionArguments): Layer
  /** Weights `[rows, t, s]` of values `[rows, s, n]` to `[rows, t, n]`. */
  weighted(options: NonNullable<LayerArguments>): Layer
}

const known = new WeakMap<object, SummarizerLayers>()

export function layersOf(tf: Tf): SummarizerLayers {
  let made = known.get(tf)
  if (made === undefined) {
    made = makeLayers(tf)
    known.set(tf, made)
  }
  return made
}

const only = (inputs: Tensor | Tensor[]): Tensor => (Array.isArray(inputs) ? inputs[0]! : inputs)
const firstShape = (shape: Shape | Shape[]): Shape => (Array.isArray(shape[0]) ? shape[0] : shape) as Shape

const uniform = (tf: Tf, seed: number, limit: number): ReturnType<Tf['initializers']['randomUniform']> =>
  tf.initializers.randomUniform({ minval: -limit, maxval: limit, seed })

function embeddingClass(tf: Tf, ops: Operations): new (options: EmbeddingArguments) => Layer {
  return class Embedding extends tf.layers.Layer {
    static className = 'FirnEmbedding'
    readonly options: EmbeddingArguments
    constructor(options: EmbeddingArguments) {
      super(options)
      this.options = options
    }
    override build(): void {
      const { vocabulary, width, seed } = this.options
      this.addWeight('rows', [vocabulary, width], 'float32', uniform(tf, seed, 1 / Math.sqrt(width)))
      this.built = true
    }
    override call(inputs: Tensor | Tensor[]): Tensor {
      return ops.lookUp(only(inputs) as Tensor2D, this.weights[0]!.read() as Tensor2D)
    }
    override computeOutputShape(shape: Shape | Shape[]): Shape {
      return [...firstShape(shape), this.options.width]
    }
    override getConfig(): ReturnType<Layer['getConfig']> {
      const { vocabulary, width, seed } = this.options
      return { ...super.getConfig(), vocabulary, width, seed }
    }
  }
}

function positionsClass(tf: Tf): new (options: PositionsArguments) => Layer {
  return class Positions extends tf.layers.Layer {
    static className = 'FirnPositions'
    readonly options: PositionsArguments
    constructor(options: PositionsArguments) {
      super(options)
      this.options = options
    }
    override build(shape: Shape | Shape[]): void {
      const { length, seed } = this.options
      this.addWeight('places', [length, firstShape(shape)[2]!], 'float32', uniform(tf, seed, 0.05))
      this.built = true
    }
    override call(inputs: Tensor | Tensor[]): Tensor {
      return tf.add(only(inputs), this.weights[0]!.read())
    }
    override getConfig(): ReturnType<Layer['getConfig']> {
      const { length, seed } = this.options
      return { ...super.getConfig(), length, seed }
    }
  }
}

function linearClass(tf: Tf, ops: Operations): new (options: LinearArguments) => Layer {
  return class Linear extends tf.layers.Layer {
    static className = 'FirnLinear'
    readonly options: LinearArguments
    constructor(options: LinearArguments) {
      super(options)
      this.options = options
    }
    override build(shape: Shape | Shape[]): void {
      const { units, seed } = this.options
      const inputs = firstShape(shape)[2]!
      this.addWeight('kernel', [inputs, units], 'float32', uniform(tf, seed, Math.sqrt(6 / (inputs + units))))
      this.addWeight('bias', [units], 'float32', tf.initializers.zeros())
      this.built = true
    }
    override call(inputs: Tensor | Tensor[]): Tensor {
      const [kernel, bias] = this.weights.map((weight) => weight.read()) as [Tensor2D, Tensor]
      const made = ops.linear(only(inputs) as Tensor3D, kernel, bias)
      const { activation } = this.options
      return activation === 'linear' ? made : tf[activation](made)
    }
    override computeOutputShape(shape: Shape | Shape[]): Shape {
      return [...firstShape(shape).slice(0, -1), this.options.units]
    }
    override getConfig(): ReturnType<Layer['getConfig']> {
      const { units, activation, seed } = this.options
      return { ...super.getConfig(), units, activation, seed }
    }
  }
}

function neighboursClass(tf: Tf, ops: Operations): new (options: NeighboursArguments) => Layer {
  return class Neighbours extends tf.layers.Layer {
    static className = 'FirnNeighbours'
    readonly options: NeighboursArguments
    constructor(options: NeighboursArguments) {
      super(options)
      this.options = options
    }
    override call(inputs: Tensor | Tensor[]): Tensor {
      return tf.concat(
        this.options.offsets.map((offset) => ops.shifted(only(inputs) as Tensor3D, offset)),
        2,
      )
    }
    override computeOutputShape(shape: Shape | Shape[]): Shape {
      const [rows, length, width] = firstShape(shape)
      return [rows!, length!, width! * this.options.offsets.length]
    }
    override getConfig(): ReturnType<Layer['getConfig']> {
      return { ...super.getConfig(), offsets: [...this.options.offsets] }
    }
  }
}

function attentionClass(tf: Tf, ops: Operations): new (options: AttentionArguments) => Layer {
  return class Attention extends tf.layers.Layer {
    static className = 'FirnAttention'
    readonly options: AttentionArguments
    constructor(options: AttentionArguments) {
      super(options)
      this.options = options
    }
    override call(inputs: Tensor | Tensor[]): Tensor {
      const [queries, keys, ids] = inputs as [Tensor3D, Tensor3D, Tensor2D]
      return ops.attention(queries, keys, ids, this.options.causal)
    }
    override computeOutputShape(shapes: Shape | Shape[]): Shape {
      const [queries, keys] = shapes as Shape[]
      return [queries![0]!, queries![1]!, keys![1]!]
    }
    override getConfig(): ReturnType<Layer['getConfig']> {
      return { ...super.getConfig(), causal: this.options.causal }
    }
  }
}

function weightedClass(tf: Tf): new (options: NonNullable<LayerArguments>) => Layer {
  return class Weighted extends tf.layers.Layer {
    static className = 'FirnWeighted'
    override call(inputs: Tensor | Tensor[]): Tensor {
      const [weights, values] = inputs as [Tensor3D, Tensor3D]
      return tf.matMul(weights, values)
    }
    override computeOutputShape(shapes: Shape | Shape[]): Shape {
      const [weights, values] = shapes as Shape[]
      return [weights![0]!, weights![1]!, values![2]!]
    }
  }
}

function makeLayers(tf: Tf): SummarizerLayers {
  const ops = operations(tf)
  const Embedding = embeddingClass(tf, ops)
  const Positions = positionsClass(tf)
  const Linear = linearClass(tf, ops)
  const Neighbours = neighboursClass(tf, ops)
  const Attention = attentionClass(tf, ops)
  const Weighted = weightedClass(tf)
  type Registrable = Parameters<Tf['serialization']['registerClass']>[0]
  for (const layer of [Embedding, Positions, Linear, Neighbours, Attention, Weighted]) {
    tf.serialization.registerClass(layer as unknown as Registrable)
  }
  return {
    embedding: (options) => new Embedding(options),
    positions: (options) => new Positions(options),
    linear: (options) => new Linear(options),
    neighbours: (options) => new Neighbours(options),
    attention: (options) => new Attention(options),
    weighted: (options) => new Weighted(options),
  }
}

interface Operations {
  lookUp(ids: Tensor2D, rows: Tensor2D): Tensor
  linear(inputs: Tensor3D, kernel: Tensor2D, bias: Tensor): Tensor
  shifted(inputs: Tensor3D, offset: number): Tensor
  attention(queries: Tensor3D, keys: Tensor3D, ids: Tensor2D, causal: boolean): Tensor
}

/** Low enough that its exponential is zero beside any other, and finite: rows of padding alone stay numbers. */
const MASKED = -1e9

function operations(tf: Tf): Operations {
  return {
    lookUp: (ids, rows) => {
      const found = tf.customGrad((table, save) => {
        ;(save as (tensors: Tensor[]) => void)([ids])
        const value = tf.gather(table as Tensor2D, ids.flatten().toInt())
        return { value, gradFunc: (dy: Tensor, saved: Tensor[]) => sumByRow(tf, dy, saved[0]!, rows.shape) }
      })(rows)
      return found.reshape([...ids.shape, rows.shape[1]])
    },
    linear: (inputs, kernel, bias) => {
      const [rows, length, width] = inputs.shape
      const flat = inputs.reshape([rows * length, width]) as Tensor2D
      const made = tf.customGrad((x, w, b, save) => {
        ;(save as unknown as (tensors: Tensor[]) => void)([x as Tensor, w as Tensor])
        const value = tf.add(tf.matMul(x as Tensor, w as Tensor), b as Tensor)
        const gradFunc = (dy: Tensor, saved: Tensor[]): Tensor[] => [
          tf.matMul(dy, tf.transpose(saved[1]!)),
          tf.matMul(tf.transpose(saved[0]!), dy),
          tf.matMul(tf.ones([1, dy.shape[0]!]), dy).reshape([dy.shape[1]!]),
        ]
        return { value, gradFunc }
      })(flat, kernel, bias)
      return made.reshape([rows, length, kernel.shape[1]])
    },
    shifted: (inputs, offset) => {
      const [rows, length, width] = inputs.shape
      const distance = Math.min(Math.abs(offset), length)
      if (distance === 0) return inputs
      const kept = tf.slice(inputs, [0, offset > 0 ? distance : 0, 0], [rows, length - distance, width])
      return tf.pad(kept, [[0, 0], offset > 0 ? [0, distance] : [distance, 0], [0, 0]])
    },
    attention: (queries, keys, ids, causal) => {
      const [, length, width] = queries.shape
      const scores = tf.mul(tf.matMul(queries, keys, false, true), 1 / Math.sqrt(width))
      const padding = tf.mul(tf.cast(tf.equal(ids, 0), 'float32'), MASKED).expandDims(1)
      const masked = tf.add(scores, padding)
      return tf.softmax(causal ? tf.add(masked, tf.tensor2d(future(length), [length, length])) : masked)
    },
  }
}

/** Rows of a table's gradient, the sum over the places where each was looked up. */
function sumByRow(tf: Tf, dy: Tensor, ids: Tensor, shape: [number, number]): Tensor {
  const [rows, width] = shape
  const sums = new Float32Array(rows * width)
  const gradients = dy.dataSync()
  const places = ids.dataSync()
  for (let place = 0; place < places.length; place++) {
    const from = place * width
    const to = places[place]! * width
    for (let at = 0; at < width; at++) sums[to + at]! += gradients[from + at]!
  }
  return tf.tensor2d(sums, shape)
}

function future(length: number): Float32Array {
  const mask = new Float32Array(length * length)
  for (let row = 0; row < length; row++) mask.fill(MASKED, row * length + row + 1, (row + 1) * length)
  return mask
}
