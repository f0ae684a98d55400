/** Thrift's compact protocol, and bytes that claim more than they are. */
import { expect, test } from 'vitest'
import { readThriftStruct } from '../../../table/format/thrift.ts'

const read = (hex: string): unknown => readThriftStruct(Buffer.from(hex, 'hex'), 0)

test('fields of every type that Parquet has', () => {
  // 1: true, 2: false, 3: byte -1, 4: i32 -2, 5: i64 2^40, 6: double 1, 7: binary, 8: list of booleans, 9: struct
  const bytes =
    '11' +
    '12' +
    '13ff' +
    '1503' +
    '16808080808040' +
    '17000000000000f03f' +
    '18026869' +
    '19210102' +
    '1c150200' +
    '00'
  expect(read(bytes)).toEqual({
    end: bytes.length / 2,
    value: {
      field_1: true,
      field_2: false,
      field_3: -1,
      field_4: -2,
      field_5: 2n ** 40n,
      field_6: 1,
      field_7: Buffer.from('hi'),
      field_8: [true, false],
      field_9: { field_1: 1 },
    },
  })
})

test('a field number that jumps, and one that goes back', () => {
  expect(read('05c8010205040600')).toEqual({ value: { field_100: 1, field_2: 3 }, end: 8 })
})

test.each([
  ['a list of more items than bytes are left', '19fcffffff7f', 'a list of'],
  ['a binary of more bytes than are left', '18ffffffff0f', 'bytes where'],
  ['structures nested without end', '1c'.repeat(100), 'nested deeper'],
  ['lists nested without end', `19${'19'.repeat(100)}`, 'nested deeper'],
  ['a number without end', `16${'ff'.repeat(100)}`, 'without end'],
  ['no end', '1502', 'cut short'],
  ['a type that Parquet does not use', '1b00', 'of the type 11'],
])('refused is %s', (_name, bytes, message) => {
  expect(() => read(bytes)).toThrow(message)
})
