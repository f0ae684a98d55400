/** The checksums that S3 clients send with a body, by the name of their header or trailer. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Base64 of the checksum of `bytes`; `undefined` for an algorithm that is not known here. */
export function checksum(headerName: string, bytes: Uint8Array): string | undefined {
  switch (headerName) {
    case 'content-md5':
      return createHash('md5').update(bytes).digest('base64')
    case 'x-amz-checksum-sha1':
      return createHash('sha1').update(bytes).digest('base64')
    case 'x-amz-checksum-sha256':
      return createHash('sha256').update(bytes).digest('base64')
    case 'x-amz-checksum-crc32':
      return bigEndian(0, crc32(bytes)).subarray(4).toString('base64')
    case 'x-amz-checksum-crc32c':
      return bigEndian(0, crc32c(bytes)).subarray(4).toString('base64')
    case 'x-amz-checksum-crc64nvme': {
      const [high, low] = crc64nvme(bytes)
      return bigEndian(high, low).toString('base64')
    }
    default:
      return undefined
  }
}

function bigEndian(high: number, low: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(high >>> 0, 0)
  bytes.writeUInt32BE(low >>> 0, 4)
  return bytes
}

/** CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (let i = 0; i < bytes.length; i++) crc = CRC32C_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8)
  return ~crc
}

const CRC32C_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC-64/NVME, reflected polynomial 0x9A6C9329AC4BC9B5, as a high and a low half: bigint is far too slow per byte. */
function crc64nvme(bytes: Uint8Array): [high: number, low: number] {
  let high = 0xffffffff
  let low = 0xffffffff
  for (let i = 0; i < bytes.length; i++) {
    const at = (low ^ bytes[i]!) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ CRC64_LOW[at]!
    high = (high >>> 8) ^ CRC64_HIGH[at]!
  }
  return [~high, ~low]
}

const CRC64_HIGH = new Uint32Array(256)
const CRC64_LOW = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let high = 0
  let low = byte
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1
    low = (low >>> 1) | ((high & 1) << 31)
    high >>>= 1
    if (carry) {
      high ^= 0x9a6c9329
      low ^= 0xac4bc9b5
    }
  }
  CRC64_HIGH[byte] = high
  CRC64_LOW[byte] = low
}
