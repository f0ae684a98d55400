/** Work of which several parts failed: one error for all of it, and the gravest exit code. */
import { expect, test } from 'vitest'
import { combined, exitCodeOf, gravestOf } from '../../jobs/exit.ts'
import { FirnError } from '../../table/errors.ts'

test('one failure stays what it is, several become one error that names them all and ends with the gravest code', () => {
  const late = new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'no answer')
  const wrong = new FirnError('invalid', 'FIRN_GC_DISABLED', 'gc is off')
  expect(combined([])).toBeUndefined()
  expect(combined([late])).toBe(late)
  const both = combined([late, wrong])
  expect(both?.message).toBe('no answer; gc is off')
  expect(exitCodeOf(both)).toBe(2)
})

test('"try again" never hides a failure, and an unknown commit is never hidden', () => {
  expect(gravestOf([])).toBe(0)
  expect(gravestOf([0, 0])).toBe(0)
  expect(gravestOf([3, 0])).toBe(3)
  expect(gravestOf([3, 2])).toBe(2)
  expect(gravestOf([2, 3, 1])).toBe(1)
  expect(gravestOf([1, 4, 3])).toBe(4)
})
