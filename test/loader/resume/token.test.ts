import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeState, encodeState, type LoaderState } from '../../../loader/resume/token.ts'

const STATE: LoaderState = {
  snapshotId: 3055729675574597004n,
  planHash: 0xfedc_ba98_7654_3210n,
  seed: 42,
  epoch: 3,
  batches: 123_456,
  block: 7,
  offset: 8_901_234,
}
/** From an implementation of its own, in Python. */
const TOKEN = 'ASpoIfMyPlWM_ty6mHZUMhAAAAAAAAAqAAAAAwAAAAHiQAAAAAcAAACH0nIWQHak'
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const states: fc.Arbitrary<LoaderState> = fc.record({
  snapshotId: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  planHash: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  seed: fc.maxSafeNat(),
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  batches: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  block: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  offset: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
})

const refused = expect.objectContaining({ kind: 'invalid', code: 'FIRN_TOKEN_INVALID' })
const refuses = (token: string): void => {
  let thrown: unknown
  try {
    decodeState(token)
  } catch (error) {
    thrown = error
  }
  expect(thrown, token).toEqual(refused)
}

/** A token around these 44 bytes, with a checksum that holds. */
function sealed(bytes: Buffer): string {
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(bytes))
  return Buffer.concat([bytes, checksum]).toString('base64url')
}
const unsealed = (token: string): Buffer => Buffer.from(token, 'base64url').subarray(0, 44)

describe('a resume token', () => {
  it('gives back every state, in 64 characters that survive a URL', () => {
    fc.assert(
      fc.property(states, (state) => {
        const token = encodeState(state)
        expect(token).toMatch(/^[A-Za-z0-9_-]{64}$/)
        expect(decodeState(token)).toEqual(state)
      }),
    )
  })

  it('stays readable by later versions (golden)', () => {
    expect(encodeState(STATE)).toBe(TOKEN)
    expect(decodeState(TOKEN)).toEqual(STATE)
  })

  it('is refused with any character changed, to any other', () => {
    for (let index = 0; index < TOKEN.length; index++) {
      for (const character of [...ALPHABET, '+', '/', '=', ' ', 'é']) {
        if (character !== TOKEN[index]) refuses(TOKEN.slice(0, index) + character + TOKEN.slice(index + 1))
      }
    }
  })

  it('is refused when it is cut, prolonged or something else', () => {
    for (let length = 0; length < TOKEN.length; length++) refuses(TOKEN.slice(0, length))
    for (const token of [`${TOKEN}A`, `${TOKEN}\n`, ` ${TOKEN}`, TOKEN + TOKEN, 'A'.repeat(64)]) refuses(token)
    for (const value of [undefined, null, 7, {}]) refuses(value as unknown as string)
  })

  it('is refused when two of its characters are swapped', () => {
    fc.assert(
      fc.property(states, fc.nat(62), (state, index) => {
        const token = encodeState(state)
        if (token[index] === token[index + 1]) return
        refuses(token.slice(0, index) + token[index + 1] + token[index] + token.slice(index + 2))
      }),
    )
  })

  it('is refused by name when it is of a later version', () => {
    const bytes = Buffer.from(unsealed(TOKEN))
    bytes[0] = 2
    expect(() => decodeState(sealed(bytes))).toThrow(/version 2, this firn reads version 1/)
  })

  it('is refused when its seed is no number that a dataset takes', () => {
    const bytes = Buffer.from(unsealed(TOKEN))
    bytes[17] = 0xff
    expect(() => decodeState(sealed(bytes))).toThrow(refused)
  })

  it('is not written for numbers that do not fit', () => {
    for (const wrong of [
      { epoch: 2 ** 32 },
      { block: -1 },
      { offset: 0.5 },
      { batches: 2 ** 48 },
      { seed: 2 ** 53 },
      { planHash: 2n ** 64n },
      { snapshotId: 2n ** 63n },
    ]) {
      expect(() => encodeState({ ...STATE, ...wrong }), JSON.stringify(Object.keys(wrong))).toThrow(RangeError)
    }
  })
})
