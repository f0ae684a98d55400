/**
 * Avro object container files, as manifests and manifest lists use them: whole files in memory, `long` as bigint,
 * the schema's own JSON kept byte for byte. The only file that imports avsc, which writes; reading is done here, because
 * avsc follows any count that a damaged file states.
 *
 * avsc prints a type without the attributes that Iceberg lives by (`field-id`, `element-id`, `logicalType: map`), so
 * the schema is handed over as file metadata, which wins over what avsc would write.
 */
import { createHash } from 'node:crypto'
import type avsc from 'avsc'
import { FirnError } from '../errors.ts'
import { type AvroComplexSchema, type AvroSchema, avroCorrupt, openAvro, SYNC_BYTES } from './avro-container.ts'
import { AvroCursor } from './avro-cursor.ts'
import { AvroTypes } from './avro-decode.ts'
import { type JsonObject, printJson } from './json.ts'

export type { AvroComplexSchema, AvroSchema }

/** A decoded record: members by the file's own names. `long` is bigint, `bytes` and `fixed` are Buffer. */
export type AvroRecord = Readonly<Record<string, unknown>>

export interface AvroFile {
  /** The writer's schema, attributes included. */
  readonly schema: AvroComplexSchema
  readonly metadata: ReadonlyMap<string, string>
  readonly records: readonly AvroRecord[]
}

type Avsc = typeof avsc

/** Only writers need it. */
const loadAvsc = async (): Promise<Avsc> => (await import('avsc')).default

const longType = (avro: Avsc): avsc.Type =>
  avro.types.LongType.__with({
    fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const buffer = Buffer.alloc(8)
      buffer.writeBigInt64LE(value)
      return buffer
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  }) as unknown as avsc.Type

/** avsc keeps and changes the object that it is given. */
const typeOf = (avro: Avsc, schema: unknown): avsc.Type => {
  const long = longType(avro)
  // A plain `long` is looked up by name, one with a logical type is not.
  const typeHook = (inner: unknown): avsc.Type | undefined =>
    (inner as { type?: unknown } | null)?.type === 'long' ? long : undefined
  return avro.Type.forSchema(structuredClone(schema) as avsc.Schema, { registry: { long }, typeHook } as object)
}

/** What separates blocks: by the header rather than by chance, so that the same records are the same bytes. */
function syncMarkerOf(header: Readonly<Record<string, Buffer>>): Buffer {
  const hash = createHash('sha256')
  for (const [key, value] of Object.entries(header)) hash.update(`${key}\0${value.length}\0`).update(value)
  return hash.digest().subarray(0, SYNC_BYTES)
}

/** One container file with deflate blocks. */
export async function writeAvro(
  schema: AvroComplexSchema,
  metadata: Readonly<Record<string, string>>,
  records: readonly AvroRecord[],
): Promise<Uint8Array> {
  const avro = await loadAvsc()
  const header: Record<string, Buffer> = { 'avro.schema': Buffer.from(printJson(schema)) }
  for (const [key, value] of Object.entries(metadata)) header[key] = Buffer.from(value)
  const encoder = new avro.streams.BlockEncoder(
    typeOf(avro, schema) as unknown as avsc.Schema,
    {
      codec: 'deflate',
      // Otherwise a file without records would be a file without bytes.
      writeHeader: true,
      metadata: header,
      syncMarker: syncMarkerOf(header),
    } as object,
  )
  const parts: Buffer[] = []
  const done = new Promise<void>((resolve, reject) => {
    encoder.on('data', (part: Buffer) => parts.push(part))
    encoder.on('end', resolve)
    encoder.on('error', reject)
  })
  for (const record of records) encoder.write(record)
  encoder.end()
  await done
  return Buffer.concat(parts)
}

/**
 * Every record of a container file.
 * @param where the file's URL, for messages.
 * @throws {FirnError} `FIRN_AVRO_CORRUPT` (corrupt) for bytes that are no complete container file;
 *   `FIRN_AVRO_CODEC_UNSUPPORTED` (invalid).
 */
export async function readAvro(bytes: Uint8Array, where: string): Promise<AvroFile> {
  const { schema, metadata, blocks } = openAvro(bytes, where)
  const records: AvroRecord[] = []
  try {
    const { read } = new AvroTypes().decoder(schema)
    for await (const { count, data } of blocks()) {
      const cursor = new AvroCursor(data)
      for (let index = 0; index < count; index++) records.push(read(cursor) as AvroRecord)
      if (cursor.remaining !== 0) throw new Error('a block holds more than its records')
    }
  } catch (cause) {
    throw avroCorrupt(where, bytes.length, cause)
  }
  return { schema, metadata, records }
}

/** `["null", T]` with null as default: how Iceberg writes every optional field. */
export const optional = (name: string, fieldId: number, type: AvroSchema): JsonObject => ({
  name,
  'field-id': fieldId,
  default: null,
  type: ['null', type],
})

export const required = (name: string, fieldId: number, type: AvroSchema): JsonObject => ({
  name,
  'field-id': fieldId,
  type,
})

interface AvroFieldSchema {
  readonly name: string
  readonly type: AvroSchema
  readonly 'field-id'?: number
}

/** The schema of the record inside `schema`: the record itself, or the record of `["null", record]`. */
export function recordFields(schema: AvroSchema): readonly AvroFieldSchema[] {
  if (Array.isArray(schema)) return recordFields((schema as readonly AvroSchema[]).find((s) => s !== 'null') ?? 'null')
  const complex = schema as AvroComplexSchema
  if (typeof complex !== 'object') return []
  if (Array.isArray(complex['fields'])) return complex['fields'] as readonly AvroFieldSchema[]
  return typeof complex.type === 'object' ? recordFields(complex.type) : []
}

/** Reads members of a decoded record by field id, never by name: writers differ in names. */
export class AvroFieldReader {
  readonly #names: ReadonlyMap<number, AvroFieldSchema>
  readonly #where: string

  constructor(schema: AvroSchema, where: string) {
    this.#names = new Map(
      recordFields(schema).flatMap((field) => (field['field-id'] === undefined ? [] : [[field['field-id'], field]])),
    )
    this.#where = where
  }

  has(id: number): boolean {
    return this.#names.has(id)
  }

  schemaOf(id: number): AvroSchema {
    const field = this.#names.get(id)
    if (!field) throw this.#missing(id)
    return field.type
  }

  /** The value, or null when the file has no such field. */
  optional(record: AvroRecord, id: number): unknown {
    const field = this.#names.get(id)
    return field === undefined ? null : (record[field.name] ?? null)
  }

  required(record: AvroRecord, id: number): unknown {
    const value = this.optional(record, id)
    if (value === null) throw this.#missing(id)
    return value
  }

  number(record: AvroRecord, id: number): number {
    return Number(this.required(record, id))
  }

  #missing(id: number): FirnError {
    return new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', `${this.#where}: no value for field id ${id}`, {
      detail: { where: this.#where, fieldId: id },
    })
  }
}
