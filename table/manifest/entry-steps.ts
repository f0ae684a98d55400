/** Steps of the entry decoder: each reads one member of a manifest entry by the writer's type into the draft. */
import type { AvroComplexSchema, AvroSchema, LaterBytes } from '../format/avro-container.ts'
import { type AvroCursor, AvroDecodeError } from '../format/avro-cursor.ts'
import type { AvroSkipper, AvroTypes } from '../format/avro-decode.ts'
import type { SnapshotId } from '../ids.ts'
import type { PartitionTuple } from '../spec/partition.ts'
import type { FileContent } from './data-file.ts'
import { noStats } from './lazy-stats.ts'
import type { EntryStatus } from './manifest-entry.ts'

type Counts = ReadonlyMap<number, number>
type Bounds = ReadonlyMap<number, Uint8Array>

/** The entry being read. */
export interface Draft {
  /** That the entry is read from. */
  block: LaterBytes
  status: EntryStatus | undefined
  snapshotId: SnapshotId | undefined
  sequenceNumber: number | undefined
  fileSequenceNumber: number | undefined
  content: FileContent
  filePath: string | undefined
  fileFormat: string | undefined
  partition: PartitionTuple | undefined
  recordCount: number | undefined
  fileSizeBytes: number | undefined
  columnSizes: Counts
  valueCounts: Counts
  nullValueCounts: Counts
  nanValueCounts: Counts
  lowerBounds: Bounds
  upperBounds: Bounds
  splitOffsets: readonly number[]
  equalityIds: readonly number[]
  sortOrderId: number | undefined
  referencedDataFile: string | undefined
  contentOffset: number | undefined
  contentSizeBytes: number | undefined
  firstRowId: number | undefined
  keyMetadata: Uint8Array | undefined
}

export type Step = (cursor: AvroCursor, draft: Draft) => void

const NO_NUMBERS: readonly number[] = []

/** For the next entry. */
export function resetDraft(draft: Draft, block: LaterBytes): void {
  draft.block = block
  draft.status = undefined
  draft.snapshotId = undefined
  draft.sequenceNumber = undefined
  draft.fileSequenceNumber = undefined
  draft.content = 'data'
  draft.filePath = undefined
  draft.fileFormat = undefined
  draft.partition = undefined
  draft.recordCount = undefined
  draft.fileSizeBytes = undefined
  draft.columnSizes = noStats()
  draft.valueCounts = noStats()
  draft.nullValueCounts = noStats()
  draft.nanValueCounts = noStats()
  draft.lowerBounds = noStats()
  draft.upperBounds = noStats()
  draft.splitOffsets = NO_NUMBERS
  draft.equalityIds = NO_NUMBERS
  draft.sortOrderId = undefined
  draft.referencedDataFile = undefined
  draft.contentOffset = undefined
  draft.contentSizeBytes = undefined
  draft.firstRowId = undefined
  draft.keyMetadata = undefined
}

/** The fields of a record one after the other; those without a step are skipped. */
export function recordStep(
  schema: AvroSchema,
  types: AvroTypes,
  stepOf: (id: number | undefined, type: AvroSchema) => Step | undefined,
): Step {
  return optionalStep(schema, (type) => {
    const { fields } = type as AvroComplexSchema
    if (!Array.isArray(fields)) throw new AvroDecodeError('its schema has no record where one belongs')
    const steps = fields.map((field: { readonly 'field-id'?: number; readonly type: AvroSchema }): Step => {
      const step = stepOf(field['field-id'], field.type)
      if (step !== undefined) return step
      const { skip } = types.decoder(field.type)
      return (cursor) => skip(cursor)
    })
    return (cursor, draft) => {
      for (let index = 0; index < steps.length; index++) steps[index]!(cursor, draft)
    }
  })
}

/** A union with null, in either order: null leaves the draft as it is. */
export function optionalStep(schema: AvroSchema, stepOf: (type: AvroSchema) => Step): Step {
  if (Array.isArray(schema)) {
    const branches = (schema as readonly AvroSchema[]).map((branch): Step | undefined =>
      branch === 'null' ? undefined : optionalStep(branch, stepOf),
    )
    return (cursor, draft) => {
      const branch = cursor.number()
      if (!(branch >= 0 && branch < branches.length)) {
        throw new AvroDecodeError('a union has a branch that its schema does not have')
      }
      branches[branch]?.(cursor, draft)
    }
  }
  const { type } = schema as AvroComplexSchema
  return typeof type === 'object' && !Array.isArray(type) ? optionalStep(type, stepOf) : stepOf(schema)
}

const nameOf = (schema: AvroSchema): string =>
  typeof schema === 'string' ? schema : String((schema as AvroComplexSchema).type)

export function expectType(id: number, schema: AvroSchema, ...allowed: readonly string[]): void {
  if (allowed.includes(nameOf(schema))) return
  throw new AvroDecodeError(`field id ${id} has the type ${nameOf(schema)}, expected ${allowed.join(' or ')}`)
}

export const numberStep = (id: number, schema: AvroSchema, set: (draft: Draft, value: number) => void): Step =>
  optionalStep(schema, (type) => {
    expectType(id, type, 'int', 'long')
    return (cursor, draft) => set(draft, cursor.number())
  })

export const textStep = (id: number, schema: AvroSchema, set: (draft: Draft, value: string) => void): Step =>
  optionalStep(schema, (type) => {
    expectType(id, type, 'string', 'bytes')
    return (cursor, draft) => set(draft, cursor.string())
  })

function itemsOf(id: number, schema: AvroSchema): AvroSchema {
  expectType(id, schema, 'array')
  return (schema as AvroComplexSchema)['items'] as AvroSchema
}

/** A map that Avro stores as an array of records of key and value, whatever the writer named them. */
export function statsStep<V>(
  id: number,
  schema: AvroSchema,
  valueTypes: readonly string[],
  lazy: new (block: LaterBytes, start: number) => ReadonlyMap<number, V>,
  skip: AvroSkipper,
  set: (draft: Draft, value: ReadonlyMap<number, V>) => void,
): Step {
  return optionalStep(schema, (type) => {
    const { fields } = itemsOf(id, type) as AvroComplexSchema
    const [key, value] = Array.isArray(fields) ? (fields as readonly { readonly type: AvroSchema }[]) : []
    if (key === undefined || value === undefined || (fields as readonly unknown[]).length !== 2) {
      throw new AvroDecodeError(`field id ${id} is no array of keys and values`)
    }
    expectType(id, key.type, 'int', 'long')
    expectType(id, value.type, ...valueTypes)
    return (cursor, draft) => {
      const start = cursor.position
      let some = false
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        some = true
        for (let index = 0; index < count; index++) {
          cursor.skipNumber()
          skip(cursor)
          if (cursor.position > cursor.bytes.length) cursor.check()
        }
      }
      set(draft, some ? new lazy(draft.block, start) : noStats())
    }
  })
}

export function listStep(id: number, schema: AvroSchema, set: (draft: Draft, value: readonly number[]) => void): Step {
  return optionalStep(schema, (type) => {
    expectType(id, itemsOf(id, type), 'int', 'long')
    let last: readonly number[] = NO_NUMBERS
    return (cursor, draft) => {
      const values: number[] = []
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        for (let index = 0; index < count; index++) values.push(cursor.number())
      }
      // Files of one row group all begin it at 4.
      if (values.length !== 1 || last.length !== 1 || last[0] !== values[0]) last = values
      set(draft, last)
    }
  })
}
