/** Keys of equality deletes: equal for equal values, also when the column was promoted between the two. */
import type { Data } from 'apache-arrow'
import { expect, test } from 'vitest'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { type RowKey, rowKeys } from '../../../table/scan/delete-columns.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

function keysOf(type: PrimitiveType, values: readonly PrimitiveValue[]): readonly RowKey[] {
  const fields = [{ id: 1, name: 'a', required: false, type }]
  const keyOf = rowKeys([1], fields, [columnFromValues(type, values as never, 'a') as Data])
  return values.map((_, row) => keyOf(row))
}

test('an int and a long of the same value have the same key', () => {
  expect(keysOf('int', [2, -2_147_483_648, null])).toEqual(keysOf('long', [2n, -2_147_483_648n, null]))
})

test('longs past the exact numbers keep keys of their own', () => {
  const values = [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n - 2n, -(2n ** 53n) - 1n, -(2n ** 53n)]
  expect(new Set(keysOf('long', values)).size).toBe(values.length)
})
