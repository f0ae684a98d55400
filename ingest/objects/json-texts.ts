/**
 * Cuts the bytes of an object into records: JSON texts, one a line or one after the other without anything between,
 * as Firehose writes them; also texts that span lines. Which bytes are which record depends on the bytes alone, not on
 * how they arrive: record 7 is record 7 in every run.
 *
 * - A complete object or array is a record, whatever stands around it.
 * - What is broken is one record: as far as its brackets go, else to the next `{` that cannot belong to it, else to the
 *   end of its line. It never takes a following line with it.
 * - Anything else than `{` and `[` at the start of a record: the rest of the line is one record.
 */

import { textTooLong } from './errors.ts'
import { JsonScanner } from './json-scanner.ts'

export interface JsonText {
  /** Counted from 1. */
  readonly number: number
  /** Valid until the next bytes are pushed. */
  readonly bytes: Uint8Array
}

const LINE_END = 0x0a
const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]
const MIN_BUFFER_BYTES = 64 * 1024
/** Bytes may be looked at again for as long as that is no more than was cut so far, and this. */
const LOOK_AGAIN_BYTES = 1024 * 1024

type Mode = 'between' | 'structure' | 'line'

/** Memory: twice the longest text, and the largest block. */
export class JsonTextCutter {
  readonly #name: string
  readonly #maxTextBytes: number
  readonly #scanner = new JsonScanner()
  #buffer: Buffer = Buffer.allocUnsafeSlow(MIN_BUFFER_BYTES)
  /** Bytes `[0, #length)` of the buffer are filled; the record begins at `#start`, is known up to `#at`. */
  #length = 0
  #start = 0
  #at = 0
  #mode: Mode = 'between'
  /** Of the record: its first line end, and the byte that broke it. */
  #lineEnd = -1
  #brokenAt = -1
  #count = 0
  /** Bytes of the object before the buffer. */
  #before = 0
  #lookedAgain = 0
  #cut: JsonText[] = []

  /** @param name for messages. */
  constructor(name: string, maxTextBytes: number) {
    this.#name = name
    this.#maxTextBytes = maxTextBytes
  }

  /** @throws {FirnError} `FIRN_LINE_TOO_LONG` (invalid). */
  push(block: Uint8Array): readonly JsonText[] {
    this.#append(block)
    return this.#run(false)
  }

  /** After the last block. */
  end(): readonly JsonText[] {
    return this.#run(true)
  }

  #append(block: Uint8Array): void {
    const kept = this.#length - this.#start
    const needed = kept + block.byteLength
    const target = needed > this.#buffer.length ? Buffer.allocUnsafeSlow(needed * 2) : this.#buffer
    this.#buffer.copy(target, 0, this.#start, this.#length)
    target.set(block, kept)
    this.#buffer = target
    this.#before += this.#start
    this.#at -= this.#start
    if (this.#lineEnd >= 0) this.#lineEnd -= this.#start
    if (this.#brokenAt >= 0) this.#brokenAt -= this.#start
    this.#start = 0
    this.#length = needed
  }

  #run(last: boolean): readonly JsonText[] {
    this.#cut = []
    // Too few bytes to tell a byte order mark from the beginning of a line.
    if (!last && this.#before + this.#start === 0 && this.#length < BYTE_ORDER_MARK.length) return this.#cut
    for (;;) {
      if (this.#mode === 'between' && !this.#begin()) break
      const limit = Math.min(this.#length, this.#start + this.#maxTextBytes)
      const complete = this.#mode === 'line' ? this.#scanLine(limit) : this.#scanStructure(limit)
      if (complete) continue
      if (limit < this.#length) this.#giveUp(limit, true)
      else if (last) this.#giveUp(limit, false)
      else break
    }
    return this.#cut
  }

  /** Over white space to the next record. @returns false when there is none yet. */
  #begin(): boolean {
    if (this.#before + this.#start === 0 && BYTE_ORDER_MARK.every((byte, index) => this.#buffer[index] === byte)) {
      this.#start = Math.min(BYTE_ORDER_MARK.length, this.#length)
    }
    let start = this.#start
    while (start < this.#length && isBlank(this.#buffer[start] as number)) start++
    this.#start = start
    this.#at = start
    if (start === this.#length) return false
    const first = this.#buffer[start] as number
    this.#mode = first === OPEN_OBJECT || first === OPEN_ARRAY ? 'structure' : 'line'
    this.#lineEnd = -1
    this.#brokenAt = -1
    this.#scanner.reset()
    return true
  }

  /** @returns whether the record was cut. */
  #scanLine(limit: number): boolean {
    const found = this.#buffer.subarray(0, limit).indexOf(LINE_END, this.#at)
    this.#at = found < 0 ? limit : found
    if (found >= 0) this.#take(found)
    return found >= 0
  }

  /** @returns whether a record was cut, or the place moved to look again. */
  #scanStructure(limit: number): boolean {
    while (this.#at < limit) {
      this.#at = this.#scanner.scan(this.#buffer, this.#at, limit)
      switch (this.#scanner.stop) {
        case 'end':
          this.#take(this.#at)
          return true
        case 'more':
          return false
        case 'broken':
          this.#brokenAt = this.#at
          if (this.#lineEnd < 0) break
          this.#giveUp(this.#at, false)
          return true
        case 'line':
          if (this.#scanner.broken || !this.#mayLookAgain()) {
            this.#giveUp(this.#at, false)
            return true
          }
          if (this.#lineEnd < 0) this.#lineEnd = this.#at
          this.#at++
      }
    }
    return false
  }

  /** The record cannot be completed: `end` is the end of its line, of the object, or `tooLong` for a text. */
  #giveUp(end: number, tooLong: boolean): void {
    if (this.#lineEnd >= 0) {
      this.#lookAgainFrom(this.#lineEnd, end)
      return
    }
    const next = this.#brokenAt
    if (next > this.#start && this.#buffer[next] === OPEN_OBJECT && this.#mayLookAgain()) {
      this.#lookAgainFrom(next, end)
      return
    }
    if (tooLong) throw textTooLong(this.#name, this.#count + 1, this.#maxTextBytes)
    this.#take(end)
  }

  #lookAgainFrom(from: number, end: number): void {
    this.#lookedAgain += end - from
    this.#take(from)
  }

  #mayLookAgain(): boolean {
    return this.#lookedAgain <= this.#before + this.#start + LOOK_AGAIN_BYTES
  }

  #take(end: number): void {
    this.#cut.push({ number: ++this.#count, bytes: this.#buffer.subarray(this.#start, end) })
    this.#start = end
    this.#at = end
    this.#mode = 'between'
  }
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === LINE_END
