/** What an operator's module prints while tasks run: standard output belongs to results. */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome } from '../cli-support.ts'

const home = makeHome()
const env = { FIRN_WAREHOUSE: pathToFileURL(home.path('warehouse')).href }
afterAll(() => home.remove())

const dataset = {
  name: 'notes',
  key: 'id',
  fields: [
    { name: 'id', type: 'string', required: true },
    { name: 'body', type: 'string' },
    { name: 'shout', type: 'string', from: { kind: 'enrichment' } },
    { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'body' } },
    { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
  ],
}
const noisy = `console.log('{"schema":"loaded"}')
setInterval(() => process.stdout.write('tick'), 1)
export default (batch) => {
  console.log('a batch')
  process.stdout.write('and no end of line')
  return { shout: [...batch.getChild('body')].map((body) => body?.toUpperCase() ?? null) }
}
`

beforeAll(async () => {
  writeFileSync(home.path('notes.json'), JSON.stringify(dataset))
  writeFileSync(home.path('noisy.mjs'), noisy)
  writeFileSync(home.path('notes.ndjson'), '{"id": "a", "body": "two words"}\n')
  await home.firn(['land', '--from', home.path('notes.ndjson')], env)
})

describe('firn compact with a module that prints', () => {
  it.each(['threads', 'processes'])('%s: prints the result and nothing else', async (executor) => {
    const table = `shop.${executor}`
    await home.firn(['init', table, '--dataset', home.path('notes.json')], env)
    const args = ['compact', table, '--executor', executor, '--enrichment', 'noisy.mjs', '--output', 'json']
    const { code, stdout, stderr } = await home.spawn(args, env)
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ rows_added: 1 })
    expect(stderr).toContain('a batch')
  })
})
