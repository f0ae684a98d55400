/**
 * Arrow columns from the leaves of a row group. Definition and repetition levels say where structs are null, lists
 * null or empty, and how many items they have; the values fill the slots that are left.
 * Background: https://arrow.apache.org/blog/2022/10/17/arrow-parquet-encoding-part-3/
 */
import { type Data, makeData } from 'apache-arrow'
import { assertNever, type FirnError } from '../errors.ts'
import { isPrimitive } from '../spec/types.ts'
import { constantColumn, nullColumn, PrimitiveBuilder, Validity } from './arrow-columns.ts'
import { arrowType } from './arrow-schema.ts'
import { type ColumnPlan, levelLeaf } from './parquet-columns.ts'
import { corruptParquet as corrupt } from './parquet-corrupt.ts'
import type { LeafColumn } from './parquet-decode.ts'
import type { FileNode } from './parquet-footer.ts'

/** Slots of a nesting depth: rows, or items of the repeated group around. */
interface Slots {
  readonly count: number
  /** An entry below this definition level is no item of the repeated group, only a trace of an empty or null one. */
  readonly definition: number
  /** An entry at or below this repetition level begins a slot. */
  readonly repetition: number
  /** From this definition level on, the struct around is there. */
  readonly parent: number
}

/**
 * @param leaves by index in the file: at least those of `leavesOf(plan)`.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt) when the levels contradict each other, or a required value is null.
 */
export function assembleColumn(
  plan: ColumnPlan,
  leaves: ReadonlyMap<number, LeafColumn>,
  rowCount: number,
  where: string,
): Data {
  return assemble(plan, { count: rowCount, definition: 0, repetition: 0, parent: 0 }, leaves, where)
}

function assemble(plan: ColumnPlan, slots: Slots, leaves: ReadonlyMap<number, LeafColumn>, where: string): Data {
  const { name, type } = plan.field
  if (plan.kind === 'constant') {
    return isPrimitive(type) && plan.value !== null
      ? constantColumn(type, plan.value, slots.count, name)
      : nullColumn(type, slots.count, name)
  }
  if (plan.kind === 'leaf') return leafColumn(plan, slots, leavesAt(leaves, plan.node), where)
  const levels = leavesAt(leaves, levelLeaf(plan))
  const validity = nestedValidity(plan, slots, levels, where)
  const shared = { type: arrowType(type, name), length: slots.count, ...validity.done() }
  switch (plan.kind) {
    case 'struct': {
      const below = { ...slots, parent: plan.node.maxDefinition }
      return makeData({
        ...shared,
        children: plan.children.map((child) => assemble(child, below, leaves, where)),
      } as never)
    }
    case 'list':
    case 'map': {
      const { repeated } = plan
      const valueOffsets = itemOffsets(slots, repeated, levels, where)
      const { maxDefinition: definition, maxRepetition: repetition } = repeated
      const items = { count: valueOffsets[slots.count]!, definition, repetition, parent: definition }
      return makeData({ ...shared, valueOffsets, child: assemble(plan.item, items, leaves, where) } as never)
    }
    default:
      return assertNever(plan)
  }
}

const leavesAt = (leaves: ReadonlyMap<number, LeafColumn>, node: FileNode): LeafColumn => leaves.get(node.leaf!.index)!

function leafColumn(plan: Extract<ColumnPlan, { kind: 'leaf' }>, slots: Slots, leaf: LeafColumn, where: string): Data {
  const { field, node, convert } = plan
  if (!isPrimitive(field.type)) throw new Error('unreachable: a leaf of a nested type')
  const builder = new PrimitiveBuilder(field.type, slots.count, field.name)
  const validity = new Validity(slots.count)
  const { definition } = leaf
  if (definition === undefined) {
    if (leaf.entries !== slots.count) throw countsDiffer(plan, leaf.entries, slots.count, where)
    for (const page of leaf.pages) {
      if (convert === undefined) builder.addAll(page)
      else for (let index = 0; index < page.length; index++) builder.add(convert(page[index] as never))
    }
    return builder.done(validity)
  }
  let page = 0
  let at = 0
  let slot = 0
  for (let entry = 0; entry < leaf.entries; entry++) {
    const level = definition[entry]!
    if (level < slots.definition) continue
    if (slot++ >= slots.count) break
    if (level === node.maxDefinition) {
      while (at === leaf.pages[page]!.length) [page, at] = [page + 1, 0]
      const value = leaf.pages[page]![at++] as number
      builder.add(convert === undefined ? value : convert(value))
    } else {
      if (field.required && level >= slots.parent) throw nullInRequired(plan, where)
      validity.setNull(builder.skip())
    }
  }
  if (slot !== slots.count) throw countsDiffer(plan, slot, slots.count, where)
  return builder.done(validity)
}

/** Which slots of a struct, list or map are null. */
function nestedValidity(
  plan: Extract<ColumnPlan, { kind: 'struct' | 'list' | 'map' }>,
  slots: Slots,
  { entries, definition, repetition }: LeafColumn,
  where: string,
): Validity {
  const validity = new Validity(slots.count)
  let slot = 0
  for (let entry = 0; entry < entries; entry++) {
    if (repetition !== undefined && repetition[entry]! > slots.repetition) continue
    const level = definition === undefined ? Number.POSITIVE_INFINITY : definition[entry]!
    if (level < slots.definition) continue
    if (slot >= slots.count) throw countsDiffer(plan, slot + 1, slots.count, where)
    if (level < plan.node.maxDefinition) {
      if (plan.field.required && level >= slots.parent) throw nullInRequired(plan, where)
      validity.setNull(slot)
    }
    slot++
  }
  if (slot !== slots.count) throw countsDiffer(plan, slot, slots.count, where)
  return validity
}

/** Where the items of each list begin among all items. */
function itemOffsets(
  slots: Slots,
  repeated: FileNode,
  { entries, definition, repetition }: LeafColumn,
  where: string,
): Int32Array {
  const offsets = new Int32Array(slots.count + 1)
  let slot = -1
  let items = 0
  for (let entry = 0; entry < entries; entry++) {
    const level = definition === undefined ? Number.POSITIVE_INFINITY : definition[entry]!
    if (level < slots.definition) continue
    const repeats = repetition === undefined ? 0 : repetition[entry]!
    if (repeats <= slots.repetition) slot++
    if (slot < 0) throw corrupt(where, 'a column begins in the middle of a row')
    if (repeats <= repeated.maxRepetition && level >= repeated.maxDefinition) items++
    offsets[slot + 1] = items
  }
  return offsets
}

const pathOf = ({ field }: ColumnPlan): string => `${field.name} (id ${field.id})`

export const nullInRequired = (plan: ColumnPlan, where: string): FirnError =>
  corrupt(where, `required column ${pathOf(plan)} has nulls`)

const countsDiffer = (plan: ColumnPlan, found: number, expected: number, where: string): FirnError =>
  corrupt(where, `column ${pathOf(plan)} has ${found} values or more, expected ${expected}`)
