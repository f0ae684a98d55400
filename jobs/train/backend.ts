/** TensorFlow.js, loaded when it is needed and from what is installed. The only file that imports it. */
import { FirnError } from '../../table/errors.ts'

export type {
  LayersModel,
  NamedTensorMap,
  Shape,
  SymbolicTensor,
  Tensor,
  Tensor2D,
  Tensor3D,
  Variable,
} from '@tensorflow/tfjs'
export type Tf = typeof import('@tensorflow/tfjs')

/** In the order in which `auto` tries them. */
export const BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const
export type Backend = (typeof BACKENDS)[number]

const PACKAGES: Readonly<Record<Backend, readonly string[]>> = {
  tensorflow: ['@tensorflow/tfjs-node@^4.22.0'],
  wasm: ['@tensorflow/tfjs@^4.22.0', '@tensorflow/tfjs-backend-wasm@^4.22.0'],
  cpu: ['@tensorflow/tfjs@^4.22.0'],
}

/**
 * @param wanted `auto`: the fastest that is installed.
 * @throws {FirnError} `FIRN_BACKEND_MISSING` (invalid) with the packages to install; `FIRN_BACKEND_FAILED` (failed).
 */
export async function openBackend(wanted: Backend | 'auto'): Promise<{ readonly tf: Tf; readonly backend: Backend }> {
  const tried = wanted === 'auto' ? BACKENDS : [wanted]
  let missing: unknown
  for (const backend of tried) {
    try {
      const tf = await load(backend)
      tf.enableProdMode()
      return { tf, backend }
    } catch (error) {
      // with `auto`, one that is installed and broken is no reason not to train: the result names what was used
      if (wanted !== 'auto' && !(error instanceof Missing)) {
        throw new FirnError(
          'failed',
          'FIRN_BACKEND_FAILED',
          `the backend ${backend} does not start: ${textOf(error)}`,
          {
            cause: error,
            help: 'choose another one with --backend',
          },
        )
      }
      missing = error
    }
  }
  const packages = PACKAGES[wanted === 'auto' ? 'wasm' : wanted]
  const message = wanted === 'auto' ? 'TensorFlow.js is not installed' : `the backend ${wanted} is not installed`
  throw new FirnError('invalid', 'FIRN_BACKEND_MISSING', message, {
    cause: missing,
    help: `npm install ${packages.join(' ')}`,
    detail: { backend: wanted },
  })
}

async function load(backend: Backend): Promise<Tf> {
  if (backend === 'tensorflow') {
    await restoreOldUtilities()
    // a name that the compiler does not follow: its types are no dependency
    const name = '@tensorflow/tfjs-node'
    return (await import(name).catch(explained)) as Tf
  }
  const tf = await import('@tensorflow/tfjs').catch(explained)
  if (backend === 'wasm') await import('@tensorflow/tfjs-backend-wasm').catch(explained)
  if (!(await tf.setBackend(backend))) throw new Error('it was refused')
  await tf.ready()
  return tf
}

class Missing extends Error {}

function explained(error: unknown): never {
  const { code } = error as { readonly code?: unknown }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') throw new Missing(textOf(error), { cause: error })
  throw error
}

/** tfjs-node 4.22 calls two functions that Node 23 took away; others are not touched. */
async function restoreOldUtilities(): Promise<void> {
  const { default: util } = (await import('node:util')) as unknown as { default: Record<string, unknown> }
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  util['isArray'] ??= Array.isArray
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
