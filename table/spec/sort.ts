/** Sort orders. Order 0 is "unsorted". Spec: "Sorting". */
import { FirnError } from '../errors.ts'
import { type JsonObject, JsonReader } from '../format/json.ts'
import { sourceIdOf } from './partition.ts'
import type { Transform } from './transform.ts'

export interface SortField {
  readonly sourceId: number
  readonly transform: Transform
  readonly direction: 'asc' | 'desc'
  readonly nullOrder: 'nulls-first' | 'nulls-last'
}

export interface SortOrder {
  readonly orderId: number
  readonly fields: readonly SortField[]
}

export const UNSORTED: SortOrder = { orderId: 0, fields: [] }

/** Whether two orders sort the same way, whatever their ids. */
export const sameSortFields = (a: readonly SortField[], b: readonly SortField[]): boolean =>
  a.length === b.length &&
  a.every((field, index) => {
    const other = b[index]!
    return (
      field.sourceId === other.sourceId &&
      field.transform === other.transform &&
      field.direction === other.direction &&
      field.nullOrder === other.nullOrder
    )
  })

export function parseSortOrder(json: unknown, where = 'sort-order'): SortOrder {
  const reader = new JsonReader(json, where)
  return {
    orderId: reader.integer('order-id'),
    fields: reader.objects('fields').map((field) => ({
      sourceId: sourceIdOf(field),
      transform: field.string('transform'),
      direction: oneOf(field.string('direction'), ['asc', 'desc'], where),
      nullOrder: oneOf(field.string('null-order'), ['nulls-first', 'nulls-last'], where),
    })),
  }
}

export function printSortOrder(order: SortOrder): JsonObject {
  return {
    'order-id': order.orderId,
    fields: order.fields.map((field) => ({
      transform: field.transform,
      'source-id': field.sourceId,
      direction: field.direction,
      'null-order': field.nullOrder,
    })),
  }
}

function oneOf<T extends string>(value: string, allowed: readonly T[], where: string): T {
  const found = allowed.find((candidate) => candidate === value)
  if (found === undefined) {
    throw new FirnError(
      'corrupt',
      'FIRN_METADATA_CORRUPT',
      `${where}: expected ${allowed.join(' or ')}, got "${value}"`,
    )
  }
  return found
}
