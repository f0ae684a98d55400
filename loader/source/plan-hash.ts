/** The 64 bits by which a resume token knows its plan again. */
import { createHash } from 'node:crypto'
import type { ResolvedOptions } from '../options.ts'
import type { LoaderPlan } from './plan.ts'

/** Changes when the meaning of a token does. */
const VERSION = 'firn-plan-1'

/**
 * Over what decides which rows stand in which batch, besides snapshot, seed and epoch. Not over columns, transform,
 * workers, memory, cache and world size, which change no batch.
 */
export function planHash(
  plan: Pick<LoaderPlan, 'tableUuid' | 'files' | 'units'> & Pick<LoaderPlan['origin'], 'filter' | 'split'>,
  { shuffle, batch, dropLast }: Pick<ResolvedOptions, 'shuffle' | 'batch' | 'dropLast'>,
): bigint {
  const { tableUuid, files, units, filter = null, split } = plan
  const hash = createHash('sha256')
  const add = (...parts: readonly unknown[]): void => void hash.update(`${JSON.stringify(parts)}\n`)
  add(VERSION, tableUuid, filter, split === undefined ? null : [split.column, split.buckets, split.from, split.to])
  add(shuffle === undefined ? 'sequential' : [shuffle.algorithm, shuffle.blockBytes], dropLast)
  add(
    batch.kind === 'rows'
      ? ['rows', batch.size]
      : ['tokens', batch.maxTokens, batch.bucketBoundaries, batch.padToMultipleOf, batch.lengthColumn],
  )
  for (const { filePath, recordCount } of files) add(filePath, recordCount)
  // One text: a table may have a hundred thousand units, and resuming waits for this.
  hash.update(units.reduce((text, { file, start, bytes }) => `${text}${file},${start},${bytes};`, ''))
  return hash.digest().readBigUInt64BE(0)
}
