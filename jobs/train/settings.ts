/** What decides a model's weights: kept in its checkpoints, so that a training goes on as it began. */
import type { ModelSizes } from './model.ts'

/** Plain JSON; snapshot ids are texts, they exceed the numbers of JSON. */
export interface TrainSettings {
  readonly table: string
  readonly snapshotId: string
  /** Only rows that came after this snapshot are new; `null`: all are. */
  readonly since: string | null
  /** Share of rows from before `since`. */
  readonly replay: number
  readonly content: string
  readonly title: string
  /** Column that decides what is for validation. */
  readonly key: string
  /** Of 100 buckets of the key, those from 0 on are for validation. */
  readonly validationBuckets: number
  readonly batchSize: number
  readonly steps: number
  readonly learningRate: number
  /** Of the weights and the order of rows. */
  readonly seed: number
  readonly sizes: ModelSizes
}

export const BUCKETS = 100
