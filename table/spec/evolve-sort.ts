/** A new sort order as a pure function. Spec: "Sorting". */
import { FirnError } from '../errors.ts'
import { resolveTerm } from './evolve-spec.ts'
import { currentSchema, type TableMetadata } from './metadata.ts'
import { type SortField, type SortOrder, sameSortFields, UNSORTED } from './sort.ts'
import type { Transform } from './transform.ts'

export interface SortColumn {
  /** Dotted path. */
  readonly column: string
  /** Default `identity`. */
  readonly transform?: Transform
  /** Default `asc`. */
  readonly direction?: 'asc' | 'desc'
  /** Default: first when ascending, last when descending, as in Java. */
  readonly nullOrder?: 'nulls-first' | 'nulls-last'
}

/**
 * The sort order with these columns; none means unsorted, which is order 0. An equal order of the table is re-used.
 * @throws {FirnError} `FIRN_SORT_ORDER_INVALID`, `FIRN_COLUMN_NOT_FOUND` (invalid).
 */
export function evolveSort(metadata: TableMetadata, columns: readonly SortColumn[]): { readonly sortOrder: SortOrder } {
  if (columns.length === 0) {
    return { sortOrder: metadata.sortOrders.find((order) => order.fields.length === 0) ?? UNSORTED }
  }
  const schema = currentSchema(metadata)
  const fields = columns.map(({ column, transform = 'identity', direction = 'asc', nullOrder }): SortField => {
    const term = resolveTerm(schema, column, transform, invalid)
    return { ...term, direction, nullOrder: nullOrder ?? (direction === 'asc' ? 'nulls-first' : 'nulls-last') }
  })
  for (const [index, field] of fields.entries()) {
    if (fields.slice(0, index).some((one) => one.sourceId === field.sourceId && one.transform === field.transform)) {
      throw invalid(`${columns[index]!.column} is in it twice`)
    }
  }
  const equal = metadata.sortOrders.find((order) => sameSortFields(order.fields, fields))
  const highest = Math.max(0, ...metadata.sortOrders.map((order) => order.orderId))
  return { sortOrder: equal ?? { orderId: highest + 1, fields } }
}

function invalid(message: string, help?: string): FirnError {
  return new FirnError('invalid', 'FIRN_SORT_ORDER_INVALID', `sort order: ${message}`, {
    ...(help === undefined ? {} : { help }),
  })
}
