/** The bytes of one record to a JSON object, or the reason why not. Never throws, whatever the bytes. */
import { isUtf8 } from 'node:buffer'
import { inflate, sniffCompression } from './inflate.ts'

/** A closed set: metric labels and the keys of quarantine reports. */
export type DecodeReason = 'decode.gzip' | 'decode.zlib' | 'decode.zstd' | 'decode.utf8' | 'decode.json' | 'too_large'

export type DecodedRecord =
  | { readonly ok: true; readonly value: Record<string, unknown> }
  | { readonly ok: false; readonly reason: DecodeReason; readonly message: string }

const BYTE_ORDER_MARK = 0xfeff

/**
 * What is compressed (gzip, zlib, zstd, told by the first bytes) is inflated, once. Then strict UTF-8 (one leading byte
 * order mark is skipped), then JSON, which has to be an object. Of duplicate keys the last one counts, and a key
 * `__proto__` is a key like any other: read fields with `Object.hasOwn`.
 * @param options.maxBytes longer records are refused unseen, and those that inflate to more without inflating the rest.
 */
export function decodeRecord(bytes: Uint8Array, options: { readonly maxBytes: number }): DecodedRecord {
  const { maxBytes } = options
  if (bytes.byteLength > maxBytes) {
    return refuse('too_large', `${bytes.byteLength} bytes, at most ${maxBytes} are accepted`)
  }
  const compression = sniffCompression(bytes)
  if (compression === undefined) return decodeText(bytes)
  const inflated = inflate(bytes, compression, maxBytes)
  if (inflated.ok) return decodeText(inflated.bytes)
  if (inflated.overflow) return refuse('too_large', `${compression} that ${inflated.message}`)
  return refuse(`decode.${compression}`, `broken ${compression}: ${inflated.message}`)
}

function decodeText(bytes: Uint8Array): DecodedRecord {
  if (!isUtf8(bytes)) return refuse('decode.utf8', 'not valid UTF-8')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text)
  } catch (error) {
    return refuse('decode.json', error instanceof SyntaxError ? syntaxMessage(error) : String(error))
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { ok: true, value: value as Record<string, unknown> }
  }
  const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
  return refuse('decode.json', `expected a JSON object, got ${kind}`)
}

const refuse = (reason: DecodeReason, message: string): DecodedRecord => ({ ok: false, reason, message })

/** V8 quotes the input in its message; a report must not carry record content. */
function syntaxMessage(error: SyntaxError): string {
  const position = /at position (\d+)/.exec(error.message)?.[1]
  return position === undefined ? 'not valid JSON' : `not valid JSON at position ${position}`
}
