/**
 * The second reader of manifests: whole records decoded by avsc, then taken apart by field id. Slow and plain, and
 * shares no line with the reader under test except the conversion of partition values.
 */
import avro from 'avsc'
import type { AvroComplexSchema, AvroSchema } from '../../../table/format/avro.ts'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { ManifestEntry } from '../../../table/manifest/manifest-entry.ts'
import { valueFromAvro } from '../../../table/manifest/partition-avro.ts'
import { type PartitionSpec, partitionTypes } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'

type Row = Readonly<Record<string, unknown>>
interface Field {
  readonly name: string
  readonly type: AvroSchema
  readonly 'field-id'?: number
}

const long = avro.types.LongType.__with({
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
}) as unknown as avro.Type

export const avscType = (schema: unknown): avro.Type =>
  avro.Type.forSchema(
    structuredClone(schema) as avro.Schema,
    {
      registry: { long },
      wrapUnions: false,
      typeHook: (inner: unknown) => ((inner as { type?: unknown } | null)?.type === 'long' ? long : undefined),
    } as object,
  )

export async function avscRecords(bytes: Uint8Array): Promise<{ schema: AvroComplexSchema; rows: Row[] }> {
  let schema: AvroComplexSchema | undefined
  const rows: Row[] = []
  const parseHook = (own: unknown): avro.Type => {
    schema = structuredClone(own) as AvroComplexSchema
    return avscType(own)
  }
  const decoder = new avro.streams.BlockDecoder({ parseHook } as object)
  await new Promise<void>((resolve, reject) => {
    decoder
      .on('data', (row: Row) => rows.push(row))
      .on('end', resolve)
      .on('error', reject)
    decoder.end(Buffer.from(bytes))
  })
  return { schema: schema!, rows }
}

const bare = (schema: AvroSchema): AvroComplexSchema =>
  (Array.isArray(schema) ? schema.find((branch) => branch !== 'null') : schema) as AvroComplexSchema
const fieldsOf = (schema: AvroSchema): readonly Field[] => (bare(schema)['fields'] ?? []) as readonly Field[]

const memberOf =
  (schema: AvroSchema, row: Row) =>
  (id: number): unknown => {
    const field = fieldsOf(schema).find((candidate) => candidate['field-id'] === id)
    return field === undefined ? null : (row[field.name] ?? null)
  }

export async function oracleEntries(bytes: Uint8Array, spec: PartitionSpec, now: Schema): Promise<ManifestEntry[]> {
  const { schema, rows } = await avscRecords(bytes)
  const fileSchema = fieldsOf(schema).find((field) => field['field-id'] === 2)!.type
  const ofFile = (id: number): AvroSchema => fieldsOf(fileSchema).find((field) => field['field-id'] === id)!.type
  const types = partitionTypes(spec, now)
  return rows.map((row) => {
    const entry = memberOf(schema, row)
    const file = memberOf(fileSchema, entry(2) as Row)
    const map = (id: number): ReadonlyMap<number, never> => {
      const items = (file(id) ?? []) as Row[]
      if (items.length === 0) return new Map<number, never>()
      const [key, value] = fieldsOf(bare(ofFile(id))['items'] as AvroSchema)
      return new Map(items.map((item) => [Number(item[key!.name]), item[value!.name] as never]))
    }
    const counts = (id: number): Map<number, number> =>
      new Map([...map(id)].map(([key, value]) => [key, Number(value)]))
    const bounds = (id: number): Map<number, Uint8Array> =>
      new Map([...map(id)].map(([key, value]) => [key, Uint8Array.from(value)]))
    const some = (name: string, id: number, to: (value: never) => unknown = Number): object =>
      file(id) === null ? {} : { [name]: to(file(id) as never) }
    const partition = memberOf(ofFile(102), file(102) as Row)
    const numberOr = (value: unknown): number | undefined => (value === null ? undefined : Number(value))
    return {
      status: (['existing', 'added', 'deleted'] as const)[Number(entry(0))]!,
      snapshotId: entry(1) === null ? undefined : snapshotId(BigInt(entry(1) as bigint)),
      sequenceNumber: numberOr(entry(3)),
      fileSequenceNumber: numberOr(entry(4)),
      dataFile: {
        content: (['data', 'position-deletes', 'equality-deletes'] as const)[Number(file(134) ?? 0)]!,
        filePath: file(100) as string,
        fileFormat: (file(101) as string).toUpperCase(),
        specId: spec.specId,
        partition: spec.fields.map((field, index) => valueFromAvro(types[index]!, partition(field.fieldId))),
        recordCount: Number(file(103)),
        fileSizeBytes: Number(file(104)),
        columnSizes: counts(108),
        valueCounts: counts(109),
        nullValueCounts: counts(110),
        nanValueCounts: counts(137),
        lowerBounds: bounds(125),
        upperBounds: bounds(128),
        splitOffsets: ((file(132) ?? []) as bigint[]).map(Number),
        equalityIds: ((file(135) ?? []) as number[]).map(Number),
        ...some('sortOrderId', 140),
        ...some('referencedDataFile', 143, String),
        ...some('contentOffset', 144),
        ...some('contentSizeBytes', 145),
        ...some('firstRowId', 142),
        ...some('keyMetadata', 131, (value) => Uint8Array.from(value)),
      } as DataFile,
    }
  })
}

/** With statistics as plain maps: those of a read entry are decoded when asked. */
export const plain = (entries: readonly ManifestEntry[]): readonly ManifestEntry[] =>
  entries.map(({ dataFile, ...rest }) => ({
    ...rest,
    dataFile: {
      ...dataFile,
      columnSizes: new Map(dataFile.columnSizes),
      valueCounts: new Map(dataFile.valueCounts),
      nullValueCounts: new Map(dataFile.nullValueCounts),
      nanValueCounts: new Map(dataFile.nanValueCounts),
      lowerBounds: new Map(dataFile.lowerBounds),
      upperBounds: new Map(dataFile.upperBounds),
    },
  }))
