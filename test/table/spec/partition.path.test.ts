/** Folders of partitions: whatever a value is, its folder can be made. */
import { describe, expect, it } from 'vitest'
import { parsePartitionSpec, parseSchema, partitionPath } from '../../../table/index.ts'

const schema = parseSchema({
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'site', required: false, type: 'string' }],
})
const spec = parsePartitionSpec({
  'spec-id': 0,
  fields: [{ 'source-id': 1, 'field-id': 1000, name: 'site', transform: 'identity' }],
})
const pathOf = (value: string): string => partitionPath(spec, schema, [value])

describe('partitionPath', () => {
  it('is the value, percent-encoded', () => {
    expect(pathOf('a/b é')).toBe('site=a%2Fb%20%C3%A9')
    expect(pathOf('x'.repeat(100))).toBe(`site=${'x'.repeat(100)}`)
  })

  it.each([
    ['letters', 'x'.repeat(5000)],
    ['four bytes each', '\u{1f600}'.repeat(2000)],
    ['encoded', ` ${'/'.repeat(300)}`],
  ])('fits into a folder name, and tells values apart: %s', (_what, value) => {
    const path = pathOf(value)
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(200)
    expect(path.startsWith(`site=${encodeURIComponent(value.slice(0, 2))}`)).toBe(true)
    expect(() => decodeURIComponent(path)).not.toThrow()
    expect(pathOf(value)).toBe(path)
    expect(pathOf(`${value}a`)).not.toBe(path)
  })
})
