/** Counts the rows of an epoch where metadata cannot tell: the columns of filter and split are read, nothing else. */
import type { Decoder } from '../read/decoder.ts'
import type { LoaderPlan } from '../source/plan.ts'

/** Units that are asked for at once: enough for the threads there are. */
const AT_ONCE = 8

/** @param decoder of a setup without columns. @throws what reading throws; `signal.reason` on abort. */
export async function countRows(plan: LoaderPlan, decoder: Decoder, signal: AbortSignal): Promise<number> {
  let next = 0
  let rows = 0
  const stop = new AbortController()
  const linked = AbortSignal.any([signal, stop.signal])
  const countSome = async (): Promise<void> => {
    while (next < plan.units.length) {
      const { file, start, end } = plan.units[next++]!
      const unit = await decoder.decode({ file: plan.files[file]!, start, end, key: undefined }, linked)
      if (unit.skipped === undefined) rows += unit.draws?.length ?? unit.rows
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, countSome))
    return rows
  } finally {
    stop.abort()
  }
}
