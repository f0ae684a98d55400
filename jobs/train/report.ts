/** How far a training is, in one line. */
import { formatCount } from '../render.ts'
import type { StepReport } from './train.ts'

/** `step 120 of 2,000, loss 1.2340, 280 rows/s, waited 3 % for data` */
export function stepText({ step, steps, loss, rowsPerSecond, waited }: StepReport): string {
  return [
    `step ${formatCount(step)} of ${formatCount(steps)}`,
    `loss ${loss.toFixed(4)}`,
    `${formatCount(Math.round(rowsPerSecond))} rows/s`,
    `waited ${Math.round(waited * 100)} % for data`,
  ].join(', ')
}
