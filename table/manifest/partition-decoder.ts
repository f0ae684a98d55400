/** The partition tuple of a manifest entry from Avro's bytes. Spec: "Manifests", field 102. */
import type { AvroComplexSchema, AvroSchema } from '../format/avro-container.ts'
import { type AvroCursor, AvroDecodeError } from '../format/avro-cursor.ts'
import type { AvroReader, AvroTypes } from '../format/avro-decode.ts'
import type { PartitionSpec, PartitionTuple } from '../spec/partition.ts'
import type { PrimitiveType } from '../spec/types.ts'
import { avroName, valueFromAvro } from './partition-avro.ts'

export interface PartitionContext {
  readonly specId: number
  readonly spec: PartitionSpec
  /** Of each field of the spec, as the table has it now: values of a column promoted since are widened. */
  readonly types: readonly PrimitiveType[]
}

interface PartitionFieldSchema {
  readonly name: string
  readonly type: AvroSchema
  readonly 'field-id'?: number
}

/** Files of one partition share one tuple, found by the bytes it was written in. */
export function compilePartition(
  schema: AvroSchema,
  types: AvroTypes,
  { spec, types: targets }: PartitionContext,
): (cursor: AvroCursor) => PartitionTuple {
  const { fields } = schema as AvroComplexSchema
  if (!Array.isArray(fields)) throw new AvroDecodeError('its schema has a partition that is no record')
  const members = (fields as readonly PartitionFieldSchema[]).map((field) => ({
    index: positionOf(spec, field),
    ...types.decoder(field.type),
  }))
  const known = new Map<string, PartitionTuple>()
  let last: PartitionTuple | undefined
  let lastBytes: Buffer | undefined
  return (cursor) => {
    const start = cursor.position
    for (const { skip } of members) skip(cursor)
    const bytes = cursor.bytes.subarray(start, cursor.position)
    if (last !== undefined && lastBytes!.equals(bytes)) return last
    const key = bytes.toString('latin1')
    let tuple = known.get(key)
    if (tuple === undefined) {
      cursor.position = start
      tuple = decodeTuple(cursor, members, targets)
      known.set(key, tuple)
    }
    last = tuple
    lastBytes = bytes
    return tuple
  }
}

function decodeTuple(
  cursor: AvroCursor,
  members: readonly { readonly index: number; readonly read: AvroReader }[],
  types: readonly PrimitiveType[],
): PartitionTuple {
  const tuple = types.map((): ReturnType<typeof valueFromAvro> => null)
  for (const { index, read } of members) {
    const value = read(cursor)
    if (index >= 0) tuple[index] = valueFromAvro(types[index]!, value)
  }
  return tuple
}

/** By field id; a writer that gave none is taken by name. */
function positionOf(spec: PartitionSpec, field: PartitionFieldSchema): number {
  const id = field['field-id']
  return spec.fields.findIndex((own) =>
    id === undefined ? own.name === field.name || avroName(own.name) === field.name : own.fieldId === id,
  )
}
