/** The blobs of Puffin files that are read here: deletion vectors. Puffin spec: "deletion-vector-v1 blob type". */
import { crc32 } from 'node:zlib'
import { FirnError } from '../errors.ts'
import { readRoaring64 } from './roaring.ts'
import type { RowSet } from './row-set.ts'

/** Read as the little-endian number that the bytes D1 D3 39 64 are. */
const MAGIC = 0x6439_d3d1
/** Length, magic, CRC-32 and the count of an empty bitmap. */
const LEAST_BYTES = 4 + 4 + 8 + 4

/**
 * Adds the positions of a `deletion-vector-v1` blob to `rows`. The blob is a big-endian length, the magic, a 64-bit
 * Roaring bitmap and the big-endian CRC-32 of magic and bitmap.
 * @param where names the object, for messages. @param cardinality positions that the manifest says it has.
 * @throws {FirnError} `FIRN_DELETES_CORRUPT` (corrupt): anything else than that, and positions beyond `rows.limit`.
 */
export function readDeletionVector(blob: Uint8Array, where: string, cardinality: number, rows: RowSet): void {
  if (blob.length < LEAST_BYTES) throw corrupt(where, `${blob.length} bytes cannot hold a deletion vector`)
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const length = view.getUint32(0, false)
  if (length !== blob.length - 8) throw corrupt(where, `it claims ${length} bytes, expected ${blob.length - 8}`)
  if (view.getUint32(4, true) !== MAGIC) throw corrupt(where, 'no deletion vector begins there')
  const checksum = view.getUint32(blob.length - 4, false)
  if (crc32(blob.subarray(4, -4)) !== checksum) throw corrupt(where, 'the checksum does not hold')
  let found = 0
  const count = (taken: boolean, added: number): boolean => {
    found += added
    return taken
  }
  try {
    readRoaring64(blob.subarray(8, -4), {
      add: (row) => count(rows.add(row), 1),
      addRange: (start, end) => count(rows.addRange(start, end), end - start),
    })
  } catch (cause) {
    throw corrupt(where, cause instanceof Error ? cause.message : 'it cannot be read', cause)
  }
  if (found !== cardinality) throw corrupt(where, `the manifest says ${cardinality} positions, it has ${found}`)
}

const corrupt = (where: string, message: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_DELETES_CORRUPT', `${where}: deletion vector: ${message}`, {
    cause,
    detail: { where },
  })
