/**
 * Where a run stands, in 64 characters: what `stateDict()` returns and `loadStateDict()` takes.
 *
 * 48 bytes as base64url, big-endian: version (1), snapshot id (8), plan hash (8), seed (7), epoch (4), batches (6),
 * block (4), offset (6), CRC-32 of the 44 bytes before it (4). No character is padding, so each one counts. A CRC finds every
 * change of neighbouring bits, so every wrong character, and all but one in 2^32 of the others.
 */
import { crc32 } from 'node:zlib'
import { FirnError } from '../../table/errors.ts'

export interface LoaderState {
  readonly snapshotId: bigint
  /** Unsigned, 64 bits: of everything that the batches depend on. */
  readonly planHash: bigint
  readonly seed: number
  readonly epoch: number
  /** Global batches delivered in this epoch. */
  readonly batches: number
  readonly block: number
  /** The next position among the block's rows as they are drawn; with token budgets the next batch of the block. */
  readonly offset: number
}

const VERSION = 1
const BYTES = 48
const CHECKED_BYTES = BYTES - 4
const TOKEN = /^[A-Za-z0-9_-]{64}$/

/** @throws RangeError for a number that is no whole number of its width: a mistake in the loader, not of its user. */
export function encodeState(state: LoaderState): string {
  const bytes = Buffer.alloc(BYTES)
  bytes.writeUInt8(VERSION, 0)
  bytes.writeBigInt64BE(state.snapshotId, 1)
  bytes.writeBigUInt64BE(state.planHash, 9)
  writeWhole(bytes, state.seed, 17, 7)
  writeWhole(bytes, state.epoch, 24, 4)
  writeWhole(bytes, state.batches, 28, 6)
  writeWhole(bytes, state.block, 34, 4)
  writeWhole(bytes, state.offset, 38, 6)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return bytes.toString('base64url')
}

/** @throws {FirnError} `FIRN_TOKEN_INVALID` (invalid): cut, mistyped, or of another version of firn. */
export function decodeState(token: string): LoaderState {
  if (typeof token !== 'string' || !TOKEN.test(token)) {
    throw invalid(
      `expected ${(BYTES / 3) * 4} characters of A-Z, a-z, 0-9, "-" and "_", got ${
        typeof token === 'string' ? `${token.length} characters` : typeof token
      }`,
    )
  }
  const bytes = Buffer.from(token, 'base64url')
  if (crc32(bytes.subarray(0, CHECKED_BYTES)) !== bytes.readUInt32BE(CHECKED_BYTES)) {
    throw invalid('its checksum is wrong: some of its characters have changed')
  }
  const version = bytes.readUInt8(0)
  if (version !== VERSION) throw invalid(`it is of version ${version}, this firn reads version ${VERSION}`)
  const seed = readWhole(bytes, 17, 7)
  if (!Number.isSafeInteger(seed)) throw invalid('its seed is beyond 2^53 - 1')
  return {
    snapshotId: bytes.readBigInt64BE(1),
    planHash: bytes.readBigUInt64BE(9),
    seed,
    epoch: readWhole(bytes, 24, 4),
    batches: readWhole(bytes, 28, 6),
    block: readWhole(bytes, 34, 4),
    offset: readWhole(bytes, 38, 6),
  }
}

/** `Buffer.writeUIntBE` ends at 6 bytes. */
function writeWhole(bytes: Buffer, value: number, start: number, width: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * width)) {
    throw new RangeError(`expected a whole number below 2^${8 * width} in a resume token, got ${value}`)
  }
  let rest = value
  for (let index = start + width - 1; index >= start; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
}

function readWhole(bytes: Buffer, start: number, width: number): number {
  let value = 0
  for (let index = start; index < start + width; index++) value = value * 256 + bytes[index]!
  return value
}

const invalid = (why: string): FirnError =>
  new FirnError('invalid', 'FIRN_TOKEN_INVALID', `the resume token cannot be read: ${why}`, {
    help: 'pass the token as stateDict() returned it, whole and unchanged, to the version of firn that wrote it or a later one',
  })
