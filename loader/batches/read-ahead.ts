/** A few items of a generator made before they are asked for, in order. */

/**
 * `depth` calls of `next()` are always under way, so that an item is ready when the consumer comes back. Nothing
 * starts before the first `next()`. Calls of `next()` may overlap, and may go on after the end.
 * @param onReturn runs when the consumer leaves early, before the generator is told.
 */
export function readAhead<T>(
  source: AsyncGenerator<T, void, undefined>,
  depth: number,
  onReturn: () => void,
): AsyncIterableIterator<T, void, undefined> & { return(): Promise<IteratorResult<T, void>> } {
  const queue: Promise<IteratorResult<T, void>>[] = []
  let ended = false
  const pull = (): void => {
    const result = source.next()
    result.then(
      ({ done }) => {
        ended ||= done === true
      },
      () => {
        ended = true
      },
    )
    queue.push(result)
  }
  return {
    next() {
      while (!ended && queue.length <= depth) pull()
      return queue.shift() ?? Promise.resolve({ done: true, value: undefined })
    },
    async return() {
      ended = true
      for (const result of queue.splice(0)) result.catch(() => {}) // nobody waits for them any more
      onReturn()
      await source.return()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
