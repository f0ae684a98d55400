/** Spellings of one object compare equal; other objects do not. */
import { expect, test } from 'vitest'
import { canonicalPath, pathOnly } from '../../../table/maintenance/canonical-path.ts'

test.each([
  [
    'file:///t/a',
    ['/t/a', 'file:/t/a', 'FILE:///t/a', 'File:/t/a', 'file://localhost/t/a', 'file:///t//a', 'file:///t/a/'],
  ],
  ['s3://b/t/a b', ['s3a://b/t/a b', 'S3N://b/t/a b', 's3://b/t/a%20b', 's3://b//t/./a b', 's3://b/t/x/../a b']],
])('%s', (canonical, spellings) => {
  for (const spelling of spellings) expect(canonicalPath(spelling)).toBe(canonical)
})

test('what is no spelling of the other', () => {
  const paths = [
    's3://b/t/a',
    's3://b/t/A',
    's3://c/t/a',
    's3://b/t/a.',
    's3://b/t/..a',
    'file:///b/t/a',
    's3://b/%zz/a',
  ]
  expect(new Set(paths.map(canonicalPath)).size).toBe(paths.length)
  // A folder of this name is not the host.
  expect(canonicalPath('file:///localhost/t')).not.toBe(canonicalPath('file:///t'))
})

test('the path without scheme and authority', () => {
  expect(['hdfs://a:8020/t/f', 's3://b/t/f', 'file:///t/f'].map(pathOnly)).toEqual(['t/f', 't/f', 't/f'])
})
