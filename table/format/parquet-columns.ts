/**
 * Which columns of a file are which fields of the table: by field id at every depth, never by name or position, and
 * how a file's physical type becomes the table's. Spec: "Column Projection", "Schema Evolution", Appendix A "Parquet".
 */
import { assertNever, FirnError } from '../errors.ts'
import {
  decimalOf,
  fixedLengthOf,
  type IcebergType,
  isPrimitive,
  type ListType,
  type MapType,
  type NestedField,
  type PrimitiveType,
  type PrimitiveValue,
} from '../spec/types.ts'
import { elementField, entryFields } from './arrow-schema.ts'
import { corruptParquet } from './parquet-corrupt.ts'
import type { FileNode } from './parquet-footer.ts'

/** One physical value as the table's type wants it; `undefined` when it is so already. */
export type Convert = ((value: PhysicalValue) => PhysicalValue) | undefined
export type PhysicalValue = number | bigint | boolean | Uint8Array

/** How a field's column is made from the file. */
export type ColumnPlan =
  /** Not in the file: the same value in every row. */
  | { readonly kind: 'constant'; readonly field: NestedField; readonly value: PrimitiveValue }
  | { readonly kind: 'leaf'; readonly field: NestedField; readonly node: FileNode; readonly convert: Convert }
  | {
      readonly kind: 'struct'
      readonly field: NestedField
      readonly node: FileNode
      readonly children: readonly ColumnPlan[]
    }
  /** `repeated`: whose levels say how many items there are. A map's item is a struct of key and value. */
  | {
      readonly kind: 'list' | 'map'
      readonly field: NestedField
      readonly node: FileNode
      readonly repeated: FileNode
      readonly item: ColumnPlan
    }

export interface ColumnOptions {
  /** Values of columns that are not in the file, by field id: what the partition tuple says under `identity`. */
  readonly constants?: ReadonlyMap<number, PrimitiveValue>
  /** Names the file, for messages. */
  readonly where: string
}

/**
 * @param siblings columns among which the field's is.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt) when the file cannot hold values of the field's type;
 *   `FIRN_TYPE_UNSUPPORTED`.
 */
export function planColumn(
  field: NestedField,
  siblings: readonly FileNode[],
  options: ColumnOptions,
  path: string = field.name,
): ColumnPlan {
  const node = siblings.find((candidate) => candidate.fieldId === field.id)
  if (node !== undefined) return planNode(field, node, options, path)
  const constant = options.constants?.get(field.id)
  const value = constant === undefined ? (field.initialDefault ?? null) : constant
  if (value === null && field.required) {
    throw corrupt(options, `required column ${path} (id ${field.id}) is not in the file`)
  }
  return { kind: 'constant', field, value }
}

/** Every leaf that the plan reads, by its index in the file. */
export function leavesOf(plan: ColumnPlan): readonly number[] {
  switch (plan.kind) {
    case 'constant':
      return []
    case 'leaf':
      return [plan.node.leaf!.index]
    case 'struct':
      return [levelLeaf(plan).leaf!.index, ...plan.children.flatMap(leavesOf)]
    case 'list':
    case 'map':
      return [levelLeaf(plan).leaf!.index, ...leavesOf(plan.item)]
    default:
      return assertNever(plan)
  }
}

/**
 * The leaf whose levels say where the nested value `plan` is null or empty: one that is read anyway, or else, when no
 * field of the table is left in the file's group, its least nested leaf.
 */
export function levelLeaf(plan: Extract<ColumnPlan, { node: FileNode }>): FileNode {
  return leafBelow(plan) ?? leastNested(plan.node)
}

function leafBelow(plan: ColumnPlan): FileNode | undefined {
  switch (plan.kind) {
    case 'constant':
      return undefined
    case 'leaf':
      return plan.node
    case 'struct':
      return plan.children.map(leafBelow).find((leaf) => leaf !== undefined)
    case 'list':
    case 'map':
      return leafBelow(plan.item)
    default:
      return assertNever(plan)
  }
}

function leastNested(node: FileNode): FileNode {
  if (node.leaf !== undefined) return node
  return node.children.map(leastNested).reduce((best, leaf) => (leaf.maxRepetition < best.maxRepetition ? leaf : best))
}

function planNode(field: NestedField, node: FileNode, options: ColumnOptions, path: string): ColumnPlan {
  const { type } = field
  if (isPrimitive(type)) {
    if (node.leaf === undefined || node.repetition === 'REPEATED') throw mismatch(options, path, type, node)
    return { kind: 'leaf', field, node, convert: conversionOf(type, node, options, path) }
  }
  if (type.type === 'unsupported') {
    throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `column ${path}: type ${type.name} is not read`)
  }
  if (node.repetition === 'REPEATED' || node.leaf !== undefined) throw mismatch(options, path, type, node)
  switch (type.type) {
    case 'struct': {
      const children = type.fields.map((child) => planColumn(child, node.children, options, `${path}.${child.name}`))
      return { kind: 'struct', field, node, children }
    }
    case 'list':
      return planList(field, type, node, options, path)
    case 'map':
      return planMap(field, type, node, options, path)
    default:
      return assertNever(type)
  }
}

/** Spec of the shapes: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists */
function planList(
  field: NestedField,
  type: ListType,
  node: FileNode,
  options: ColumnOptions,
  path: string,
): ColumnPlan {
  const repeated = node.children[0]
  if (node.children.length !== 1 || repeated?.repetition !== 'REPEATED') throw mismatch(options, path, type, node)
  const element = elementField(type)
  const elementPath = `${path}.${element.name}`
  const inner = repeatedIsElement(node, repeated, type.elementId) ? repeated : repeated.children[0]!
  const item =
    inner === repeated
      ? planRepeated(element, repeated, options, elementPath)
      : planNode(element, inner, options, elementPath)
  return { kind: 'list', field, node, repeated, item }
}

/** Old writers leave out the group between the list and its elements. */
function repeatedIsElement(list: FileNode, repeated: FileNode, elementId: number): boolean {
  if (repeated.leaf !== undefined || repeated.children.length !== 1) return true
  if (repeated.children[0]!.fieldId === elementId) return false
  if (repeated.fieldId === elementId) return true
  return repeated.name === 'array' || repeated.name === `${list.name}_tuple`
}

/** A repeated node as an element: always there once the list has an item. */
function planRepeated(field: NestedField, node: FileNode, options: ColumnOptions, path: string): ColumnPlan {
  return planNode(field, { ...node, repetition: 'REQUIRED' }, options, path)
}

function planMap(field: NestedField, type: MapType, node: FileNode, options: ColumnOptions, path: string): ColumnPlan {
  const repeated = node.children[0]
  if (node.children.length !== 1 || repeated?.repetition !== 'REPEATED') throw mismatch(options, path, type, node)
  const [keyNode, valueNode, ...others] = repeated.children
  if (keyNode === undefined || others.length > 0) throw mismatch(options, path, type, node)
  const [key, value] = entryFields(type)
  const children = [
    planNode(key, keyNode, options, `${path}.key`),
    valueNode === undefined
      ? planColumn(value, [], options, `${path}.value`)
      : planNode(value, valueNode, options, `${path}.value`),
  ]
  const entry: NestedField = {
    id: -1,
    name: 'key_value',
    required: true,
    type: { type: 'struct', fields: [key, value] },
  }
  return { kind: 'map', field, node, repeated, item: { kind: 'struct', field: entry, node: repeated, children } }
}

/** @throws {FirnError} `FIRN_PARQUET_CORRUPT` when no promotion leads from the file's type to the table's. */
function conversionOf(type: PrimitiveType, node: FileNode, options: ColumnOptions, path: string): Convert {
  const { physical, typeLength } = node.leaf!
  const { annotation } = node
  const refuse = (): FirnError => mismatch(options, path, type, node)
  const mustBe = (...allowed: readonly string[]): undefined => {
    if (!allowed.includes(physical)) throw refuse()
  }
  switch (type) {
    case 'boolean':
      return mustBe('BOOLEAN')
    case 'int':
      if (annotation === 'uint32') throw refuse()
      return mustBe('INT32')
    case 'long':
      if (annotation === 'uint64') throw refuse()
      mustBe('INT32', 'INT64')
      return annotation === 'uint32' ? (value) => (value as number) >>> 0 : undefined
    case 'float':
      return mustBe('FLOAT')
    case 'double':
      return mustBe('FLOAT', 'DOUBLE')
    case 'date':
      return mustBe('INT32')
    case 'time':
      mustBe(annotation === 'millis' ? 'INT32' : 'INT64')
      return toMicros(annotation)
    case 'timestamp':
    case 'timestamptz':
      if (physical === 'INT96') return (value) => int96Micros(value as bigint)
      if (physical === 'INT32' && annotation === 'date') return (days) => BigInt(days as number) * DAY_MICROS
      mustBe('INT64')
      return toMicros(annotation)
    case 'string':
    case 'binary':
      return mustBe('BYTE_ARRAY', 'FIXED_LEN_BYTE_ARRAY')
    case 'uuid':
      mustBe('FIXED_LEN_BYTE_ARRAY')
      if (typeLength !== 16) throw refuse()
      return undefined
    default: {
      const decimal = decimalOf(type)
      if (decimal !== undefined) {
        mustBe('INT32', 'INT64', 'FIXED_LEN_BYTE_ARRAY', 'BYTE_ARRAY')
        const { scale = decimal.scale, precision = decimal.precision } = node
        if (scale !== decimal.scale || precision > decimal.precision) throw refuse()
        return undefined
      }
      mustBe('FIXED_LEN_BYTE_ARRAY')
      if (typeLength !== fixedLengthOf(type)) throw refuse()
      return undefined
    }
  }
}

const DAY_MICROS = 86_400_000_000n

/** Toward the past, so that an instant never moves to a later day or hour. */
const floorThousands = (nanos: bigint): bigint => (nanos >= 0n ? nanos / 1000n : -((999n - nanos) / 1000n))

function toMicros(annotation: FileNode['annotation']): Convert {
  if (annotation === 'millis') return (value) => BigInt(value as number | bigint) * 1000n
  if (annotation === 'nanos') return (value) => floorThousands(value as bigint)
  return undefined
}

/** Julian day of 1970-01-01. */
const EPOCH_JULIAN_DAY = 2_440_588n

/** Spark's old timestamps: the day in the upper 32 bits, nanoseconds of the day below. */
function int96Micros(value: bigint): bigint {
  const nanosOfDay = BigInt.asUintN(64, value)
  return ((value >> 64n) - EPOCH_JULIAN_DAY) * DAY_MICROS + floorThousands(nanosOfDay)
}

const nameOf = (type: IcebergType): string => (isPrimitive(type) ? type : type.type)

function mismatch(options: ColumnOptions, path: string, type: IcebergType, node: FileNode): FirnError {
  const { leaf, annotation } = node
  const found = leaf === undefined ? 'a group' : leaf.physical + (annotation === 'none' ? '' : ` (${annotation})`)
  return corrupt(options, `column ${path} is ${nameOf(type)} in the table and ${found} in the file`)
}

const corrupt = ({ where }: ColumnOptions, message: string): FirnError => corruptParquet(where, message)
