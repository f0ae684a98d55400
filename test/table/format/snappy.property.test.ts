/** Snappy blocks with every kind of element, beside a second implementation; and blocks that nobody should trust. */
import fc from 'fast-check'
import { snappyUncompress } from 'hyparquet'
import { describe, expect, test } from 'vitest'
import { snappyDecompress } from '../../../table/format/snappy.ts'

type Element =
  | { readonly literal: Uint8Array }
  | { readonly back: number; readonly size: number; readonly kind: 1 | 2 | 3 }

const element: fc.Arbitrary<Element> = fc.oneof(
  fc.record({ literal: fc.uint8Array({ minLength: 1, maxLength: 90 }) }),
  fc.record({ literal: fc.uint8Array({ minLength: 250, maxLength: 400 }) }),
  fc.record({
    back: fc.nat(),
    size: fc.integer({ min: 1, max: 64 }),
    kind: fc.constantFrom(1 as const, 2 as const, 3 as const),
  }),
)

/** @returns the block and what it stands for. */
function assemble(elements: readonly Element[]): { readonly block: Buffer; readonly plain: Buffer } {
  const plain: number[] = []
  const body: number[] = []
  for (const each of elements) {
    if ('literal' in each) {
      const length = each.literal.length - 1
      if (length < 60) body.push(length << 2)
      else if (length < 256) body.push(60 << 2, length)
      else body.push(61 << 2, length & 255, length >> 8)
      body.push(...each.literal)
      plain.push(...each.literal)
      continue
    }
    if (plain.length === 0) continue
    const { kind } = each
    const size = kind === 1 ? 4 + (each.size % 8) : each.size
    const offset = 1 + (each.back % Math.min(plain.length, kind === 1 ? 2047 : 65_535))
    if (kind === 1) body.push(1 | ((size - 4) << 2) | ((offset >> 8) << 5), offset & 255)
    else body.push(kind | ((size - 1) << 2), offset & 255, offset >> 8, ...(kind === 3 ? [0, 0] : []))
    for (let index = 0; index < size; index++) plain.push(plain.at(-offset)!)
  }
  return { block: Buffer.from([...varint(plain.length), ...body]), plain: Buffer.from(plain) }
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return [...bytes, value]
}

test('literals and copies of every length and distance, overlapping ones too', () => {
  fc.assert(
    fc.property(fc.array(element, { maxLength: 40 }), (elements) => {
      const { block, plain } = assemble(elements)
      expect(snappyDecompress(block).equals(plain)).toBe(true)
      const second = new Uint8Array(plain.length)
      if (plain.length > 0) snappyUncompress(block, second)
      expect(plain.equals(second)).toBe(true)
    }),
  )
})

describe('a block that is not whole', () => {
  test('is refused wherever it is cut', () => {
    const { block } = assemble([
      { literal: Buffer.from('abcdefgh') },
      { back: 2, size: 30, kind: 2 },
      { literal: new Uint8Array(300) },
      { back: 5, size: 9, kind: 1 },
      { back: 200, size: 64, kind: 3 },
    ])
    for (let length = 0; length < block.length; length++) {
      expect(() => snappyDecompress(block.subarray(0, length)), `${length} bytes`).toThrow()
    }
  })

  test('ends, with an error or without, whatever was changed in it', () => {
    fc.assert(
      fc.property(fc.array(element, { maxLength: 20 }), fc.nat(), fc.nat({ max: 255 }), (elements, at, value) => {
        const { block } = assemble(elements)
        block[at % block.length] = value
        try {
          expect(snappyDecompress(block).length).toBeLessThanOrEqual(block.length * 64)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
    )
  })

  test.each([
    ['a length that its bytes cannot reach', [...varint(2 ** 31), 0, 1]],
    ['a length without an end', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a copy from before the start', [5, 0, 97, (3 << 2) | 2, 9, 0]],
    ['a copy of nothing behind it', [5, 0, 97, (3 << 2) | 2, 0, 0]],
    // as a signed number its length would be negative, and the position would go back for ever
    ['a literal of more than 2^31 bytes', [200, 1, 63 << 2, 0xff, 0xff, 0xff, 0xff, 97]],
  ])('%s', (_name, bytes) => {
    expect(() => snappyDecompress(Buffer.from(bytes))).toThrow()
  })
})
