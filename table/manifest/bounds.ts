/**
 * Column bounds and partition summaries as bytes. Spec: Appendix D "Binary single-value serialization".
 */
import { isUtf8 } from 'node:buffer'
import { FirnError } from '../errors.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'

/** Characters of a string, or bytes of a binary, that a truncated bound keeps. */
export const BOUND_LENGTH = 16

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` for a null: a bound is never null, it is absent. */
export function encodeBound(type: PrimitiveType, value: PrimitiveValue): Uint8Array {
  if (value === null) throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `a bound of type ${type} cannot be null`)
  switch (type) {
    case 'boolean':
      return Uint8Array.of(value === true ? 1 : 0)
    case 'int':
    case 'date':
      return fixedBytes(4, (view) => view.setInt32(0, Number(value), true))
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return fixedBytes(8, (view) => view.setBigInt64(0, BigInt(value as bigint), true))
    case 'float':
      return fixedBytes(4, (view) => view.setFloat32(0, Number(value), true))
    case 'double':
      return fixedBytes(8, (view) => view.setFloat64(0, Number(value), true))
    case 'string':
      return Uint8Array.from(Buffer.from(value as string, 'utf8'))
    case 'uuid':
    case 'binary':
      return value as Uint8Array
    default:
      return decimalOf(type) ? encodeUnscaled(value as bigint) : (value as Uint8Array)
  }
}

/**
 * Inverse of `encodeBound`. A bound written before a promotion keeps its old width: an int bound of a long column is
 * four bytes, a float bound of a double column too. For comparisons take `decodeLowerBound` and `decodeUpperBound`.
 * @throws {FirnError} `FIRN_METADATA_CORRUPT` when the width fits no version of the type.
 */
export function decodeBound(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const width = (...allowed: readonly number[]): void => {
    if (!allowed.includes(bytes.length)) {
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `a bound of type ${type} has ${bytes.length} bytes`)
    }
  }
  switch (type) {
    case 'boolean':
      width(1)
      return bytes[0] !== 0
    case 'int':
    case 'date':
      width(4)
      return view.getInt32(0, true)
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      width(8, 4)
      return bytes.length === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true)
    case 'float':
      width(4)
      return view.getFloat32(0, true)
    case 'double':
      width(8, 4)
      return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true)
    case 'string':
      return utf8Text(bytes)
    case 'uuid':
      width(16)
      return bytes
    default: {
      const fixed = fixedLengthOf(type)
      if (fixed !== undefined) width(fixed)
      return decimalOf(type) ? decodeUnscaled(bytes) : bytes
    }
  }
}

/**
 * A value that is not above any value of which `bytes` is a lower bound. Some writers cut the bytes of a string inside
 * a character: what is left of the character goes too.
 * @throws {FirnError} as `decodeBound`.
 */
export function decodeLowerBound(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  return type === 'string' ? utf8Text(wholeCharacters(bytes)) : decodeBound(type, bytes)
}

/**
 * A value that is not below any value of which `bytes` is an upper bound, or `undefined` when none can be told. Where
 * the bytes of a string were cut inside a character, the character before it is raised.
 * @throws {FirnError} as `decodeBound`.
 */
export function decodeUpperBound(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue | undefined {
  if (type !== 'string') return decodeBound(type, bytes)
  const whole = wholeCharacters(bytes)
  if (whole.length === bytes.length) return utf8Text(bytes)
  const raised = raiseLast(whole)
  return raised && utf8Text(raised)
}

/** `bytes` without the beginning of a character at their end; nothing of them when they are no UTF-8 even so. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  for (let cut = 0; cut <= Math.min(3, bytes.length); cut++) {
    const whole = bytes.subarray(0, bytes.length - cut)
    if (isUtf8(whole)) return whole
  }
  return bytes.subarray(0, 0)
}

const utf8Text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

/** Two's complement, big-endian, no longer than needed. */
export function encodeUnscaled(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.unshift(Number(rest & 0xffn))
    rest >>= 8n
  } while (!((rest === 0n && bytes[0]! < 0x80) || (rest === -1n && bytes[0]! >= 0x80)))
  return Uint8Array.from(bytes)
}

export function decodeUnscaled(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return bytes.length > 0 && bytes[0]! >= 0x80 ? value - (1n << BigInt(8 * bytes.length)) : value
}

/**
 * The first `length` code points of UTF-8 `bytes`; the bytes themselves when they are no longer.
 */
export function truncateLower(bytes: Uint8Array, length: number = BOUND_LENGTH): Uint8Array {
  const end = codePointEnd(bytes, length)
  return end === undefined ? bytes : bytes.slice(0, end)
}

/**
 * A string that is not below any string starting with the first `length` code points of UTF-8 `bytes`: the prefix with
 * its last code point that can be raised raised by one. `undefined` when none can: then there is no upper bound.
 */
export function truncateUpper(bytes: Uint8Array, length: number = BOUND_LENGTH): Uint8Array | undefined {
  const end = codePointEnd(bytes, length)
  return end === undefined ? bytes : raiseLast(bytes.subarray(0, end))
}

/** The least string above every one that starts with the UTF-8 `bytes`, no longer than they are. */
function raiseLast(bytes: Uint8Array): Uint8Array | undefined {
  const points = Array.from(utf8Text(bytes), (text) => text.codePointAt(0)!)
  for (let index = points.length - 1; index >= 0; index--) {
    // Surrogates are no code points of a string: the one after U+D7FF is U+E000.
    const next = points[index]! === 0xd7ff ? 0xe000 : points[index]! + 1
    if (next <= 0x10ffff) {
      return Uint8Array.from(Buffer.from(String.fromCodePoint(...points.slice(0, index), next), 'utf8'))
    }
  }
  return undefined
}

/** Byte offset after `length` code points, or `undefined` when the text has no more than that. */
function codePointEnd(bytes: Uint8Array, length: number): number | undefined {
  let points = 0
  for (let index = 0; index < bytes.length; index++) {
    if ((bytes[index]! & 0xc0) === 0x80) continue
    if (points === length) return index
    points++
  }
  return undefined
}

function fixedBytes(size: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size)
  write(new DataView(bytes.buffer))
  return bytes
}
