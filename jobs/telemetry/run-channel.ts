/** `firn:run`: the beginning and the end of every recorded run, for whoever counts and reports them. */
import { type Channel, channel } from 'node:diagnostics_channel'
import { guarded } from '../../table/diagnostics.ts'
import type { RunRecord } from '../runs.ts'

export interface RunStart {
  readonly job: string
  /** The stream or the table. */
  readonly subject: string
  readonly startedAtMillis: number
}

export type RunMessage =
  | (RunStart & { readonly phase: 'start'; readonly run: symbol })
  | {
      readonly phase: 'end'
      readonly run: symbol
      readonly record: RunRecord
      /** False for a request that was refused before it began: it leaves no record. */
      readonly recorded: boolean
    }

const runChannel: Channel = channel('firn:run')

/** @returns ends the subscription. */
export function subscribeToRuns(listener: (message: RunMessage) => void): () => void {
  const heard = guarded('firn:run', listener)
  runChannel.subscribe(heard)
  return () => void runChannel.unsubscribe(heard)
}

export interface ObservedRun {
  end(record: RunRecord, recorded: boolean): void
}

const UNHEARD: ObservedRun = { end: () => {} }

export function beginRun(start: RunStart): ObservedRun {
  if (!runChannel.hasSubscribers) return UNHEARD
  const run = Symbol('run')
  const publish = (message: RunMessage): void => runChannel.publish(message)
  publish({ phase: 'start', run, ...start })
  return { end: (record, recorded) => publish({ phase: 'end', run, record, recorded }) }
}
