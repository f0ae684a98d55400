import { describe, expect, test } from 'vitest'
import { keyInTable, keyOfPath, normaliseLocation } from '../../../table/spec/location.ts'

const outside = { kind: 'invalid', code: 'FIRN_PATH_OUTSIDE_TABLE' }
const codeOf = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('keyOfPath', () => {
  test.each([
    ['s3://b/t', 's3://b/t/data/x.parquet', 'data/x.parquet'],
    ['s3a://b/t/', 's3://b/t/data/x', 'data/x'],
    ['s3://b/t', 's3n://b/t/x', 'x'],
    ['file:///w/t', 'file:/w/t/x', 'x'],
    ['/w/t', 'file:///w/t/x', 'x'],
    ['memory://m', 'memory://m/x', 'x'],
  ])('in the table at %s, %s is the key %s', (location, path, key) => {
    expect(keyOfPath(location, path)).toBe(key)
    expect(keyInTable(location, path)).toBe(key)
  })

  test.each([
    ['s3://b/t', 's3://b/t2/x', 's3://b/t2/x'],
    ['s3://b/t', 's3a://c/x', 's3://c/x'],
    ['s3://b/t', '/w/x', 'file:///w/x'],
    ['file:///w/t', 'file:/w/u/x', 'file:///w/u/x'],
    ['memory://m/t', 'gs://g/x', 'gs://g/x'],
  ])('beside the table at %s, %s keeps its URL %s, and cannot be added to the table', (location, path, key) => {
    expect(keyOfPath(location, path)).toBe(key)
    expect(codeOf(() => keyInTable(location, path))).toMatchObject(outside)
  })

  test.each([
    's3://b/t/../u/x',
    's3://b/t/./x',
    's3://b/t//x',
    's3://b/t',
    's3://b/t/',
    's3://c/a/../x',
    's3://c//x',
    's3:///x',
    'file:///w/../etc/passwd',
    'data/x.parquet',
    '../x',
    '',
    'x:y',
  ])('%j is refused, wherever it leads', (path) => {
    expect(codeOf(() => keyOfPath('s3://b/t', path))).toMatchObject(outside)
  })

  test('one spelling for every way to write a place', () => {
    expect(['s3a://b/t/', 's3n://b/t', 's3://b/t//'].map(normaliseLocation)).toEqual(Array(3).fill('s3://b/t'))
    expect(['/w', 'file:/w', 'file:///w/'].map(normaliseLocation)).toEqual(Array(3).fill('file:///w'))
  })
})
