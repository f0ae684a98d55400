import { describe, expect, it } from 'vitest'
import { below, murmur3, permutation, randomOf } from '../../../loader/order/random.ts'

const hash = (text: string, seed = 0): number => murmur3(Buffer.from(text, 'utf8'), seed)

describe('murmur3', () => {
  it('gives the published 32-bit values, tails of one to three bytes included', () => {
    expect(hash('')).toBe(0)
    expect(hash('', 1)).toBe(0x514e28b7)
    expect(hash('', 0xffffffff)).toBe(0x81f16f39)
    expect(murmur3(Buffer.from('21436587', 'hex'), 0)).toBe(0xf55b516b)
    expect(murmur3(Buffer.from('214365', 'hex'), 0)).toBe(0x7e4a8634)
    expect(murmur3(Buffer.from('2143', 'hex'), 0)).toBe(0xa0f7b07a)
    expect(murmur3(Buffer.from('21', 'hex'), 0)).toBe(0x72661cf4)
    expect(hash('aaaa', 0x9747b28c)).toBe(0x5a97808a)
    // Iceberg's own example of a bucket hash
    expect(hash('iceberg')).toBe(1210000089)
  })
})

describe('randomOf', () => {
  it('gives the same numbers for a key on every machine (golden)', () => {
    const random = randomOf('firn/preview/uuid/1/42/0')
    expect([random(), random(), random(), random()]).toEqual(GOLDEN_NUMBERS)
  })

  it('gives other numbers for a key that differs in one character', () => {
    const first = Array.from({ length: 4 }, randomOf('a/0'))
    const second = Array.from({ length: 4 }, randomOf('a/1'))
    expect(first.filter((value, index) => value === second[index])).toEqual([])
  })

  it('fills its range evenly: 16 bins of 65,536 numbers stay within five standard deviations', () => {
    const bins = new Array<number>(16).fill(0)
    const random = randomOf('bins')
    for (let draw = 0; draw < 65_536; draw++) bins[random() >>> 28]!++
    const deviation = Math.sqrt(65_536 * (1 / 16) * (15 / 16))
    for (const bin of bins) expect(Math.abs(bin - 4096)).toBeLessThan(5 * deviation)
  })
})

describe('below', () => {
  it('throws away what would make small numbers more likely', () => {
    const drawn = [0xffff_ffff, 0xffff_fffe, 7]
    expect(below(() => drawn.shift()!, 0xffff_fffe)).toBe(7)
  })

  it('takes the limits 1 and 2^32', () => {
    expect(below(() => 0xffff_ffff, 0x1_0000_0000)).toBe(0xffff_ffff)
    expect(below(() => 0xffff_ffff, 1)).toBe(0)
  })
})

describe('permutation', () => {
  it('makes each of the six orders of three about equally often', () => {
    const counts = new Map<string, number>()
    const random = randomOf('three')
    for (let round = 0; round < 6000; round++) {
      const order = permutation(3, random).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000 * (5 / 6)))
  })
})

/** From an implementation of its own, in Python. */
const GOLDEN_NUMBERS = [1276497317, 3397447131, 779236604, 4071092976]
