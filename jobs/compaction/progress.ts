/** Progress that leaves its thread or process: every report is a message. */
import type { TaskProgress } from './task.ts'

/** Records, or rows, between two reports. */
const STEP = 10_000

/** Passes on what is of another stage or far enough from the last report. */
export function thinned(report: (progress: TaskProgress) => void): (progress: TaskProgress) => void {
  let last: TaskProgress | undefined
  return (progress) => {
    const { stage, records, rows } = progress
    if (last?.stage === stage && records - last.records < STEP && rows - last.rows < STEP) return
    last = progress
    report(progress)
  }
}
