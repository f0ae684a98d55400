/** A writer of 64-bit Roaring bitmaps and deletion vectors, made from the specifications alone. */
import { crc32 } from 'node:zlib'

export type ContainerKind = 'array' | 'bits' | 'runs'

const little = (bytes: 2 | 4, ...values: number[]): Buffer => {
  const out = Buffer.alloc(bytes * values.length)
  values.forEach((value, index) => void out.writeUIntLE(value, index * bytes, bytes))
  return out
}

/** `[first, last]` of each run. */
export function runsOf(sorted: readonly number[]): [number, number][] {
  const runs: [number, number][] = []
  for (const value of sorted) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] + 1 === value) last[1] = value
    else runs.push([value, value])
  }
  return runs
}

function container(kind: ContainerKind, values: readonly number[]): Buffer {
  if (kind === 'array') return little(2, ...values)
  if (kind === 'runs') {
    const runs = runsOf(values)
    return little(2, runs.length, ...runs.flatMap(([first, last]) => [first, last - first]))
  }
  const bits = Buffer.alloc(8192)
  for (const value of values) bits[value >> 3]! |= 1 << (value & 7)
  return bits
}

function groupsBy<T>(values: readonly T[], key: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const value of values) {
    const group = groups.get(key(value))
    if (group === undefined) groups.set(key(value), [value])
    else group.push(value)
  }
  return groups
}

function bitmap32(values: readonly number[], asRuns: (key: number) => boolean): Buffer {
  const groups = [...groupsBy(values, (value) => Math.floor(value / 65_536))]
  const kinds = groups.map(([key, all]): ContainerKind => (asRuns(key) ? 'runs' : all.length > 4096 ? 'bits' : 'array'))
  const bodies = groups.map(([, all], index) =>
    container(
      kinds[index]!,
      all.map((value) => value % 65_536),
    ),
  )
  const withRuns = kinds.includes('runs')
  const flags = Buffer.alloc(Math.ceil(groups.length / 8))
  kinds.forEach((kind, index) => {
    if (kind === 'runs') flags[index >> 3]! |= 1 << (index & 7)
  })
  const head = withRuns
    ? Buffer.concat([little(4, 12_347 + (groups.length - 1) * 65_536), flags])
    : little(4, 12_346, groups.length)
  const keys = little(2, ...groups.flatMap(([key, all]) => [key, all.length - 1]))
  const hasOffsets = !withRuns || groups.length >= 4
  let at = head.length + keys.length + (hasOffsets ? 4 * groups.length : 0)
  const offsets = bodies.map((body) => {
    at += body.length
    return at - body.length
  })
  return Buffer.concat([head, keys, hasOffsets ? little(4, ...offsets) : Buffer.alloc(0), ...bodies])
}

/** @param values ascending, once each. @param asRuns which containers, by the upper half, are written as runs. */
export function roaring64(values: readonly number[], asRuns: (key: number) => boolean = () => false): Buffer {
  const groups = [...groupsBy(values, (value) => Math.floor(value / 2 ** 32))]
  const count = Buffer.alloc(8)
  count.writeBigUInt64LE(BigInt(groups.length))
  const parts = groups.flatMap(([key, all]) => [
    little(4, key),
    bitmap32(
      all.map((value) => value % 2 ** 32),
      asRuns,
    ),
  ])
  return Buffer.concat([count, ...parts])
}

/** A `deletion-vector-v1` blob. */
export function deletionVector(bitmap: Uint8Array): Buffer {
  const content = Buffer.concat([Buffer.from('d1d33964', 'hex'), bitmap])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  checksum.writeUInt32BE(crc32(content))
  return Buffer.concat([length, content, checksum])
}
