/** Tasks in processes of their own: what comes back, what a death says, what an abort leaves. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import { type Executor, executorFor, inlineExecutor } from '../../../jobs/executors/executor.ts'
import { type ProcessExecutorOptions, processExecutor } from '../../../jobs/executors/processes.ts'
import { openCatalog, openStore } from '../../../table/index.ts'
import { articleRecords, fixedClock, NOON, runCompaction, stage, type Warehouse } from '../compaction/fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-processes-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** A program in place of the command line; its arguments are those of the task. */
async function program(name: string, code: string): Promise<Pick<ProcessExecutorOptions, 'command' | 'stderr'>> {
  const path = join(folder, `${name}.mjs`)
  await writeFile(path, code)
  return { command: [process.execPath, path], stderr: new PassThrough() }
}

async function warehouseWithTask(name: string): Promise<{ warehouse: Warehouse; task: CompactionTask }> {
  const clock = fixedClock(NOON)
  const store = openStore(pathToFileURL(join(folder, name)).href, { clock })
  const warehouse = { store, catalog: openCatalog(store, { clock }), clock }
  await stage(warehouse, { a: { records: articleRecords(0, 300) } })
  let task: CompactionTask | undefined
  const capture: Executor = {
    run: async (tasks) => {
      task = tasks[0]
      throw new Error('captured')
    },
  }
  await runCompaction(warehouse, { executor: capture }).catch(() => {})
  return { warehouse, task: task! }
}

const errorOf = (run: Promise<unknown>): Promise<unknown> => run.then(() => undefined).catch((error: unknown) => error)

describe('processExecutor', () => {
  it('gives the result that this process would have, and reports progress', async () => {
    const { warehouse, task } = await warehouseWithTask('same')
    const seen: string[] = []
    const run = executorFor(warehouse.store, {}, { kind: 'processes', tasks: 2 }).run
    const again = { ...task, filePrefix: 'other' }
    const [first, second] = await run([task, again], { onProgress: ({ stage: name }) => seen.push(name) })
    const [expected] = await inlineExecutor(warehouse.store).run([{ ...task, filePrefix: 'here' }])
    const plain = ({ files, ...rest }: typeof expected & object): object => ({ ...rest, files: files.length })
    expect(plain(first!)).toEqual(plain(expected!))
    expect(second!.files[0]!.dataFile.filePath).toContain('/other-0-0.parquet')
    expect(new Set(seen)).toEqual(new Set(['read', 'write']))
  })

  it('throws what the task threw', async () => {
    const { warehouse, task } = await warehouseWithTask('broken')
    const [chain] = task.inputs as Extract<CompactionTask['inputs'][number], { kind: 'chain' }>[]
    const stderr = new PassThrough()
    const executor = processExecutor({ warehouse: warehouse.store.url, stderr })
    const error = await errorOf(executor.run([{ ...task, inputs: [{ ...chain!, to: '7' }] }]))
    expect(error).toMatchObject({ kind: 'corrupt', code: 'FIRN_CHAIN_BROKEN', detail: { shardId: 'a' } })
    expect(String(stderr.read() ?? '')).toBe('')
  })

  it.each([
    ['a code', 'console.error("first"); console.error("out of luck"); process.exit(7)', /code 7.*: out of luck$/],
    ['a signal', 'process.kill(process.pid, "SIGKILL")', /ended by SIGKILL$/],
    ['a result that is cut', 'process.stdout.write(\'{"schema":"firn.compac\')', /code 0 before its result$/],
    [
      'a result and then a failure',
      'console.log(\'{"schema":"firn.compaction-result/1"}\'); process.exitCode = 1',
      /code 1/,
    ],
  ])('says that a task has died: %s', async (name, code, message) => {
    const { warehouse, task } = await warehouseWithTask(`died-${name}`)
    const options = await program(`died-${name}`, `${code}\nprocess.disconnect?.()`)
    const error = await errorOf(processExecutor({ warehouse: warehouse.store.url, ...options }).run([task]))
    expect(error).toMatchObject({ kind: 'failed', code: 'FIRN_TASK_CRASHED', message: expect.stringMatching(message) })
  })

  it('says that the program is missing', async () => {
    const { warehouse, task } = await warehouseWithTask('missing')
    const executor = processExecutor({ warehouse: warehouse.store.url, command: [join(folder, 'no such program')] })
    expect(await errorOf(executor.run([task]))).toMatchObject({ code: 'FIRN_TASK_CRASHED' })
  })

  it('says that it has no folder for task files', async () => {
    const { warehouse, task } = await warehouseWithTask('no-folder')
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = join(folder, 'absent')
    try {
      const error = await errorOf(processExecutor({ warehouse: warehouse.store.url }).run([task]))
      expect(error).toMatchObject({
        kind: 'invalid',
        code: 'FIRN_SPILL_FAILED',
        help: expect.stringContaining('TMPDIR'),
      })
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    }
  })

  it('ends its processes on abort, and one that fails ends the others', async () => {
    const { warehouse, task } = await warehouseWithTask('abort')
    const pids = join(folder, 'pids')
    const waiting = await program(
      'waiting',
      `import { appendFileSync, readFileSync } from 'node:fs'
       if (readFileSync(process.argv[4], 'utf8').includes('"dies"')) process.exit(3)
       appendFileSync(${JSON.stringify(pids)}, process.pid + '\\n')
       process.send({ progress: { stage: 'read', records: 1, bytes: 1, rows: 1 } })
       setInterval(() => {}, 1000)`,
    )
    const executor = processExecutor({ warehouse: warehouse.store.url, maxProcesses: 2, ...waiting })
    const stop = new AbortController()
    const reason = new Error('enough')
    const begun = (): void => stop.abort(reason)
    expect(await errorOf(executor.run([task, task], { signal: stop.signal, onProgress: begun }))).toBe(reason)
    const failed = await errorOf(executor.run([task, { ...task, runId: 'dies' }]))
    expect(failed).toMatchObject({ code: 'FIRN_TASK_CRASHED' })
    const started = (await readFile(pids, 'utf8')).trim().split('\n')
    expect(started.length).toBeGreaterThanOrEqual(2)
    expect(started.filter((pid) => isAlive(Number(pid)))).toEqual([])
  })

  it('puts nothing that opens stores into the task file or the arguments', async () => {
    const { warehouse, task } = await warehouseWithTask('secret')
    const told = await program(
      'told',
      `import { readFileSync } from 'node:fs'
       process.once('message', (message) => {
         const seen = readFileSync(process.argv[4], 'utf8') + process.argv.join(' ') + JSON.stringify(process.env)
         const result = { schema: 'firn.compaction-result/1', told: message, leaked: seen.includes('very-secret') }
         process.stdout.write(JSON.stringify(result), () => process.disconnect())
       })`,
    )
    const storeOptions = { s3: { endpoint: 'http://127.0.0.1:1' } }
    const tableStoreOptions = { s3: { region: 'very-secret' } }
    const executor = processExecutor({ warehouse: warehouse.store.url, storeOptions, ...told })
    const [result] = await executor.run([task], { tableStoreOptions })
    expect(result).toMatchObject({ told: { storeOptions, tableStoreOptions }, leaked: false })
  })

  it('refuses what cannot work', () => {
    expect(() => processExecutor({ warehouse: 'memory://x' })).toThrow(/memory:\/\/x/)
    expect(() => processExecutor({ warehouse: 'file:///x', maxProcesses: 65 })).toThrow(/maxProcesses/)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
