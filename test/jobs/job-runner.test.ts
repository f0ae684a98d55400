/** Scheduled compactions work as `firn compact` does: by the same flags, and by the same settings. */
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { articles } from '../../jobs/datasets/index.ts'
import type { RunRecord } from '../../jobs/runs.ts'
import { complaint, type Home, makeHome } from './cli-support.ts'

let home: Home
beforeEach(async () => {
  home = makeHome()
  const lines = ['a', 'b'].map((id) => JSON.stringify({ article_id: id, content: 'two words' }))
  writeFileSync(home.path('articles.ndjson'), `${lines.join('\n')}\n`)
  await home.json(['land', '--from', home.path('articles.ndjson')])
})
afterEach(() => home.remove())

const RUN = ['run', '--once', 'compact', 'news.articles'] as const

describe.each([
  ['flags', (values: Readonly<Record<string, string>>) => ({ args: Object.entries(values).flat(), env: {} })],
  [
    'settings',
    (values: Readonly<Record<string, string>>) => ({
      args: [],
      env: Object.fromEntries(
        Object.entries(values).map(([flag, value]) => [
          `FIRN_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`,
          value,
        ]),
      ),
    }),
  ],
])('from %s', (_from, given) => {
  const run = (values: Readonly<Record<string, string>>, ...more: string[]) => {
    const { args, env } = given(values)
    return home.firn([...RUN, ...args, ...more, '--output', 'json'], env)
  }

  test('the enrichment fills its columns, in task processes', async () => {
    const { fields, ...rest } = JSON.parse(JSON.stringify(articles)) as { fields: object[] }
    const mark = { name: 'mark', type: 'string', from: { kind: 'enrichment' } }
    writeFileSync(home.path('dataset.json'), JSON.stringify({ ...rest, fields: [...fields, mark] }))
    const module = "export default (batch) => ({ mark: Array.from(batch.getChild('article_id'), (id) => id + '!') })"
    writeFileSync(home.path('enrich.mjs'), module)
    const enrichment = { '--enrichment': home.path('enrich.mjs'), '--executor': 'processes', '--tasks': '2' }
    const { code, stdout, stderr } = await run(enrichment, '--dataset', home.path('dataset.json'))
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout) as RunRecord[]).toMatchObject([{ outcome: 'ok', result: { rows_added: 2 } }])
    const marks = (await home.firn(['scan', 'news.articles', '--columns', 'mark', '--output', 'csv'])).stdout
    expect(marks.trim().split('\n').toSorted()).toEqual(['a!', 'b!', 'mark'])
  })

  test('a memory limit that is too small is refused', async () => {
    const small = await run({ '--memory-limit': '1KiB' })
    expect(complaint(small).code).toMatch(/MEMORY_LIMIT/)
  })

  test('processes are refused where they cannot see the warehouse', async () => {
    const { args, env } = given({ '--executor': 'processes' })
    const refused = await home.firn([...RUN, ...args, '--warehouse', 'memory://alone'], env)
    expect([refused.code, complaint(refused).code]).toEqual([2, 'FIRN_INVALID_OPTION'])
  })
})
