import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import { sizeArgument } from '../../jobs/sizes.ts'

test('sizes have binary units, or decimal ones that say so', () => {
  const sizes = ['128MiB', '128M', '1k', '1.5 GiB', '2MB', '5', '7B', '1TiB']
  expect(sizes.map(sizeArgument)).toEqual([2 ** 27, 2 ** 27, 1024, 1.5 * 2 ** 30, 2e6, 5, 7, 2 ** 40])
})

test('what is no size is refused', () => {
  for (const text of ['', '0', '-1', 'MiB', '1 parsec', '0.1B', '99999999T', '1iB', 'NaN', '1e3']) {
    expect(() => sizeArgument(text), text).toThrow(InvalidArgumentError)
  }
})
