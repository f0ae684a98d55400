/** Statistics that outlive the bytes they came in: a plan keeps its files, not the manifests. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { LaterBytes } from '../../../table/format/avro-container.ts'
import { LazyBounds, LazyCounts, noStats } from '../../../table/manifest/lazy-stats.ts'

/** Two pairs (1, 2) and (3, 4) as Avro writes an array, after three bytes of something else. */
const COUNTS = Buffer.from([9, 9, 9, 4, 2, 4, 6, 8, 0])
/** (1, "a") in a block that states its size, then (300, "") in another. */
const BOUNDS = Buffer.from([1, 6, 2, 2, 97, 2, 0xd8, 4, 0, 0])

const held = (bytes: Buffer): LaterBytes => new LaterBytes(bytes, () => bytes, bytes)

test('are a map in every way that a map is read', () => {
  const counts = new LazyCounts(held(COUNTS), 3)
  const visited: unknown[] = []
  counts.forEach((value, key) => {
    visited.push([key, value])
  })
  for (const entries of [visited, [...counts], [...counts.entries()], [...new Map(counts)]]) {
    expect(entries).toEqual([
      [1, 2],
      [3, 4],
    ])
  }
  expect([counts.size, counts.get(3), counts.get(2), counts.has(1), counts.has(2)]).toEqual([
    2,
    4,
    undefined,
    true,
    false,
  ])
  expect([[...counts.keys()], [...counts.values()]]).toEqual([
    [1, 3],
    [2, 4],
  ])
  expect(noStats().size).toBe(0)
})

test('give bounds as copies: changing one changes neither the next nor the block', () => {
  const bounds = new LazyBounds(held(BOUNDS), 0)
  expect([...bounds]).toEqual([
    [1, Uint8Array.of(97)],
    [300, new Uint8Array(0)],
  ])
  bounds.get(1)![0] = 0
  expect(bounds.get(1)).toEqual(Uint8Array.of(97))
  expect(bounds.get(1)!.buffer.byteLength).toBe(1)
})

test('are decompressed again when their bytes were collected, and only then', async () => {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  let decompressed = 0
  const again = (compressed: Buffer): Buffer => {
    decompressed++
    return Buffer.from(compressed)
  }
  const block = new LaterBytes(COUNTS, again, Buffer.from(COUNTS))
  const counts = new LazyCounts(block, 3)
  expect([counts.get(1), decompressed]).toEqual([2, 0])
  for (let tries = 0; tries < 20 && decompressed === 0; tries++) {
    // what a weak reference names lives until the job ends that looked at it
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    expect(counts.get(3)).toBe(4)
  }
  expect(decompressed).toBe(1)
})
