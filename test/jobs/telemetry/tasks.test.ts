/** Requests of tasks count the same wherever the tasks run. */
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { type Home, makeHome } from '../cli-support.ts'
import { samplesOf } from './prometheus-text.ts'

const homes: Home[] = []
afterEach(() => {
  for (const home of homes.splice(0)) home.remove()
})

const lines = Array.from({ length: 200 }, (_, n) =>
  JSON.stringify({
    article_id: `a${n}`,
    title: 't',
    publish_date: '2026-01-31T12:00:00Z',
    content: `Words of article ${n}.`,
  }),
).join('\n')

/** Requests and bytes of a compaction by `executor`, in a warehouse of its own. */
async function storeSamples(executor: string, ...more: string[]): Promise<[Record<string, number>, number]> {
  const home = makeHome()
  homes.push(home)
  // several chunks, so that a task makes several requests of a kind
  const files = ['a', 'b', 'c'].map((name) => home.path(`${name}.ndjson`))
  for (const file of files) writeFileSync(file, `${lines}\n`)
  await home.json(['land', '--from', ...files])
  const metrics = ['--metrics-file', home.path('m.prom')]
  const { code, stderr } = await home.firn(['compact', 'news.articles', '--executor', executor, ...metrics, ...more])
  const samples = [...samplesOf(readFileSync(home.path('m.prom'), 'utf8'))]
  const of = (name: string): [string, number][] => samples.filter(([sample]) => sample.startsWith(name))
  expect(code, stderr).toBe(0)
  // names and times differ in length from run to run, and with them the bytes of metadata
  const bytes = of('firn_store_bytes_total').reduce((sum, [, value]) => sum + value, 0)
  return [Object.fromEntries(of('firn_store_requests_total')), bytes]
}

test('in this thread, in worker threads and in processes', async () => {
  const [inline, inlineBytes] = await storeSamples('inline')
  expect(inline['firn_store_requests_total{op="put",outcome="ok"}']).toBeGreaterThan(3)
  for (const executor of ['threads', 'processes']) {
    const [elsewhere, bytes] = await storeSamples(executor)
    expect(elsewhere, executor).toEqual(inline)
    expect(Math.abs(bytes - inlineBytes) / inlineBytes, executor).toBeLessThan(0.02)
  }
}, 60_000)

test('a run that fails writes its metrics too, and counts no record of its own', async () => {
  const home = makeHome()
  homes.push(home)
  writeFileSync(home.path('bad.ndjson'), 'no json\n')
  await home.json(['land', '--from', home.path('bad.ndjson')])
  const { code } = await home.firn(['compact', 'news.articles', '--metrics-file', home.path('m.prom')])
  const samples = samplesOf(readFileSync(home.path('m.prom'), 'utf8'))
  expect(code).toBe(1)
  expect(samples.get('firn_job_runs_total{job="compact",outcome="failed"}')).toBe(1)
  expect([...samples.keys()].filter((name) => /quarantined|last_success|commit/.test(name))).toEqual([])
  expect(home.files().filter((name) => name.endsWith('.partial'))).toEqual([])
}, 60_000)

test('a metrics file that cannot be written is a warning, and the command ends as it would', async () => {
  const home = makeHome()
  homes.push(home)
  writeFileSync(home.path('a.ndjson'), `${lines}\n`)
  const { code, stderr } = await home.firn([
    ...['land', '--from', home.path('a.ndjson')],
    ...['--metrics-file', home.path('none/m.prom')],
  ])
  expect([code, stderr]).toEqual([0, expect.stringContaining('metrics file')])
})
