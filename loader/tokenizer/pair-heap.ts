/** Pairs by count, the most frequent first; of equals the one with the lowest key. */
export interface PairHeap {
  readonly size: number
  push(key: number, count: number): void
  /** Key and count of the first pair, which leaves; `undefined` when empty. */
  pop(): { readonly key: number; readonly count: number } | undefined
}

export function pairHeap(): PairHeap {
  const keys: number[] = []
  const counts: number[] = []
  const before = (left: number, right: number): boolean =>
    counts[left]! > counts[right]! || (counts[left] === counts[right] && keys[left]! < keys[right]!)
  const swap = (left: number, right: number): void => {
    const key = keys[left]!
    const count = counts[left]!
    keys[left] = keys[right]!
    counts[left] = counts[right]!
    keys[right] = key
    counts[right] = count
  }
  const rise = (at: number): void => {
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(at, parent)) return
      swap(at, parent)
      at = parent
    }
  }
  const sink = (at: number): void => {
    for (;;) {
      const left = at * 2 + 1
      if (left >= keys.length) return
      const child = left + 1 < keys.length && before(left + 1, left) ? left + 1 : left
      if (!before(child, at)) return
      swap(child, at)
      at = child
    }
  }
  return {
    get size() {
      return keys.length
    },
    push(key, count) {
      keys.push(key)
      counts.push(count)
      rise(keys.length - 1)
    },
    pop() {
      if (keys.length === 0) return undefined
      swap(0, keys.length - 1)
      const first = { key: keys.pop()!, count: counts.pop()! }
      sink(0)
      return first
    },
  }
}
