/**
 * Adam with clipped gradients, its state in plain arrays. The library's own cannot be saved and go on exactly: it
 * recomputes its decayed rates from the step instead of keeping them, which gives other weights.
 */
import type { NamedTensorMap, Tf, Variable } from './backend.ts'

export interface AdamState {
  /** Updates so far. */
  step: number
  /** Means of the gradients and of their squares, all variables one after the other. */
  readonly first: Float32Array
  readonly second: Float32Array
}

const BETA1 = 0.9
const BETA2 = 0.999
const EPSILON = 1e-8
/** Longest gradient, over all variables. */
const LONGEST = 1

export function newAdam(variables: readonly Variable[]): AdamState {
  const size = variables.reduce((sum, variable) => sum + variable.size, 0)
  return { step: 0, first: new Float32Array(size), second: new Float32Array(size) }
}

/** One update of every variable and of `state`. */
export function updateWeights(
  tf: Tf,
  state: AdamState,
  variables: readonly Variable[],
  gradients: NamedTensorMap,
  learningRate: number,
): void {
  const slopes = variables.map(({ name, size }) => gradients[name]?.dataSync() ?? new Float32Array(size))
  const scale = clipping(slopes)
  state.step += 1
  const rate = (learningRate * Math.sqrt(1 - BETA2 ** state.step)) / (1 - BETA1 ** state.step)
  let start = 0
  variables.forEach((variable, index) => {
    // a copy: where a backend keeps the values, other tensors may share them
    const values = Float32Array.from(variable.dataSync())
    const slope = slopes[index]!
    const first = state.first.subarray(start, start + values.length)
    const second = state.second.subarray(start, start + values.length)
    for (let at = 0; at < values.length; at++) {
      const gradient = slope[at]! * scale
      const mean = BETA1 * first[at]! + (1 - BETA1) * gradient
      const square = BETA2 * second[at]! + (1 - BETA2) * gradient * gradient
      first[at] = mean
      second[at] = square
      values[at]! -= (rate * mean) / (Math.sqrt(square) + EPSILON)
    }
    start += values.length
    tf.tidy(() => void variable.assign(tf.tensor(values, variable.shape)))
  })
}

function clipping(slopes: readonly ArrayLike<number>[]): number {
  let sum = 0
  for (const slope of slopes) for (let at = 0; at < slope.length; at++) sum += slope[at]! * slope[at]!
  const length = Math.sqrt(sum)
  return length > LONGEST ? LONGEST / length : 1
}

/** Rises over the first steps, then falls in a straight line to a tenth. */
export function learningRateAt(step: number, totalSteps: number, peak: number): number {
  const rise = Math.min(100, Math.ceil(totalSteps / 10))
  if (step < rise) return (peak * (step + 1)) / rise
  return peak * (1 - 0.9 * ((step - rise) / Math.max(1, totalSteps - rise)))
}
