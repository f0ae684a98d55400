/**
 * A dataset definition says what a record of the stream becomes: the table's columns and where each value comes
 * from, the key, the event time, partitioning and sort order. It is plain JSON, so that it can come from a file
 * (`--dataset FILE`), be stored in the table and travel inside a task.
 */
import { z } from 'zod'
import { FirnError } from '../../table/errors.ts'
import { columnsOfGroups } from './feature-groups.ts'

/** Column types that a dataset may use; Iceberg's names. */
export type FieldType = 'string' | 'int' | 'long' | 'double' | 'boolean' | 'date' | 'timestamptz'

export type FeatureName = 'word_count' | 'char_count' | 'sentence_count' | 'content_sha256'

export type FieldSource =
  /** The record's member of the same name, or of the name `member`. */
  | { readonly kind: 'record'; readonly member?: string | undefined }
  /** Computed from the string column `of` (jobs/compaction/enrich/features.ts). */
  | { readonly kind: 'feature'; readonly feature: FeatureName; readonly of: string }
  /** The record's arrival time in the stream, milliseconds widened to microseconds. */
  | { readonly kind: 'arrived_at' }
  /** The planned time of the run that added the row. */
  | { readonly kind: 'compacted_at' }
  /** Order of the record over all streams, as text (jobs/compaction/enrich/origin.ts). */
  | { readonly kind: 'origin' }
  /** The value that the user's module gives for the column (jobs/compaction/enrich/enrichment.ts). */
  | { readonly kind: 'enrichment' }

/** A group of features of the string column `of`; see docs/features.md. */
export type FeatureGroup =
  | {
      readonly group: 'quality'
      readonly of: string
      readonly prefix: string
      /** Whether the rule about English stop words applies. */
      readonly stopWords: 'english' | 'none'
    }
  | { readonly group: 'statistics' | 'near-duplicates'; readonly of: string; readonly prefix: string }
  | { readonly group: 'segmentation'; readonly of: string; readonly prefix: string; readonly locale: string }

/** Where the value of a column comes from, declared or not. */
export type ColumnSource =
  | FieldSource
  /** The value of that name of a group of features. */
  | { readonly kind: 'group'; readonly group: FeatureGroup; readonly value: string }
  /** Number of the definitions of the groups. */
  | { readonly kind: 'feature_version' }

export interface DatasetField {
  readonly name: string
  readonly type: FieldType
  readonly required: boolean
  readonly doc?: string | undefined
  readonly from: FieldSource
}

export interface DatasetDefinition {
  readonly name: string
  readonly fields: readonly DatasetField[]
  /** Column whose equal values are versions of one thing; a required string from the record. */
  readonly key: string
  /** Column that hourly and daily averages are grouped by; without it there are none. */
  readonly eventTime?: string | undefined
  readonly partition: readonly {
    readonly source: string
    readonly transform: string
    readonly name?: string | undefined
  }[]
  readonly sort: readonly {
    readonly source: string
    readonly direction: 'asc' | 'desc'
    readonly nullOrder: 'nulls-first' | 'nulls-last'
  }[]
  /** Larger records are refused as `too_large`. */
  readonly maxRecordBytes: number
  /** Integer column whose mean is reported. */
  readonly averageOf: string
  /** Which versions of a key are one row; without it `run`, `latest`. */
  readonly dedup?: DatasetDedup | undefined
  /** Groups of features, each of which adds columns after the fields. */
  readonly features?: readonly FeatureGroup[] | undefined
}

export interface DatasetDedup {
  /** Among which rows: those of one run, or those of the whole table. */
  readonly scope: 'run' | 'table'
  readonly keep: 'latest' | 'first'
}

export const DEFAULT_DEDUP: DatasetDedup = { scope: 'run', keep: 'latest' }

/** A column of the table: a declared field, or one of a group of features. */
export interface DatasetColumn {
  readonly name: string
  readonly type: FieldType
  readonly required: boolean
  readonly doc?: string | undefined
  readonly from: ColumnSource
}

/** Every column of the table that the definition makes, in the table's order. */
export const columnsOf = (dataset: Pick<DatasetDefinition, 'fields' | 'features'>): readonly DatasetColumn[] => [
  ...dataset.fields,
  ...columnsOfGroups(dataset.features ?? []),
]

/** Kinesis' own limit for one record. */
const MAX_RECORD_BYTES = 10 * 1024 * 1024
/** A record is parsed as one string; this keeps it far from the engine's limits. */
const LARGEST_RECORD_BYTES = 256 * 1024 * 1024

const columnName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and _, not starting with a digit')
const fieldSource = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('record'), member: z.string().min(1).optional() }),
  z.strictObject({
    kind: z.literal('feature'),
    feature: z.enum(['word_count', 'char_count', 'sentence_count', 'content_sha256']),
    of: columnName,
  }),
  z.strictObject({ kind: z.literal('arrived_at') }),
  z.strictObject({ kind: z.literal('compacted_at') }),
  z.strictObject({ kind: z.literal('origin') }),
  z.strictObject({ kind: z.literal('enrichment') }),
])

const groupMembers = { of: columnName, prefix: z.union([z.literal(''), columnName]).default('') }
const featureGroup = z.discriminatedUnion('group', [
  z.strictObject({
    group: z.literal('quality'),
    ...groupMembers,
    stopWords: z.enum(['english', 'none']).default('english'),
  }),
  z.strictObject({ group: z.enum(['statistics', 'near-duplicates']), ...groupMembers }),
  z.strictObject({
    group: z.literal('segmentation'),
    ...groupMembers,
    locale: z.string().refine(isKnownLocale, 'must be a locale that Intl.Segmenter knows, such as "en" or "ja"'),
  }),
])

const shape: z.ZodType<DatasetDefinition> = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9_-]*$/, 'must be lower-case letters, digits, - and _'),
  fields: z
    .array(
      z.strictObject({
        name: columnName,
        type: z.enum(['string', 'int', 'long', 'double', 'boolean', 'date', 'timestamptz']),
        required: z.boolean().default(false),
        doc: z.string().optional(),
        from: fieldSource.default({ kind: 'record' }),
      }),
    )
    .min(1),
  key: columnName,
  eventTime: columnName.optional(),
  partition: z
    .array(
      z.strictObject({
        source: columnName,
        transform: z.string().regex(/^(identity|month|day|hour)$/, 'must be identity, month, day or hour'),
        name: columnName.optional(),
      }),
    )
    .default([]),
  sort: z
    .array(
      z.strictObject({
        source: columnName,
        direction: z.enum(['asc', 'desc']).default('asc'),
        nullOrder: z.enum(['nulls-first', 'nulls-last']).default('nulls-first'),
      }),
    )
    .default([]),
  maxRecordBytes: z.int().min(1).max(LARGEST_RECORD_BYTES).default(MAX_RECORD_BYTES),
  averageOf: columnName.default('word_count'),
  dedup: z
    .strictObject({
      scope: z.enum(['run', 'table']).default('run'),
      keep: z.enum(['latest', 'first']).default('latest'),
    })
    .optional(),
  features: z.array(featureGroup).optional(),
})

/** Without the check another locale, that of the machine, would be taken silently. */
function isKnownLocale(locale: string): boolean {
  try {
    return Intl.Segmenter.supportedLocalesOf([locale]).length === 1
  } catch {
    return false
  }
}

/** Types that the computed sources produce. */
const COMPUTED_TYPES: Readonly<Record<string, FieldType>> = {
  word_count: 'int',
  char_count: 'int',
  sentence_count: 'int',
  content_sha256: 'string',
  arrived_at: 'timestamptz',
  compacted_at: 'timestamptz',
  origin: 'string',
}

/**
 * A checked definition, defaults filled in.
 * @param origin names the definition in messages: a file, a table.
 * @throws {FirnError} `FIRN_DATASET_INVALID` (invalid) listing every fault.
 */
export function parseDataset(json: unknown, origin: string): DatasetDefinition {
  const parsed = shape.safeParse(json)
  const faults = parsed.success
    ? contradictions(parsed.data)
    : parsed.error.issues.map((issue) => `${issue.path.join('.') || 'definition'}: ${issue.message}`)
  if (parsed.success && faults.length === 0) return parsed.data
  throw new FirnError('invalid', 'FIRN_DATASET_INVALID', `dataset definition ${origin}: ${faults.join('; ')}`, {
    help: 'correct the definition; `articles` is the built-in example',
    detail: { origin },
  })
}

/** Faults that a field on its own does not show. */
function contradictions(dataset: DatasetDefinition): string[] {
  const faults: string[] = []
  const fields = new Map(columnsOf(dataset).map((column) => [column.name, column]))
  faults.push(...repeatedNames(dataset), ...groupContradictions(dataset, fields))
  for (const field of dataset.fields) faults.push(...fieldContradictions(field, fields))
  if (dataset.fields.filter((field) => field.from.kind === 'compacted_at').length !== 1)
    faults.push('fields: exactly one must come from compacted_at (delta reads rely on it)')
  const key = fields.get(dataset.key)
  if (key === undefined || key.from.kind !== 'record' || key.type !== 'string' || !key.required)
    faults.push(`key: ${dataset.key} must be a required string field that comes from the record`)
  if (dataset.eventTime !== undefined && fields.get(dataset.eventTime)?.type !== 'timestamptz')
    faults.push(`eventTime: ${dataset.eventTime} must be a timestamptz field`)
  else if (dataset.eventTime !== undefined && fields.get(dataset.eventTime)?.from.kind === 'compacted_at')
    faults.push(`eventTime: ${dataset.eventTime} is the time of the run, which is no event; use arrived_at`)
  if (dataset.dedup?.scope === 'table' && !dataset.fields.some(isOrigin))
    faults.push('dedup: scope table needs a required field from origin, which orders the versions of a key')
  if (fields.get(dataset.averageOf)?.type !== 'int') faults.push(`averageOf: ${dataset.averageOf} must be an int field`)
  const partitionNames = dataset.partition.map((part) => part.name ?? defaultPartitionName(part.source, part.transform))
  if (new Set(partitionNames).size < partitionNames.length) faults.push('partition: names must be unique')
  for (const part of dataset.partition) {
    const type = fields.get(part.source)?.type
    if (type === undefined) faults.push(`partition: no field ${part.source}`)
    else if (!transformFits(part.transform, type))
      faults.push(`partition: ${part.transform}(${part.source}) does not fit type ${type}`)
  }
  for (const sort of dataset.sort) if (!fields.has(sort.source)) faults.push(`sort: no field ${sort.source}`)
  return faults
}

function repeatedNames(dataset: DatasetDefinition): string[] {
  const declared = dataset.fields.map(({ name }) => name)
  if (new Set(declared).size < declared.length) return ['fields: names must be unique']
  const names = columnsOf(dataset).map(({ name }) => name)
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) < index))
  if (repeated.size === 0) return []
  return [`features: column ${[...repeated].join(', ')} would be there twice; give the group another prefix`]
}

function groupContradictions(dataset: DatasetDefinition, fields: ReadonlyMap<string, DatasetColumn>): string[] {
  return (dataset.features ?? []).flatMap(({ group, of }) => {
    const source = fields.get(of)
    if (source?.from.kind === 'record' && source.type === 'string') return []
    return [`features: "of" of ${group} must name a string field that comes from the record, got ${of}`]
  })
}

const isOrigin = ({ from, required }: DatasetField): boolean => from.kind === 'origin' && required

function fieldContradictions(field: DatasetField, fields: ReadonlyMap<string, DatasetColumn>): string[] {
  const faults: string[] = []
  const { from } = field
  // what the user's module gives is checked against any declared type
  if (from.kind === 'record' || from.kind === 'enrichment') return faults
  const produced = COMPUTED_TYPES[from.kind === 'feature' ? from.feature : from.kind]
  if (field.type !== produced) faults.push(`${field.name}: must be of type ${produced}`)
  if (from.kind !== 'feature') return faults
  const source = fields.get(from.of)
  if (source === undefined || source.from.kind !== 'record' || source.type !== 'string')
    faults.push(`${field.name}: "of" must name a string field that comes from the record, got ${from.of}`)
  else if (field.required && !source.required)
    faults.push(`${field.name}: cannot be required while ${from.of} is optional`)
  return faults
}

function transformFits(transform: string, type: FieldType): boolean {
  if (transform === 'identity') return type !== 'double'
  if (transform === 'hour') return type === 'timestamptz'
  return type === 'timestamptz' || type === 'date'
}

/** `arrived_at_day`, as Spark and PyIceberg name it; an identity field keeps the column's name. */
export function defaultPartitionName(source: string, transform: string): string {
  return transform === 'identity' ? source : `${source}_${transform}`
}
