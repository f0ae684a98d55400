import { expect, test } from 'vitest'
import { type Consequence, forEachBounded } from '../../../ingest/land/for-each-bounded.ts'

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const items = [0, 1, 2, 3, 4, 5]

/** Item 1 fails at once, the others take some turns of the event loop and note whether they were cancelled. */
async function run(consequence: Consequence, concurrency = 3, signal?: AbortSignal) {
  const begun: number[] = []
  const finished: number[] = []
  const failed: number[] = []
  const onFailure = (item: number): Consequence => {
    failed.push(item)
    return consequence
  }
  const done = forEachBounded(items, { concurrency, signal, onFailure }, async (item, itemSignal) => {
    begun.push(item)
    if (item === 1) throw new Error('broken')
    for (let i = 0; i < 5; i++) {
      await tick()
      itemSignal.throwIfAborted()
    }
    finished.push(item)
  })
  const error = await done.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return { begun, finished: finished.toSorted(), failed, error }
}

test('a failure that concerns one item only leaves the others alone', async () => {
  expect(await run('go-on')).toEqual({ begun: items, finished: [0, 2, 3, 4, 5], failed: [1], error: undefined })
})

test('after a failure that lets nothing begin, what runs is finished', async () => {
  expect(await run('begin-no-more')).toEqual({ begun: [0, 1, 2], finished: [0, 2], failed: [1], error: undefined })
})

test('a failure that stops everything cancels what runs; the cancelled do not count as failed', async () => {
  expect(await run('stop')).toEqual({ begun: [0, 1, 2], finished: [], failed: [1], error: undefined })
})

test('an abort cancels everything and throws its reason once nothing runs', async () => {
  const stop = new AbortController()
  const reason = new Error('SIGTERM')
  const running = run('go-on', 2, stop.signal)
  await tick()
  stop.abort(reason)
  expect(await running).toEqual({ begun: [0, 1, 2], finished: [], failed: [1], error: reason })
})

test.each([0, 1.5, 65, Number.NaN])('a concurrency of %s is refused', async (concurrency) => {
  expect((await run('go-on', concurrency)).error).toMatchObject({ code: 'FIRN_INVALID_OPTION', kind: 'invalid' })
})
