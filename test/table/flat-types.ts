/** The flat types that generated tables have, each with all of its values. */
import fc from 'fast-check'
import type { PrimitiveType, PrimitiveValue } from '../../table/spec/types.ts'

export const FLAT_TYPES: readonly (readonly [PrimitiveType, fc.Arbitrary<PrimitiveValue>])[] = [
  ['boolean', fc.boolean()],
  ['int', fc.integer()],
  ['long', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['float', fc.float()],
  ['double', fc.double()],
  ['date', fc.integer({ min: -700_000, max: 2_900_000 })],
  ['time', fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  ['timestamp', fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })],
  ['timestamptz', fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })],
  ['string', fc.string({ unit: 'binary', maxLength: 30 })],
  ['binary', fc.uint8Array({ maxLength: 30 })],
  ['fixed[3]', fc.uint8Array({ minLength: 3, maxLength: 3 })],
  ['decimal(9, 2)', fc.bigInt({ min: -999_999_999n, max: 999_999_999n })],
  ['decimal(18, 2)', fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n })],
  ['decimal(38, 10)', fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n })],
]
