import { expect, it } from 'vitest'
import { sharedDecoder } from '../../../loader/batches/threads.ts'
import type { Decoder } from '../../../loader/read/decoder.ts'

// An iteration that fails ends its threads in the background; closing the dataset at that moment found none to end.
it('closing waits for threads that already end because an iteration was left', async () => {
  let threadsEnded = (): void => {}
  const closed = new Promise<void>((resolve) => {
    threadsEnded = resolve
  })
  const shared = sharedDecoder({}, () => ({ close: () => closed }) as unknown as Decoder, undefined)
  shared.acquire()
  const leaving = shared.release(true)
  let disposed = false
  const disposing = shared.close().then(() => {
    disposed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(disposed).toBe(false)
  threadsEnded()
  await Promise.all([leaving, disposing])
  expect(disposed).toBe(true)
})
