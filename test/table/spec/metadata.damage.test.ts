/** Metadata that is wrong inside is named, whichever parser notices; nothing of it empties a table unnoticed. */
import { expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { parseMetadata, printMetadata } from '../../../table/spec/metadata.ts'
import { eventsTable, freshStore, writeRows } from '../support.ts'

const { table } = await eventsTable(freshStore())
const written = (await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))).table
const good = printMetadata(written.metadata)
const WHERE = 's3://b/t/metadata/v2.metadata.json'

const refusal = (text: string): FirnError => {
  try {
    parseMetadata(text, WHERE)
  } catch (error) {
    if (FirnError.is(error)) return error
    throw error
  }
  throw new Error('it was read')
}
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

test.each([
  ['a type', good.replace('"type": "int"', '"type": "inr"')],
  ['a fixed type of two gigabytes', good.replace('"type": "int"', '"type": "fixed[2147483647]"')],
  ['a value nested deep', good.replace(/"table-uuid": "[^"]*"/, `"table-uuid": ${nested(5000)}`)],
  [
    'no schema at all',
    good.replace(/"schemas": \[[\s\S]*?\n {2}\],/, '"schemas": [],').replace(/"current-schema-id": 0,/, ''),
  ],
  ['a current snapshot that got lost', good.replace('"current-snapshot-id"', '"current-snapshot-ie"')],
])('%s', (_name, text) => {
  expect(text).not.toBe(good)
  expect(refusal(text).message).toContain(WHERE)
})
