import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { folderWarehouse, rowsTable } from '../support.ts'
import { SCENARIOS, TABLE_ROWS } from './scenarios.ts'

const CHILD = fileURLToPath(new URL('./fit.child.ts', import.meta.url))

let warehouse: Awaited<ReturnType<typeof folderWarehouse>>
beforeAll(async () => {
  warehouse = await folderWarehouse()
  await rowsTable(warehouse.url, { rows: TABLE_ROWS })
})
afterAll(() => warehouse.remove())

// A process that does not end by itself is killed at the timeout, and the test fails.
describe.each([
  ['close', 'the dataset is closed: no tensor and no worker thread is left, and the process exits by itself, after'],
  ['forget', 'nobody closes the dataset: no tensor is left, and the process exits by itself, after'],
])('fitDataset, %s', (close, what) => {
  it.each(Object.keys(SCENARIOS))(`${what} %s`, async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, warehouse.url, close, name], {
      timeout: 50_000,
    })
    expect(stdout.trim().split('\n').at(-1)).toBe('done')
  })
})

it('a training that stopped in the middle and was forgotten gives its worker threads back in a process that lives on', async () => {
  const script = fileURLToPath(new URL('./forgotten.child.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, warehouse.url])
  expect(stdout.trim().split('\n').slice(-2)).toEqual(['1 started', '0 alive'])
})
