/** `firn task run FILE` by itself, as a cluster would call it, and under a parent that goes away. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import type { Executor } from '../../../jobs/executors/executor.ts'
import { openCatalog, openStore } from '../../../table/index.ts'
import { BIN, bareEnvironment, type Home, makeHome } from '../cli-support.ts'
import { articleRecords, fixedClock, NOON, runCompaction, stage } from '../compaction/fixture.ts'

let home: Home
let task: CompactionTask
let warehouse: string
beforeAll(async () => {
  home = makeHome()
  const clock = fixedClock(NOON)
  warehouse = pathToFileURL(home.path('lake')).href
  const store = openStore(warehouse, { clock })
  await stage({ store, catalog: openCatalog(store, { clock }), clock }, { a: { records: articleRecords(0, 40) } })
  const capture: Executor = {
    run: async (tasks) => {
      task = tasks[0]!
      throw new Error('captured')
    },
  }
  await runCompaction({ store, catalog: openCatalog(store, { clock }), clock }, { executor: capture }).catch(() => {})
})
afterAll(() => home.remove())

const fileOf = async (name: string, content: unknown): Promise<string> => {
  await writeFile(home.path(name), JSON.stringify(content))
  return home.path(name)
}

describe('firn task run', () => {
  test('prints the result of one task', async () => {
    const file = await fileOf('task.json', task)
    const result = await home.json(['task', 'run', file, '--warehouse', warehouse])
    expect(result).toMatchObject({ schema: 'firn.compaction-result/1', recordsRead: 40, rowsAdded: 40 })
  })

  test('prints JSON in whatever form results are printed', async () => {
    const file = await fileOf('plain.json', { ...task, filePrefix: 'plain' })
    const { stdout } = await home.firn(['task', 'run', file, '--warehouse', warehouse])
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'firn.compaction-result/1', recordsRead: 40 })
  })

  test('leaves metrics file and secrets to the process that started it', async () => {
    const file = await fileOf('part.json', task)
    const metrics = home.path('metrics.prom')
    const env = {
      ...bareEnvironment(home.dir),
      FIRN_METRICS_FILE: metrics,
      FIRN_CATALOG: 'http://127.0.0.1:1',
      FIRN_CATALOG_TOKEN: `file:${home.path('no such secret')}`,
    }
    const args = [BIN, 'task', 'run', file, '--channel', '--warehouse', warehouse, '--output', 'jsonl']
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    let stdout = ''
    child.stdout!.on('data', (part: Buffer) => {
      stdout += part.toString()
    })
    child.send({ storeOptions: {} })
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ rowsAdded: 40 })
    expect(home.files()).not.toContain('metrics.prom')
  })

  test('prints the error of one that fails, and ends with its code', async () => {
    const file = await fileOf('old.json', { ...task, schema: 'firn.compaction-task/0' })
    const { code, stdout, stderr } = await home.firn([
      'task',
      'run',
      file,
      '--warehouse',
      warehouse,
      '--output',
      'json',
    ])
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'firn.task-error/1',
      error: { firn: { code: 'FIRN_TASK_UNSUPPORTED' } },
    })
    expect(stderr).toContain('FIRN_TASK_UNSUPPORTED')
    const missing = await home.firn(['task', 'run', home.path('nothing'), '--warehouse', warehouse, '--output', 'json'])
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('is no task') })
  })

  test('leaves it to the process that started it what a signal to all of them means', async () => {
    const file = await fileOf('group.json', { ...task, filePrefix: 'group' })
    const args = [BIN, 'task', 'run', file, '--channel', '--warehouse', warehouse, '--output', 'jsonl']
    const env = { ...bareEnvironment(home.dir), NODE_OPTIONS: `--import=${home.path('told.mjs')}` }
    // tells when the command listens for signals and for its parent
    await writeFile(
      home.path('told.mjs'),
      `process.on('newListener', (name) => { if (name === 'message') setImmediate(() => process.send('ready')) })`,
    )
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    let stdout = ''
    child.stdout!.on('data', (part: Buffer) => {
      stdout += part.toString()
    })
    await once(child, 'message')
    child.kill('SIGTERM')
    child.send({ storeOptions: {} })
    const [code] = await once(child, 'close')
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'firn.compaction-result/1', rowsAdded: 40 })
    expect(code).toBe(0)
  })

  test('ends when the process that started it is gone', async () => {
    const args = [
      BIN,
      'task',
      'run',
      await fileOf('left.json', task),
      '--channel',
      '--warehouse',
      warehouse,
      '--output',
      'json',
    ]
    const child = spawn(process.execPath, args, {
      env: bareEnvironment(home.dir),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    const ended = once(child, 'exit')
    child.disconnect()
    expect((await ended)[0]).toBe(1)
  })
})
