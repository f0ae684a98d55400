/**
 * A request's body as the client meant it: out of its `aws-chunked` framing, and equal to every checksum that came
 * with it, in headers or in the framing's trailer. Signatures of chunks are skipped, not checked.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { checksum } from './checksums.ts'
import { S3Error } from './protocol.ts'

export interface S3Body {
  readonly bytes: Uint8Array
  /** The verified `x-amz-checksum-*` values. */
  readonly checksums: Readonly<Record<string, string>>
}

/** @throws {S3Error} `IncompleteBody`, `BadDigest`, `InvalidDigest`, `XAmzContentSHA256Mismatch`. */
export async function readBody(request: IncomingMessage): Promise<S3Body> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return decodeBody(Buffer.concat(chunks), request.headers)
}

export function decodeBody(raw: Buffer, headers: IncomingHttpHeaders): S3Body {
  const payloadHash = String(headers['x-amz-content-sha256'] ?? '')
  const isFramed =
    payloadHash.startsWith('STREAMING-') || /\baws-chunked\b/i.test(String(headers['content-encoding'] ?? ''))
  const { bytes, trailers } = isFramed ? unframe(raw) : { bytes: raw, trailers: {} }
  const decodedLength = headers['x-amz-decoded-content-length']
  if (decodedLength !== undefined && Number(decodedLength) !== bytes.length) {
    throw new S3Error('IncompleteBody', `Expected ${String(decodedLength)} bytes, got ${bytes.length}`)
  }
  if (/^[0-9a-f]{64}$/.test(payloadHash) && createHash('sha256').update(bytes).digest('hex') !== payloadHash) {
    throw new S3Error('XAmzContentSHA256Mismatch', 'The provided x-amz-content-sha256 does not match what was computed')
  }
  return { bytes, checksums: verify(bytes, { ...headers, ...trailers }) }
}

/** `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n … 0[;…]\r\n[<name>:<value>\r\n…]\r\n` */
function unframe(raw: Buffer): { bytes: Buffer; trailers: Record<string, string> } {
  const pieces: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = raw.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(raw.toString('latin1', at, lineEnd), 16)
    if (!Number.isInteger(size)) throw new S3Error('IncompleteBody', `The chunk at byte ${at} has no size`)
    at = lineEnd + 2
    if (size === 0) return { bytes: Buffer.concat(pieces), trailers: parseTrailers(raw.toString('latin1', at)) }
    if (raw.length < at + size + 2) throw new S3Error('IncompleteBody', `The chunk at byte ${at} is cut off`)
    pieces.push(raw.subarray(at, at + size))
    at += size + 2
  }
}

function parseTrailers(text: string): Record<string, string> {
  const trailers: Record<string, string> = {}
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) trailers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return trailers
}

function verify(bytes: Uint8Array, headers: Readonly<Record<string, string | string[] | undefined>>) {
  const checksums: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') continue
    const expected = checksum(name, bytes)
    if (expected === undefined) continue
    if (name === 'content-md5' && Buffer.from(value, 'base64').length !== 16) {
      throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid')
    }
    if (value !== expected) throw new S3Error('BadDigest', `The ${name} you specified did not match what was received`)
    if (name !== 'content-md5') checksums[name] = value
  }
  return checksums
}
