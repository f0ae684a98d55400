/** What the makers of batches have in common: those of a fixed number of rows, and those of a budget of tokens. */
import type { RecordBatch } from 'apache-arrow'

/** Where an epoch stands: with batches of rows a position in the block, with token budgets a batch of the block. */
export interface Position {
  readonly block: number
  readonly offset: number
}

export interface MadeBatch {
  /** Of this rank; undefined when it has no row of this batch. */
  readonly batch: RecordBatch | undefined
  /** Rows of all ranks. */
  readonly globalRows: number
  /** What comes next. */
  readonly after: Position
  /** With a length column: tokens of this rank's rows, and with their padding. */
  readonly tokens: number
  readonly paddedTokens: number
}

/** One step: a batch, `waiting` while rows that are needed are on their way, or `end`. */
export type Step = MadeBatch | 'waiting' | 'end'

export interface BatchMaker {
  /** @throws what kept a needed row from coming. */
  make(): Step
  /** Rows at the end that `dropLast` leaves out. */
  rowsLeft(): number
}

export interface Shard {
  readonly rank: number
  readonly worldSize: number
}
