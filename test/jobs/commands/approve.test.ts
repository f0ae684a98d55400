/** Plan, approval, run, record: what every command that deletes or rewrites goes through. */
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApprovalFlags, approveAndRun } from '../../../jobs/commands/approve.ts'
import { loadConfig } from '../../../jobs/config.ts'
import { createContext } from '../../../jobs/context.ts'
import type { FinishedWork } from '../../../jobs/maintenance/prepared.ts'
import { FirnError } from '../../../table/errors.ts'
import { type Home, makeHome } from '../cli-support.ts'

let home: Home
beforeEach(() => {
  home = makeHome()
})
afterEach(() => home.remove())

const PLANNED = {
  schema: 'firn.tidy/1',
  table: 'a.b',
  plan: { files: 2 },
  text: 'file\nwould tidy 2 files\n',
  nothingToDo: false,
  question: 'Tidy?',
}

async function run(
  flags: Partial<ApprovalFlags>,
  work: () => Promise<FinishedWork>,
  planned: Partial<typeof PLANNED> = {},
): Promise<{ code: number; out: unknown; records: Record<string, unknown>[] }> {
  const stdout = new PassThrough()
  const handle = createContext({ signal: new AbortController().signal, stdout, stderr: new PassThrough() })
  await handle.activate(loadConfig({ flags: { output: 'json' }, env: {}, cwd: home.dir }))
  const store = handle.context.warehouse()
  try {
    await approveAndRun(handle.context, { dryRun: false, yes: false, ...flags }, { ...PLANNED, ...planned }, work)
  } finally {
    records = []
    for await (const { key } of store.list('_runs/tidy/')) {
      records.push(JSON.parse(Buffer.from((await store.get(key)).bytes).toString()) as Record<string, unknown>)
    }
  }
  return { code: handle.exitCode, out: JSON.parse(String(stdout.read())), records }
}
let records: Record<string, unknown>[] = []

const never = (): Promise<never> => Promise.reject(new Error('not to be called'))
const done = async (): Promise<FinishedWork> => ({ result: { tidied: 2 }, text: 'tidied' })

test('nothing is done for a dry run, for nothing to do, and without a yes', async () => {
  const shown = { schema: 'firn.tidy/1', table: 'a.b', plan: { files: 2 }, result: null }
  expect((await run({ dryRun: true, yes: true }, never)).out).toEqual({
    ...shown,
    dry_run: true,
    nothing_to_do: false,
  })
  expect((await run({ yes: true }, never, { nothingToDo: true })).out).toEqual({
    ...shown,
    dry_run: false,
    nothing_to_do: true,
  })
  await expect(run({}, never)).rejects.toMatchObject({
    code: 'FIRN_CONFIRMATION_NEEDED',
    kind: 'invalid',
    message: expect.stringMatching(/tidy of a\.b .*would tidy 2 files$/),
  })
  expect(records).toEqual([])
})

test('work that is planned as it goes says whether there was anything to do', async () => {
  const idle = async (): Promise<FinishedWork> => ({ result: { parts: [] }, text: '', nothingToDo: true })
  const { out, records: written } = await run({ yes: true }, idle)
  expect(out).toMatchObject({ nothing_to_do: true })
  expect(written[0]).toMatchObject({ outcome: 'nothing-to-do' })
})

test('what is done has a result and a record, under one run id', async () => {
  const { code, out, records: written } = await run({ yes: true }, done)
  expect({ code, out }).toMatchObject({ code: 0, out: { plan: { files: 2 }, result: { tidied: 2 } } })
  const { run_id } = out as { run_id: string }
  expect(written).toMatchObject([{ job: 'tidy', subject: 'a.b', run_id, outcome: 'ok', result: { run_id } }])
})

test('a run that did a part of its plan says so by its exit code', async () => {
  expect(await run({ yes: true }, async () => ({ ...(await done()), exitCode: 3 }))).toMatchObject({ code: 3 })
})

test('a failure is thrown as it was, and recorded', async () => {
  const lost = new FirnError('unknown-commit', 'FIRN_COMMIT_STATE_UNKNOWN', 'nobody knows')
  await expect(run({ yes: true }, () => Promise.reject(lost))).rejects.toBe(lost)
  expect(records).toMatchObject([{ outcome: 'failed', error: { code: 'FIRN_COMMIT_STATE_UNKNOWN' } }])
})
