/**
 * Decoders for Avro values, compiled from the writer's schema. They give what avsc gives: records as plain objects,
 * `long` as bigint, `bytes` and `fixed` as Buffer, unions as the value alone.
 */
import type { AvroComplexSchema, AvroSchema } from './avro-container.ts'
import { type AvroCursor, AvroDecodeError } from './avro-cursor.ts'

export type AvroReader = (cursor: AvroCursor) => unknown
export type AvroSkipper = (cursor: AvroCursor) => void

interface Decoder {
  read: AvroReader
  skip: AvroSkipper
}

const fixedBytes = (size: number): Decoder => ({ read: (cursor) => cursor.take(size), skip: (c) => c.skip(size) })

const skipLengthed: AvroSkipper = (cursor) => {
  const length = cursor.length()
  cursor.position += length
}

const skipVarint: AvroSkipper = (cursor) => {
  cursor.skipNumber()
  cursor.check()
}

const PRIMITIVES: Readonly<Record<string, Decoder>> = {
  null: { read: () => null, skip: () => {} },
  boolean: { read: (cursor) => cursor.take(1)[0] !== 0, skip: (cursor) => cursor.skip(1) },
  int: { read: (cursor) => cursor.number(), skip: skipVarint },
  long: { read: (cursor) => cursor.long(), skip: skipVarint },
  float: { read: (cursor) => cursor.take(4).readFloatLE(0), skip: (cursor) => cursor.skip(4) },
  double: { read: (cursor) => cursor.take(8).readDoubleLE(0), skip: (cursor) => cursor.skip(8) },
  bytes: { read: (cursor) => cursor.take(cursor.length()), skip: skipLengthed },
  string: { read: (cursor) => cursor.string(), skip: skipLengthed },
}

/** The types that a schema document defines by name: a second use only names them. */
export class AvroTypes {
  readonly #named = new Map<string, Decoder>()

  /** @throws {AvroDecodeError} for a schema that is none. */
  decoder(schema: AvroSchema, namespace = ''): Readonly<Decoder> {
    if (typeof schema === 'string') return this.#byName(schema, namespace)
    if (Array.isArray(schema)) {
      return unionOf((schema as readonly AvroSchema[]).map((branch) => this.decoder(branch, namespace)))
    }
    const complex = schema as AvroComplexSchema
    if (typeof complex !== 'object' || complex === null) throw new AvroDecodeError('its schema has a type that is none')
    switch (complex.type) {
      case 'record':
      case 'enum':
      case 'fixed':
        return this.#define(complex, namespace)
      case 'array':
        return arrayOf(this.decoder(complex['items'] as AvroSchema, namespace))
      case 'map':
        return mapOf(this.decoder(complex['values'] as AvroSchema, namespace))
      default:
        return this.decoder(complex.type, namespace)
    }
  }

  #byName(name: string, namespace: string): Decoder {
    const found =
      (Object.hasOwn(PRIMITIVES, name) ? PRIMITIVES[name] : undefined) ??
      this.#named.get(`${namespace}.${name}`) ??
      this.#named.get(name)
    if (found === undefined) throw new AvroDecodeError(`its schema names the unknown type ${name}`)
    return found
  }

  #define(schema: AvroComplexSchema, outer: string): Decoder {
    const name = String(schema['name'])
    const dot = name.lastIndexOf('.')
    const namespace = dot < 0 ? String(schema['namespace'] ?? outer) : name.slice(0, dot)
    // Filled below: a record may contain itself.
    const decoder: Decoder = { ...PRIMITIVES['null']! }
    this.#named.set(`${namespace}.${name.slice(dot + 1)}`, decoder)
    this.#named.set(name, decoder)
    return Object.assign(decoder, this.#defined(schema, namespace))
  }

  #defined(schema: AvroComplexSchema, namespace: string): Decoder {
    if (schema.type === 'fixed') {
      const size = Number(schema['size'])
      if (!Number.isSafeInteger(size) || size < 0) throw new AvroDecodeError('its schema has a fixed type of no size')
      return fixedBytes(size)
    }
    if (schema.type === 'enum') {
      const symbols = schema['symbols'] as readonly string[]
      return { read: (cursor) => symbols[cursor.number()], skip: skipVarint }
    }
    const fields = schema['fields'] as readonly { readonly name: string; readonly type: AvroSchema }[]
    return recordOf(fields.map(({ name, type }) => [name, this.decoder(type, namespace)]))
  }
}

function recordOf(fields: readonly (readonly [string, Readonly<Decoder>])[]): Decoder {
  return {
    read: (cursor) => {
      const record: Record<string, unknown> = {}
      for (const [name, decoder] of fields) record[name] = decoder.read(cursor)
      return record
    },
    skip: (cursor) => {
      for (const [, decoder] of fields) decoder.skip(cursor)
    },
  }
}

function unionOf(branches: readonly Readonly<Decoder>[]): Decoder {
  const branchOf = (cursor: AvroCursor): Readonly<Decoder> => {
    const branch = branches[cursor.number()]
    if (branch === undefined) throw new AvroDecodeError('a union has a branch that its schema does not have')
    return branch
  }
  return { read: (cursor) => branchOf(cursor).read(cursor), skip: (cursor) => branchOf(cursor).skip(cursor) }
}

function arrayOf(item: Readonly<Decoder>): Decoder {
  return {
    read: (cursor) => {
      const items: unknown[] = []
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        for (let index = 0; index < count; index++) {
          const start = cursor.position
          items.push(item.read(cursor))
          if (cursor.position === start) throw itemOfNothing()
        }
      }
      return items
    },
    skip: (cursor) => {
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        for (let index = 0; index < count; index++) {
          const start = cursor.position
          item.skip(cursor)
          if (cursor.position === start) throw itemOfNothing()
        }
      }
    },
  }
}

/** Items without bytes: a few bytes could ask for endless many. Nothing that is read here has such. */
const itemOfNothing = (): AvroDecodeError => new AvroDecodeError('an array has items of no bytes')

function mapOf(value: Readonly<Decoder>): Decoder {
  const pairs = arrayOf({
    read: (cursor) => [cursor.string(), value.read(cursor)],
    skip: (cursor) => {
      skipLengthed(cursor)
      value.skip(cursor)
    },
  })
  return { read: (cursor) => Object.fromEntries(pairs.read(cursor) as [string, unknown][]), skip: pairs.skip }
}
