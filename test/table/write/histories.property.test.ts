/** See histories.ts. A failure names its seed: `runHistory(seed)` repeats it. */
import fc from 'fast-check'
import { test } from 'vitest'
import { runHistory } from './histories.ts'

test('whatever writers, rivals, lost answers, branches and rollbacks do, the rows are those of the model', async () => {
  await fc.assert(
    fc.asyncProperty(fc.noShrink(fc.integer({ min: 1, max: 1 << 30 })), (seed) => runHistory(seed)),
    { numRuns: 40 },
  )
}, 120_000)
