/**
 * Partition evolution as a pure function. A partition field keeps its id over all specs of the table. Spec: "Partition
 * Evolution"; names and re-use of ids as Java's BaseUpdatePartitionSpec has them.
 */
import { assertNever, FirnError } from '../errors.ts'
import { currentSchema, defaultSpec, type TableMetadata } from './metadata.ts'
import type { PartitionField, PartitionSpec } from './partition.ts'
import { fieldByPath, fieldChain, fieldPathText, findField, primitiveTypeOf, type Schema } from './schema.ts'
import { canApply, parseTransform, type Transform, transformResultType } from './transform.ts'
import { fixedLengthOf, isPrimitive } from './types.ts'

export type SpecChange =
  /** @param source dotted path of a column. @param name default: as Java names it, `ts_day`, `id_bucket_16`. */
  | { readonly add: { readonly source: string; readonly transform: Transform; readonly name?: string } }
  /** Partition fields by name. Files that are there keep the spec they were written with. */
  | { readonly drop: string }
  | { readonly rename: string; readonly to: string }

export interface EvolvedSpec {
  /** An older spec of the table when it has the same fields. */
  readonly spec: PartitionSpec
  readonly lastPartitionId: number
}

interface Draft {
  readonly fields: PartitionField[]
  /** Ids of fields of the current spec that a change dropped; their place is kept until the end. */
  readonly dropped: Set<number>
  readonly added: PartitionField[]
  lastPartitionId: number
}

/**
 * The default spec of `metadata` after `changes`.
 * @throws {FirnError} `FIRN_SPEC_CHANGE_INVALID`, `FIRN_COLUMN_NOT_FOUND` (invalid).
 */
export function evolveSpec(metadata: TableMetadata, changes: readonly SpecChange[]): EvolvedSpec {
  const base = defaultSpec(metadata)
  const unknown = base.fields.find((field) => parseTransform(field.transform) === undefined)
  if (unknown !== undefined) {
    throw invalid(`partition field ${unknown.name} has the unknown transform ${unknown.transform}`)
  }
  const ids = metadata.partitionSpecs.flatMap((spec) => spec.fields.map((field) => field.fieldId))
  const draft: Draft = {
    fields: [...base.fields],
    dropped: new Set(),
    added: [],
    lastPartitionId: Math.max(metadata.lastPartitionId, ...ids),
  }
  for (const change of changes) {
    if ('add' in change) addField(metadata, draft, change.add)
    else if ('drop' in change) dropField(draft, change.drop)
    else if ('rename' in change) renameField(draft, change.rename, change.to)
    else assertNever(change)
  }
  const kept = draft.fields.flatMap((field) => {
    if (!draft.dropped.has(field.fieldId)) return [field]
    // Ids of version 1 count the fields of a spec: a place once taken stays taken.
    return metadata.formatVersion === 1 ? [{ ...field, transform: 'void' }] : []
  })
  const fields = [...kept, ...draft.added]
  checkNames(currentSchema(metadata), fields)
  const equal = [base, ...metadata.partitionSpecs].find((spec) => sameFields(spec.fields, fields))
  if (equal !== undefined) return { spec: equal, lastPartitionId: metadata.lastPartitionId }
  const specId = Math.max(...metadata.partitionSpecs.map((spec) => spec.specId)) + 1
  return { spec: { specId, fields }, lastPartitionId: draft.lastPartitionId }
}

const sameFields = (a: readonly PartitionField[], b: readonly PartitionField[]): boolean =>
  a.length === b.length &&
  a.every((field, index) => {
    const other = b[index]!
    return sameTerm(field, other.sourceId, other.transform) && field.name === other.name
  })

const sameTerm = (field: PartitionField, sourceId: number, transform: Transform): boolean =>
  field.sourceId === sourceId && field.transform.toLowerCase() === transform.toLowerCase()

function addField(
  metadata: TableMetadata,
  draft: Draft,
  change: { source: string; transform: Transform; name?: string },
) {
  const schema = currentSchema(metadata)
  const { sourceId, transform } = resolveTerm(schema, change.source, change.transform, invalid)
  // Java does not read such partition values back.
  const type = primitiveTypeOf(schema, sourceId)
  if (fixedLengthOf(transformResultType(transform, type)) !== undefined) {
    throw invalid(`column ${change.source} is ${type}, which cannot be partitioned by`, 'Use bucket[N] of it.')
  }
  const existing = draft.fields.find((field) => sameTerm(field, sourceId, transform))
  if (existing !== undefined && draft.dropped.has(existing.fieldId)) {
    draft.dropped.delete(existing.fieldId)
    if (change.name !== undefined) renameField(draft, existing.name, change.name)
    return
  }
  const taken = existing ?? draft.added.find((field) => sameTerm(field, sourceId, transform))
  if (taken !== undefined) throw invalid(`${transform} of ${change.source} is there already, as ${taken.name}`)
  // Two in one change are redundant; a coarser or finer one beside an older one is how granularity changes.
  const isTime = (text: Transform): boolean => ['year', 'month', 'day', 'hour'].includes(parseTransform(text)!.kind)
  const redundant = draft.added.find((field) => field.sourceId === sourceId && isTime(field.transform))
  if (redundant !== undefined && isTime(transform)) {
    throw invalid(`${transform} of ${change.source} is redundant beside ${redundant.transform} of the same column`)
  }
  const added = recycled(metadata, sourceId, transform, change.name) ?? {
    sourceId,
    fieldId: ++draft.lastPartitionId,
    name: change.name ?? defaultName(schema, sourceId, transform),
    transform,
  }
  makeRoom(draft, added.name)
  draft.added.push(added)
}

/** The field that had this meaning in an older spec, so that files of both specs share its id. */
function recycled(
  metadata: TableMetadata,
  sourceId: number,
  transform: Transform,
  name: string | undefined,
): PartitionField | undefined {
  if (metadata.formatVersion === 1) return undefined
  return metadata.partitionSpecs
    .flatMap((spec) => spec.fields)
    .find((field) => sameTerm(field, sourceId, transform) && (name === undefined || field.name === name))
}

/** A dropped field of version 1 stays as `void` and gives up its name. */
function makeRoom(draft: Draft, name: string): void {
  const index = draft.fields.findIndex((field) => field.name === name)
  const holder = draft.fields[index]
  if (holder === undefined) return
  const isVoid = parseTransform(holder.transform)?.kind === 'void'
  if (!isVoid && !draft.dropped.has(holder.fieldId)) throw invalid(`there is a partition field ${name} already`)
  draft.fields[index] = { ...holder, name: `${holder.name}_${holder.fieldId}` }
}

function dropField(draft: Draft, name: string): void {
  if (draft.added.some((field) => field.name === name)) throw invalid(`${name} is added in the same change`)
  draft.dropped.add(liveField(draft, name).fieldId)
}

function renameField(draft: Draft, name: string, to: string): void {
  const field = liveField(draft, name)
  if (name === to) return
  if (to === '') throw invalid('a partition field needs a name')
  makeRoom(draft, to)
  draft.fields[draft.fields.indexOf(field)] = { ...field, name: to }
}

function liveField(draft: Draft, name: string): PartitionField {
  const field = draft.fields.find((one) => one.name === name && !draft.dropped.has(one.fieldId))
  if (field !== undefined) return field
  const names = draft.fields.map((one) => one.name).join(', ')
  throw invalid(`there is no partition field ${name}`, `The partition fields are: ${names || 'none'}`)
}

function defaultName(schema: Schema, sourceId: number, transform: Transform): string {
  const column = fieldPathText(schema, sourceId)
  const known = parseTransform(transform)!
  if (known.kind === 'identity') return column
  if (known.kind === 'bucket') return `${column}_bucket_${known.buckets}`
  if (known.kind === 'truncate') return `${column}_trunc_${known.width}`
  return `${column}_${known.kind === 'void' ? 'null' : known.kind}`
}

function checkNames(schema: Schema, fields: readonly PartitionField[]): void {
  const names = new Set<string>()
  for (const field of fields) {
    if (names.has(field.name)) throw invalid(`two partition fields would be named ${field.name}`)
    names.add(field.name)
    const column = findField(schema.fields, field.name)
    const isIdentity = parseTransform(field.transform)?.kind === 'identity' && column?.id === field.sourceId
    if (column !== undefined && !isIdentity) {
      throw invalid(`partition field ${field.name} would have the name of a column`, 'Give it another name.')
    }
  }
}

/** A column and a transform that fits it, for partition fields and sort orders. */
export function resolveTerm(
  schema: Schema,
  source: string,
  transform: Transform,
  refuse: (message: string, help?: string) => FirnError,
): { readonly sourceId: number; readonly transform: Transform } {
  const field = fieldByPath(schema, source)
  const inStructs = fieldChain(schema, field.id)!
    .slice(0, -1)
    .every((above) => !isPrimitive(above.type) && above.type.type === 'struct')
  if (!isPrimitive(field.type) || !inStructs) {
    throw refuse(`column ${source} is nested, or inside a list or map`, 'Use a column with one value in each row.')
  }
  if (parseTransform(transform) === undefined) {
    throw refuse(
      `there is no transform ${transform}`,
      'Use identity, year, month, day, hour, bucket[N], truncate[N] or void.',
    )
  }
  if (!canApply(transform, field.type)) throw refuse(`${transform} does not apply to ${source}, which is ${field.type}`)
  return { sourceId: field.id, transform: transform.toLowerCase() }
}

function invalid(message: string, help?: string): FirnError {
  return new FirnError('invalid', 'FIRN_SPEC_CHANGE_INVALID', `partition change: ${message}`, {
    ...(help === undefined ? {} : { help }),
  })
}
