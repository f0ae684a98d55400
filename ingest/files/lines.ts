/**
 * The lines of one NDJSON file, a block of bytes at a time: line ends are searched, never decoded. Memory is one block
 * and the longest line, whatever the file's size.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { Compression } from '../records/inflate.ts'
import { inflateBlocks } from '../records/inflate-blocks.ts'
import type { FilePosition } from '../staging/chunk.ts'
import { unreadable } from './paths.ts'

/** Whole lines of a file. Bytes are valid until the next page is pulled. */
export interface LinePage {
  readonly lines: readonly FileLine[]
  /** Where the file stands after `lines[index]`. */
  positionAt(index: number): FilePosition
  /** On the last page: trailing bytes that are no whole line yet. */
  readonly pendingBytes?: number
}

export interface FileLine {
  /** Counted from 1; blank lines count, though they are not handed out. */
  readonly number: number
  /** Without the line end; a carriage return before it stays. */
  readonly bytes: Uint8Array
}

export interface LineStart {
  /** Lines before this one were handed out before. */
  readonly afterLine: number
  /** Where they ended; checked against the file. */
  readonly position: FilePosition | undefined
}

const BLOCK_BYTES = 1024 * 1024
const LINE_END = 10

/**
 * Lines after `from`, then a last page that says what is pending. An unterminated last line is handed out when it is
 * JSON and cannot grow into another value; a later run then accepts nothing but white space behind it.
 * @throws {FirnError} `FIRN_FILE_CHANGED` (invalid) when what was read before is no longer the file's beginning;
 *   `FIRN_FILE_CORRUPT` (corrupt) when it does not decompress; `FIRN_LINE_TOO_LONG` (invalid).
 */
export async function* readLines(
  path: string,
  from: LineStart,
  options: AbortableOptions & { maxLineBytes: number },
): AsyncGenerator<LinePage, void, undefined> {
  const { signal, maxLineBytes } = options
  const cutter = new LineCutter(path, from, maxLineBytes)
  try {
    for await (const block of openBlocks(path)) {
      signal?.throwIfAborted()
      const page = cutter.push(block)
      if (page !== undefined && page.lines.length > 0) yield page
    }
  } catch (error) {
    if (FirnError.is(error)) throw error
    signal?.throwIfAborted()
    throw inputError(path, error as NodeJS.ErrnoException)
  }
  yield cutter.end()
}

/** The file's decompressed bytes. A block is valid until the next one is pulled. */
function openBlocks(path: string): AsyncIterable<Buffer> {
  if (/\.gz$/i.test(path)) return inflatedBlocks(path, 'gzip')
  return /\.zst$/i.test(path) ? inflatedBlocks(path, 'zstd') : plainBlocks(path)
}

/** As long as the file was, like `plainBlocks`: what is appended meanwhile is the next run's. */
async function* inflatedBlocks(path: string, compression: Compression): AsyncGenerator<Buffer, void, undefined> {
  const { size } = await stat(path)
  const from = (offset: number): AsyncIterable<Buffer> | readonly Buffer[] =>
    offset >= size ? [] : createReadStream(path, { start: offset, end: size - 1, highWaterMark: BLOCK_BYTES })
  yield* inflateBlocks(from, compression)
}

/**
 * One buffer for the whole file: a fresh one for each block keeps the garbage collector busy. A file that others append
 * to is read as long as it was, else a fast writer could keep us here for ever.
 */
async function* plainBlocks(path: string): AsyncGenerator<Buffer, void, undefined> {
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    const buffer = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, Math.max(size, 1)))
    for (let offset = 0; offset < size; ) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - offset), offset)
      if (bytesRead === 0) return
      offset += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

function inputError(path: string, error: NodeJS.ErrnoException): FirnError {
  if (error.syscall !== undefined) return unreadable(path, error)
  return new FirnError('corrupt', 'FIRN_FILE_CORRUPT', `${path} does not decompress: ${error.message}`, {
    detail: { path },
    help: 'Complete lines before the damage may have landed; repair the file (same beginning) and land again.',
    cause: error,
  })
}

/** Cuts pushed blocks into pages of lines, and knows the digest at every line end. */
class LineCutter {
  readonly #path: string
  readonly #from: LineStart
  readonly #maxLineBytes: number
  /** Bytes `[0, #offset)`: the checked beginning, then every page handed out. */
  readonly #hash: Hash = createHash('sha256')
  #offset = 0
  #lineNumber: number
  /** Pieces of the line that is not complete yet. */
  #carry: Buffer[] = []
  #carryBytes = 0
  /** The position resumed from is in the middle of a line: its last line was unterminated then. */
  #midLine = false
  #lastByte = LINE_END

  constructor(path: string, from: LineStart, maxLineBytes: number) {
    this.#path = path
    this.#from = from
    this.#maxLineBytes = maxLineBytes
    this.#lineNumber = from.afterLine
  }

  push(block: Buffer): LinePage | undefined {
    const rest = this.#offset < (this.#from.position?.byteOffset ?? 0) ? this.#checkBeginning(block) : block
    if (rest.length === 0) return undefined
    const lastEnd = rest.lastIndexOf(LINE_END)
    if (lastEnd < 0) {
      this.#keep(rest)
      return undefined
    }
    const page = this.#cut(this.#carry, this.#carryBytes, rest.subarray(0, lastEnd + 1))
    this.#carry = []
    this.#carryBytes = 0
    if (lastEnd + 1 < rest.length) this.#keep(rest.subarray(lastEnd + 1))
    return page
  }

  /** After the last block. */
  end(): LinePage {
    const target = this.#from.position?.byteOffset ?? 0
    if (this.#offset < target) throw this.#changed(`it has ${this.#offset} bytes, ${target} were landed`)
    const tail = Buffer.concat(this.#carry)
    if (this.#midLine) this.#expectBlank(tail)
    const line = { number: this.#lineNumber + 1, bytes: tail }
    const lines = !this.#midLine && isWholeJson(tail) ? [line] : []
    const whole = this.#hash.update(tail)
    const position = { byteOffset: this.#offset + tail.length, sha256: whole.digest('hex') }
    return { lines, positionAt: () => position, pendingBytes: lines.length > 0 || isBlank(tail) ? 0 : tail.length }
  }

  #keep(piece: Buffer): void {
    this.#carry.push(Buffer.from(piece)) // a copy: the block is the reader's
    this.#carryBytes += piece.length
    if (this.#carryBytes <= this.#maxLineBytes) return
    const line = this.#lineNumber + 1
    throw new FirnError(
      'invalid',
      'FIRN_LINE_TOO_LONG',
      `${this.#path} line ${line} is over ${this.#maxLineBytes} bytes`,
      {
        detail: { path: this.#path, line, maxLineBytes: this.#maxLineBytes },
        help: 'The file has to be NDJSON: one record a line, ended by a line feed.',
      },
    )
  }

  /** Hash what was landed before; at its end compare, and return the bytes behind it. */
  #checkBeginning(block: Buffer): Buffer {
    const { byteOffset, sha256 } = this.#from.position as FilePosition
    const head = block.subarray(0, byteOffset - this.#offset)
    this.#hash.update(head)
    this.#offset += head.length
    this.#lastByte = head.at(-1) ?? this.#lastByte
    if (this.#offset < byteOffset) return block.subarray(head.length)
    const found = this.#hash.copy().digest('hex')
    if (found !== sha256) throw this.#changed(`SHA-256 of the first ${byteOffset} bytes is ${found}, not ${sha256}`)
    this.#midLine = this.#lastByte !== LINE_END
    return block.subarray(head.length)
  }

  /** A page of `carry` and `block`, which ends in a line end. */
  #cut(carry: readonly Buffer[], carryBytes: number, block: Buffer): LinePage {
    const before = this.#hash.copy()
    const startOffset = this.#offset
    const lines: FileLine[] = []
    const ends: number[] = [] // of each line, its line end included, relative to `block`
    for (let start = 0; start < block.length; ) {
      const end = block.indexOf(LINE_END, start)
      const part = block.subarray(start, end)
      const bytes = start === 0 && carryBytes > 0 ? Buffer.concat([...carry, part], carryBytes + part.length) : part
      start = end + 1
      if (this.#midLine) {
        this.#expectBlank(bytes)
        this.#midLine = false
        continue
      }
      this.#lineNumber++
      if (isBlank(bytes)) continue
      lines.push({ number: this.#lineNumber, bytes })
      ends.push(start)
    }
    for (const piece of carry) this.#hash.update(piece)
    this.#hash.update(block)
    this.#offset += carryBytes + block.length
    const positionAt = (index: number): FilePosition => {
      const end = ends[index] as number
      const hash = before.copy()
      for (const piece of carry) hash.update(piece)
      const sha256 = hash.update(block.subarray(0, end)).digest('hex')
      return { byteOffset: startOffset + carryBytes + end, sha256 }
    }
    return { lines, positionAt }
  }

  #expectBlank(bytes: Buffer): void {
    if (!isBlank(bytes)) throw this.#changed(`line ${this.#from.afterLine} grew after it had landed`)
  }

  #changed(how: string): FirnError {
    return new FirnError('invalid', 'FIRN_FILE_CHANGED', `${this.#path} changed since it was landed: ${how}`, {
      detail: { path: this.#path },
      help: 'Files may only grow. Land the new content under another file name, or restore the old beginning.',
    })
  }
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  return true
}

/** JSON that no further byte can turn into other JSON: `12` may become `123`, `{"a":1}` is complete. */
function isWholeJson(bytes: Buffer): boolean {
  if (isBlank(bytes)) return false
  try {
    return typeof JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) !== 'number'
  } catch {
    return false
  }
}
