/** int64-safe JSON: table metadata holds snapshot ids, which exceed 2^53. Needs no dependency. */
import { FirnError } from '../errors.ts'

export type JsonObject = Readonly<Record<string, unknown>>

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
const rawJson = (JSON as unknown as { rawJSON(text: string): object }).rawJSON

const revive: Reviver = (_key, value, { source }) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
    ? BigInt(source)
    : value

/** Integers past 2^53 come back as bigint, all others as number. @throws {SyntaxError} */
export const parseJson = (text: string): unknown => JSON.parse(text, revive as (key: string, value: unknown) => unknown)

/** Inverse of `parseJson`: bigint is written as a bare number, as the Iceberg specification wants. */
export const printJson = (value: unknown, indent = 0): string =>
  JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? rawJson(item.toString()) : item), indent)

/**
 * Typed access to one JSON object of a format. Every miss is a `corrupt` error that names the object and the field,
 * so a bad file never becomes an `undefined` somewhere else.
 */
export class JsonReader {
  readonly value: JsonObject
  readonly #where: string

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw corruptJson(where, 'an object', value)
    }
    this.value = value as JsonObject
    this.#where = where
  }

  has(key: string): boolean {
    return this.value[key] !== undefined && this.value[key] !== null
  }

  string(key: string): string {
    const value = this.value[key]
    if (typeof value !== 'string') throw corruptJson(`${this.#where}.${key}`, 'a string', value)
    return value
  }

  optionalString(key: string): string | undefined {
    return this.has(key) ? this.string(key) : undefined
  }

  boolean(key: string): boolean {
    const value = this.value[key]
    if (typeof value !== 'boolean') throw corruptJson(`${this.#where}.${key}`, 'a boolean', value)
    return value
  }

  /** A whole number that fits 2^53. */
  integer(key: string): number {
    const value = this.value[key]
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      throw corruptJson(`${this.#where}.${key}`, 'an integer', value)
    }
    return value
  }

  optionalInteger(key: string): number | undefined {
    return this.has(key) ? this.integer(key) : undefined
  }

  long(key: string): bigint {
    const value = this.value[key]
    if (typeof value === 'bigint') return value
    return BigInt(this.integer(key))
  }

  array(key: string): readonly unknown[] {
    const value = this.value[key]
    if (!Array.isArray(value)) throw corruptJson(`${this.#where}.${key}`, 'an array', value)
    return value
  }

  objects(key: string): readonly JsonReader[] {
    return this.array(key).map((item, index) => new JsonReader(item, `${this.#where}.${key}[${index}]`))
  }

  object(key: string): JsonReader {
    return new JsonReader(this.value[key], `${this.#where}.${key}`)
  }

  /** A map of strings; other scalar values are an error, a missing map is empty. */
  strings(key: string): Readonly<Record<string, string>> {
    if (!this.has(key)) return {}
    const source = this.object(key)
    return Object.fromEntries(Object.keys(source.value).map((name) => [name, source.string(name)]))
  }
}

function corruptJson(where: string, expected: string, got: unknown): FirnError {
  // What is no scalar may be as large, and nested as deep, as the whole document.
  const kind = Array.isArray(got) ? 'an array' : 'an object'
  const shown =
    got === undefined ? 'nothing' : typeof got === 'object' && got !== null ? kind : printJson(got).slice(0, 80)
  return new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: expected ${expected}, got ${shown}`, {
    detail: { where },
    help: 'The file was not written by a conforming Iceberg writer, or it is damaged. Run: firn verify <table>',
  })
}
