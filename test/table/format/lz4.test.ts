/** LZ4 blocks and Hadoop's frames around them. */
import { expect, test } from 'vitest'
import { lz4Block, lz4Hadoop } from '../../../table/format/lz4.ts'

/** Four literals, then ten bytes from four back, overlapping what they write, then one literal. */
const BLOCK = Uint8Array.of(0x46, 0x61, 0x62, 0x63, 0x64, 0x04, 0x00, 0x10, 0x21)
const TEXT = 'abcdabcdabcdab!'
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const frame = (size: number, block: Uint8Array): Uint8Array => {
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(size)
  lengths.writeUInt32BE(block.length, 4)
  return Buffer.concat([lengths, block])
}

test('a block with an overlapping copy', () => {
  expect(textOf(lz4Block(BLOCK, TEXT.length))).toBe(TEXT)
})

test('lengths from fifteen on go on in further bytes', () => {
  const literals = Buffer.alloc(300, 'z')
  expect(textOf(lz4Block(Buffer.concat([Uint8Array.of(0xf0, 255, 30), literals]), 300))).toBe('z'.repeat(300))
})

test('frames of Hadoop, one and several, and a bare block under the same codec', () => {
  expect(textOf(lz4Hadoop(frame(15, BLOCK), 15))).toBe(TEXT)
  expect(textOf(lz4Hadoop(Buffer.concat([frame(15, BLOCK), frame(15, BLOCK)]), 30))).toBe(TEXT + TEXT)
  expect(textOf(lz4Hadoop(BLOCK, 15))).toBe(TEXT)
})

test.each([
  ['cut short', BLOCK.subarray(0, 3), 15],
  ['of another length', BLOCK, 16],
  ['longer than its page', BLOCK, 14],
  ['copying from before its beginning', Uint8Array.of(0x10, 0x61, 0x09, 0x00, 0x10, 0x21), 6],
  ['copying from itself at no distance', Uint8Array.of(0x10, 0x61, 0x00, 0x00, 0x10, 0x21), 6],
])('a block %s is refused', (_what, block, length) => {
  expect(() => lz4Block(block, length)).toThrow()
})
