/** How the rows are batched, ordered, shared and read. */
import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type {
  BatchOptions,
  CacheOptions,
  DatasetOptions,
  RetryOptions,
  ShardOptions,
  ShuffleOptions,
  TransformSpec,
} from '../options.ts'
import { checkNames, checkPlain, integer, invalid, isText, oneOf, sizeBytes } from './check.ts'
import { isUrl } from './origin.ts'

export const DEFAULT_BLOCK_BYTES: number = 272 * 2 ** 20
const DEFAULT_CACHE_BYTES = 20e9
const DEFAULT_ATTEMPTS = 5
const MAX_ROWS = 1_048_576

export interface ResolvedShuffle {
  readonly algorithm: 'block-v1'
  readonly seed: number
  readonly blockBytes: number
}

export type ResolvedBatch =
  | { readonly kind: 'rows'; readonly size: number }
  | {
      readonly kind: 'tokens'
      readonly maxTokens: number
      readonly bucketBoundaries: readonly number[]
      readonly padToMultipleOf: number
      readonly lengthColumn: string
    }

/** Plain data, as worker threads get it. */
export interface ResolvedTransform {
  /** Specifier that `import()` takes. */
  readonly module: string
  readonly options?: unknown
}

export interface ResolvedCache {
  /** Absolute path. */
  readonly dir: string
  readonly limitBytes: number
}

export function shuffleOf(shuffle: ShuffleOptions | false | undefined): ResolvedShuffle | undefined {
  if (shuffle === false) return undefined
  const given = shuffle ?? { seed: 0 }
  checkNames('shuffle', given, ['seed', 'algorithm', 'blockBytes'])
  return {
    algorithm: oneOf('shuffle.algorithm', given.algorithm ?? 'block-v1', ['block-v1']),
    seed: integer('shuffle.seed', given.seed, 0, Number.MAX_SAFE_INTEGER),
    blockBytes:
      given.blockBytes === undefined ? DEFAULT_BLOCK_BYTES : sizeBytes('shuffle.blockBytes', given.blockBytes),
  }
}

export function batchOf(batch: BatchOptions): ResolvedBatch {
  checkNames('batch', batch, ['size', 'maxTokens', 'bucketBoundaries', 'padToMultipleOf', 'lengthColumn'])
  if (!('maxTokens' in batch)) {
    checkNames('batch', batch, ['size'])
    return { kind: 'rows', size: integer('batch.size', batch.size, 1, MAX_ROWS) }
  }
  if ('size' in batch) throw invalid('batch', 'either { size } or { maxTokens }', batch)
  const { lengthColumn = 'word_count', bucketBoundaries = [], padToMultipleOf = 1 } = batch
  const maxTokens = integer('batch.maxTokens', batch.maxTokens, 1, 2 ** 31 - 1)
  if (!isText(lengthColumn)) throw invalid('batch.lengthColumn', 'the name of a column', lengthColumn)
  const ascending =
    Array.isArray(bucketBoundaries) &&
    bucketBoundaries.every(
      (bound, index) => Number.isSafeInteger(bound) && bound > (index === 0 ? 0 : bucketBoundaries[index - 1]!),
    )
  if (!ascending) throw invalid('batch.bucketBoundaries', 'ascending lengths like [256, 512]', bucketBoundaries)
  return {
    kind: 'tokens',
    maxTokens,
    bucketBoundaries: [...bucketBoundaries],
    padToMultipleOf: integer('batch.padToMultipleOf', padToMultipleOf, 1, maxTokens),
    lengthColumn,
  }
}

export function shardOf(shard: ShardOptions | undefined, batch: ResolvedBatch): Required<ShardOptions> {
  if (shard === undefined) return { rank: 0, worldSize: 1 }
  checkNames('shard', shard, ['rank', 'worldSize'])
  const worldSize = integer('shard.worldSize', shard.worldSize, 1, 65_536)
  const rank = integer('shard.rank', shard.rank, 0, worldSize - 1)
  if (batch.kind === 'rows' && batch.size % worldSize !== 0) {
    throw invalid('batch.size', `a multiple of ${worldSize}: it is the size over all ranks`, batch.size)
  }
  return { rank, worldSize }
}

export function cacheOf(cache: CacheOptions | undefined): ResolvedCache | undefined {
  if (cache === undefined) return undefined
  checkNames('cache', cache, ['dir', 'limit'])
  const { dir, limit } = cache
  if (!isText(dir)) throw invalid('cache.dir', 'the path of a folder', dir)
  const path = dir.startsWith('file:') ? fileURLToPath(dir) : dir
  if (!isAbsolute(path)) throw invalid('cache.dir', 'an absolute path or a file: URL', dir)
  return { dir: path, limitBytes: limit === undefined ? DEFAULT_CACHE_BYTES : sizeBytes('cache.limit', limit) }
}

export function transformOf(transform: DatasetOptions['transform']): ResolvedTransform | undefined {
  if (transform === undefined) return undefined
  const spec: TransformSpec =
    typeof transform === 'string' || transform instanceof URL ? { module: transform } : transform
  checkNames('transform', spec, ['module', 'options'])
  checkPlain('transform.options', spec.options, 'plain data, which worker threads can be given')
  const module = moduleOf(spec.module)
  return spec.options === undefined ? { module } : { module, options: spec.options }
}

/** A relative path would mean another file in every module that wrote it. */
function moduleOf(module: unknown): string {
  if (module instanceof URL) return module.href
  if (isText(module)) {
    if (isAbsolute(module)) return pathToFileURL(module).href
    if (!module.startsWith('.') && (isUrl(module) || /^(data|node):|^@?[a-z0-9]/i.test(module))) return module
  }
  throw invalid('transform', 'a URL, best made with import.meta.url, an absolute path or a package', module)
}

export function attemptsOf(retry: RetryOptions | undefined): number {
  if (retry === undefined) return DEFAULT_ATTEMPTS
  checkNames('retry', retry, ['attempts'])
  return integer('retry.attempts', retry.attempts, 1, 100)
}
