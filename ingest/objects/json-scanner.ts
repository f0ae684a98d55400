/**
 * Where a JSON object or array ends, byte by byte and across blocks. Looks at the structure only: what stands inside
 * strings, numbers and names is for the parser to judge. Once the structure is broken, it goes on by counting
 * brackets, as far as the line goes.
 */

/** Why a scan stopped. `line`: at a line feed. `broken`: at a byte that cannot stand there; told once. */
export type ScanStop = 'end' | 'line' | 'broken' | 'more'

const LINE_END = 0x0a
const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY, COMMA, COLON] = [0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a]

/** What may come next. */
const VALUE = 0
const VALUE_OR_END = 1
const KEY = 2
const KEY_OR_END = 3
const AFTER_KEY = 4
const AFTER_VALUE = 5

export class JsonScanner {
  /** Why the last `scan` stopped. */
  stop: ScanStop = 'more'
  #containers: Uint8Array = new Uint8Array(64)
  #depth = 0
  #expect: number = VALUE
  #inString = false
  #escaped = false
  #inWord = false
  #broken = false

  /** The structure is broken somewhere before. */
  get broken(): boolean {
    return this.#broken
  }

  reset(): void {
    this.#depth = 0
    this.#expect = VALUE
    this.#inString = false
    this.#escaped = false
    this.#inWord = false
    this.#broken = false
  }

  /**
   * Go on at `from`, which is where the last scan stopped; one that stopped at a line feed goes on behind it.
   * @returns where it stopped: behind the text for `end`, at the byte for `line` and `broken`.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number
      if (byte === LINE_END) {
        if (this.#inString) this.#broken = true
        this.#inWord = false
        return this.#stopAt('line', at)
      }
      if (this.#inString) {
        if (!this.#string(byte)) return this.#stopAt('broken', at)
      } else if (this.#broken) {
        if (this.#count(byte)) return this.#stopAt('end', at + 1)
      } else if (!this.#structure(byte)) {
        this.#broken = true
        return this.#stopAt('broken', at)
      } else if (this.#depth === 0) return this.#stopAt('end', at + 1)
    }
    return this.#stopAt('more', to)
  }

  #stopAt(stop: ScanStop, at: number): number {
    this.stop = stop
    return at
  }

  /** @returns false for a control character, the first time. */
  #string(byte: number): boolean {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) this.#inString = false
    if (byte >= 0x20 || this.#broken) return true
    this.#broken = true
    return false
  }

  /** After the structure broke. @returns whether every bracket is closed. */
  #count(byte: number): boolean {
    if (byte === QUOTE) this.#inString = true
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) return --this.#depth <= 0
    return false
  }

  /** @returns whether `byte` may stand here. */
  #structure(byte: number): boolean {
    const inWord = this.#inWord
    this.#inWord = false
    const expect = this.#expect
    switch (byte) {
      case 0x20:
      case 0x09:
      case 0x0d:
        return true
      case QUOTE:
        if (expect === AFTER_KEY || expect === AFTER_VALUE) return false
        this.#expect = expect === KEY || expect === KEY_OR_END ? AFTER_KEY : AFTER_VALUE
        this.#inString = true
        return true
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (expect !== VALUE && expect !== VALUE_OR_END) return false
        this.#push(byte)
        return true
      case CLOSE_OBJECT:
        return (expect === AFTER_VALUE || expect === KEY_OR_END) && this.#pop(OPEN_OBJECT)
      case CLOSE_ARRAY:
        return (expect === AFTER_VALUE || expect === VALUE_OR_END) && this.#pop(OPEN_ARRAY)
      case COMMA:
        if (expect !== AFTER_VALUE) return false
        this.#expect = this.#containers[this.#depth - 1] === OPEN_OBJECT ? KEY : VALUE
        return true
      case COLON:
        if (expect !== AFTER_KEY) return false
        this.#expect = VALUE
        return true
      default:
        if (!isWordByte(byte) || !(inWord || expect === VALUE || expect === VALUE_OR_END)) return false
        this.#inWord = true
        this.#expect = AFTER_VALUE
        return true
    }
  }

  #push(container: number): void {
    if (this.#depth === this.#containers.length) {
      const grown = new Uint8Array(this.#depth * 2)
      grown.set(this.#containers)
      this.#containers = grown
    }
    this.#containers[this.#depth++] = container
    this.#expect = container === OPEN_OBJECT ? KEY_OR_END : VALUE_OR_END
  }

  #pop(container: number): boolean {
    if (this.#containers[this.#depth - 1] !== container) return false
    this.#depth--
    this.#expect = AFTER_VALUE
    return true
  }
}

/** Of numbers, `true`, `false` and `null`, and of what people take for them. */
const isWordByte = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) ||
  (byte >= 0x61 && byte <= 0x7a) ||
  (byte >= 0x41 && byte <= 0x5a) ||
  byte === 0x2b ||
  byte === 0x2d ||
  byte === 0x2e
