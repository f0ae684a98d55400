/** A piece of maintenance that is planned and not carried out yet: what a person approves, and how it is run. */
import type { Clock } from '../../table/clock.ts'
import type { RunId } from '../../table/ids.ts'
import type { Table } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { Logger } from '../telemetry.ts'

export interface PreparedWork {
  /** Of the JSON document, `firn.<command>/1`. */
  readonly schema: string
  readonly table: string
  /** Plain JSON in snake case. */
  readonly plan: unknown
  /** The plan as a person reads it. */
  readonly text: string
  readonly nothingToDo: boolean
  /** Like `Delete these files?` */
  readonly question: string
  /** What could not be planned, though the rest was: the command fails once that is done. */
  readonly failures?: readonly Error[] | undefined
  run(runId: RunId): Promise<FinishedWork>
}

export interface FinishedWork {
  /** Plain JSON in snake case. */
  readonly result: unknown
  readonly text: string
  /** Of a run that did only some of its plan. Default: 0. */
  readonly exitCode?: number
  /** What failed of work that went on with the rest. */
  readonly failures?: readonly Error[] | undefined
  /** Of work that is planned only as it goes: true when there was nothing to do after all. */
  readonly nothingToDo?: boolean
}

/** What maintenance of one table works on. */
export interface TableWork extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly table: Table
  readonly tableName: string
  readonly clock: Clock
  readonly log: Logger
  /** Instead of `signal` once a commit has begun: it is given the time to find out what became of it. */
  readonly commitSignal?: AbortSignal | undefined
}
