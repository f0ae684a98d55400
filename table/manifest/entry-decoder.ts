/**
 * Manifest entries straight from Avro's bytes. A plan reads entries by the hundred thousand, so that this skips what
 * nobody asks for, keeps statistics as bytes (`lazy-stats.ts`) and shares what repeats. Members are found by field id
 * in the writer's schema, in whatever order, under whatever name. Spec: "Manifests".
 */
import type { AvroComplexSchema, AvroSchema, LaterBytes } from '../format/avro-container.ts'
import { type AvroCursor, AvroDecodeError } from '../format/avro-cursor.ts'
import { AvroTypes } from '../format/avro-decode.ts'
import { type SnapshotId, snapshotId } from '../ids.ts'
import { type DataFile, FILE_CONTENTS } from './data-file.ts'
import {
  type Draft,
  expectType,
  listStep,
  numberStep,
  optionalStep,
  recordStep,
  resetDraft,
  type Step,
  statsStep,
  textStep,
} from './entry-steps.ts'
import { LazyBounds, LazyCounts, readBytes, skipBytes } from './lazy-stats.ts'
import type { EntryStatus, ManifestEntry } from './manifest-entry.ts'
import { compilePartition, type PartitionContext } from './partition-decoder.ts'

export const STATUSES: readonly EntryStatus[] = ['existing', 'added', 'deleted']

/**
 * @returns reads one entry. It throws `AvroDecodeError` for bytes that are none.
 * @throws {AvroDecodeError} for a schema that holds a member in a type that it cannot have.
 */
export function compileEntries(
  schema: AvroComplexSchema,
  context: PartitionContext,
): (cursor: AvroCursor, block: LaterBytes) => ManifestEntry {
  const types = new AvroTypes()
  // Defines every named type, in document order.
  types.decoder(schema)
  const fileSteps = (type: AvroSchema): Step =>
    recordStep(type, types, (id, inner) => fileStep(id, inner, types, context))
  const entry = recordStep(schema, types, (id, type) => (id === 2 ? fileSteps(type) : entryStep(id, type)))
  // One for all entries: what is read of an entry is copied out of it.
  const draft = {} as Draft
  return (cursor, block) => {
    resetDraft(draft, block)
    entry(cursor, draft)
    return finish(draft, context.specId)
  }
}

function entryStep(id: number | undefined, schema: AvroSchema): Step | undefined {
  switch (id) {
    case 0:
      return numberStep(id, schema, (draft, value) => {
        draft.status = STATUSES[value]
      })
    case 1:
      return optionalStep(schema, (type) => {
        expectType(id, type, 'int', 'long')
        // Nearly always that of the entry before: a bigint that is shared is not made again.
        let last: { readonly key: number; readonly value: SnapshotId } | undefined
        return (cursor, draft) => {
          const start = cursor.position
          const key = cursor.number()
          if (last === undefined || last.key !== key || !Number.isSafeInteger(key)) {
            cursor.position = start
            const value = snapshotId(cursor.long())
            last = last !== undefined && last.value === value ? last : { key, value }
          }
          draft.snapshotId = last.value
        }
      })
    case 3:
      return numberStep(id, schema, (draft, value) => {
        draft.sequenceNumber = value
      })
    case 4:
      return numberStep(id, schema, (draft, value) => {
        draft.fileSequenceNumber = value
      })
    default:
      return undefined
  }
}

type NumberMember =
  | 'recordCount'
  | 'fileSizeBytes'
  | 'sortOrderId'
  | 'firstRowId'
  | 'contentOffset'
  | 'contentSizeBytes'
const NUMBERS: ReadonlyMap<number, NumberMember> = new Map([
  [103, 'recordCount'],
  [104, 'fileSizeBytes'],
  [140, 'sortOrderId'],
  [142, 'firstRowId'],
  [144, 'contentOffset'],
  [145, 'contentSizeBytes'],
])
const COUNTS: ReadonlyMap<number, 'columnSizes' | 'valueCounts' | 'nullValueCounts' | 'nanValueCounts'> = new Map([
  [108, 'columnSizes'],
  [109, 'valueCounts'],
  [110, 'nullValueCounts'],
  [137, 'nanValueCounts'],
])
const BOUNDS: ReadonlyMap<number, 'lowerBounds' | 'upperBounds'> = new Map([
  [125, 'lowerBounds'],
  [128, 'upperBounds'],
])

function fileStep(
  id: number | undefined,
  schema: AvroSchema,
  types: AvroTypes,
  context: PartitionContext,
): Step | undefined {
  if (id === undefined) return undefined
  const number = NUMBERS.get(id)
  if (number !== undefined) {
    return numberStep(id, schema, (draft, value) => {
      draft[number] = value
    })
  }
  const counts = COUNTS.get(id)
  if (counts !== undefined) {
    return statsStep(
      id,
      schema,
      ['int', 'long'],
      LazyCounts,
      (cursor) => cursor.skipNumber(),
      (draft, value) => {
        draft[counts] = value
      },
    )
  }
  const bounds = BOUNDS.get(id)
  if (bounds !== undefined) {
    return statsStep(id, schema, ['bytes', 'string'], LazyBounds, skipBytes, (draft, value) => {
      draft[bounds] = value
    })
  }
  return otherFileStep(id, schema, types, context)
}

function otherFileStep(id: number, schema: AvroSchema, types: AvroTypes, context: PartitionContext): Step | undefined {
  switch (id) {
    case 134:
      return numberStep(id, schema, (draft, value) => {
        const content = FILE_CONTENTS[value]
        if (content === undefined) throw new AvroDecodeError('a file has an unknown content type')
        draft.content = content
      })
    case 100:
      return textStep(id, schema, (draft, value) => {
        draft.filePath = value
      })
    case 101: {
      const shared = sharedText()
      return textStep(id, schema, (draft, value) => {
        draft.fileFormat = shared(value)
      })
    }
    case 102:
      return optionalStep(schema, (type) => {
        const read = compilePartition(type, types, context)
        return (cursor, draft) => {
          draft.partition = read(cursor)
        }
      })
    case 131:
      return optionalStep(schema, (type) => {
        expectType(id, type, 'bytes')
        return (cursor, draft) => {
          draft.keyMetadata = readBytes(cursor)
        }
      })
    case 132:
      return listStep(id, schema, (draft, value) => {
        draft.splitOffsets = value
      })
    case 135:
      return listStep(id, schema, (draft, value) => {
        draft.equalityIds = value
      })
    case 143:
      return textStep(id, schema, (draft, value) => {
        draft.referencedDataFile = value
      })
    default:
      return undefined
  }
}

/** `PARQUET` over and over, as one string. */
function sharedText(): (value: string) => string {
  let [last, upper] = ['', '']
  return (value) => {
    if (value !== last) [last, upper] = [value, value.toUpperCase()]
    return upper
  }
}

function need<T>(value: T | undefined, id: number): T {
  if (value === undefined) throw new AvroDecodeError(`no value for field id ${id}`)
  return value
}

function finish(draft: Draft, specId: number): ManifestEntry {
  const dataFile: { -readonly [K in keyof DataFile]: DataFile[K] } = {
    content: draft.content,
    filePath: need(draft.filePath, 100),
    fileFormat: need(draft.fileFormat, 101),
    specId,
    partition: need(draft.partition, 102),
    recordCount: need(draft.recordCount, 103),
    fileSizeBytes: need(draft.fileSizeBytes, 104),
    columnSizes: draft.columnSizes,
    valueCounts: draft.valueCounts,
    nullValueCounts: draft.nullValueCounts,
    nanValueCounts: draft.nanValueCounts,
    lowerBounds: draft.lowerBounds,
    upperBounds: draft.upperBounds,
    splitOffsets: draft.splitOffsets,
    equalityIds: draft.equalityIds,
  }
  if (draft.sortOrderId !== undefined) dataFile.sortOrderId = draft.sortOrderId
  if (draft.referencedDataFile !== undefined) dataFile.referencedDataFile = draft.referencedDataFile
  if (draft.contentOffset !== undefined) dataFile.contentOffset = draft.contentOffset
  if (draft.contentSizeBytes !== undefined) dataFile.contentSizeBytes = draft.contentSizeBytes
  if (draft.firstRowId !== undefined) dataFile.firstRowId = draft.firstRowId
  if (draft.keyMetadata !== undefined) dataFile.keyMetadata = draft.keyMetadata
  return {
    status: need(draft.status, 0),
    snapshotId: draft.snapshotId,
    sequenceNumber: draft.sequenceNumber,
    fileSequenceNumber: draft.fileSequenceNumber,
    dataFile,
  }
}
