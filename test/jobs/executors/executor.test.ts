import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CompactionTask } from '../../../jobs/compaction/task.ts'
import { executorFor, inlineExecutor, workerExecutor } from '../../../jobs/executors/executor.ts'
import { errorFromWire, errorToWire } from '../../../table/errors.ts'
import { FirnError, openCatalog, openStore } from '../../../table/index.ts'
import {
  articleRecords,
  fixedClock,
  loadTable,
  memoryWarehouse,
  NOON,
  rowsOf,
  runCompaction,
  stage,
  type Warehouse,
} from '../compaction/fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-executor-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

function fileWarehouse(name: string): Warehouse {
  const clock = fixedClock(NOON)
  const store = openStore(pathToFileURL(join(folder, name)).href, { clock })
  return { store, catalog: openCatalog(store, { clock }), clock }
}

/** The task that a run would execute. */
async function taskOf(warehouse: Warehouse): Promise<CompactionTask> {
  let captured: CompactionTask | undefined
  const executor = {
    run: async (tasks: readonly CompactionTask[]) => {
      captured = tasks[0]
      throw new Error('captured')
    },
  }
  await runCompaction(warehouse, { executor }).catch(() => {})
  return captured!
}

describe('workerExecutor', () => {
  it('runs a task in a worker thread with the same result as in this one', async () => {
    const warehouse = fileWarehouse('same')
    await stage(warehouse, {
      a: { records: [...articleRecords(0, 300), { sequence: '999', arrivalMillis: NOON, data: 'bad' }] },
    })
    const result = await runCompaction(warehouse, { executor: executorFor(warehouse.store) })
    expect(result).toMatchObject({ rows_added: 300, quarantined: { 'decode.json': 1 } })
    const inline = memoryWarehouse()
    await stage(inline, {
      a: { records: [...articleRecords(0, 300), { sequence: '999', arrivalMillis: NOON, data: 'bad' }] },
    })
    const expected = await runCompaction(inline, { executor: executorFor(inline.store) })
    expect(result.averages).toEqual(expected.averages)
    expect(await rowsOf(await loadTable(warehouse))).toEqual(await rowsOf(await loadTable(inline)))
  })

  it('runs several tasks at a time and gives their results in order', async () => {
    const warehouse = fileWarehouse('several')
    await stage(warehouse, { a: { records: articleRecords(0, 20) }, b: { records: articleRecords(20, 50) } })
    const task = await taskOf(warehouse)
    const tasks = [0, 1, 0].map((shard, index) => ({
      ...task,
      filePrefix: `t${index}`,
      inputs: [task.inputs[shard]!],
    }))
    const executor = workerExecutor({ warehouse: warehouse.store.url, maxWorkers: 2 })
    const results = await executor.run(tasks)
    expect(results.map((result) => result.rowsAdded)).toEqual([20, 30, 20])
    expect(await executor.run([])).toEqual([])
  })

  it('carries an error of the task over with kind, code, detail and help', async () => {
    const warehouse = fileWarehouse('error')
    await stage(warehouse, { a: { records: articleRecords(0, 20) } })
    const task = await taskOf(warehouse)
    const broken = { ...task, inputs: [{ ...task.inputs[0]!, to: '21' }] }
    const error: unknown = await workerExecutor({ warehouse: warehouse.store.url })
      .run([broken])
      .catch((thrown: unknown) => thrown)
    expect(FirnError.is(error, 'FIRN_CHAIN_BROKEN')).toBe(true)
    expect(error).toMatchObject({ kind: 'corrupt', detail: { shardId: 'a' }, help: expect.stringContaining('restore') })
  })

  it('stops the worker on abort and rejects with the reason', async () => {
    const warehouse = fileWarehouse('abort')
    await stage(warehouse, { a: { records: articleRecords(0, 2000) } })
    const task = await taskOf(warehouse)
    const executor = workerExecutor({ warehouse: warehouse.store.url })
    const reason = new Error('enough')
    await expect(executor.run([task], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const stop = new AbortController()
    const running = executor.run([task, task], { signal: stop.signal })
    setTimeout(() => stop.abort(reason), 20)
    await expect(running).rejects.toBe(reason)
  })

  it('says so when a worker runs out of memory', async () => {
    const warehouse = fileWarehouse('memory')
    await stage(warehouse, { a: { records: articleRecords(0, 2000) } })
    const executor = workerExecutor({ warehouse: warehouse.store.url, maxHeapMebibytes: 4 })
    await expect(executor.run([await taskOf(warehouse)])).rejects.toMatchObject({
      kind: 'failed',
      code: 'FIRN_TASK_CRASHED',
    })
  })

  it('refuses what cannot work', () => {
    expect(() => workerExecutor({ warehouse: 'memory://x' })).toThrow(/memory:\/\/x/)
    expect(() => workerExecutor({ warehouse: 'file:///x', maxWorkers: 0 })).toThrow(/maxWorkers/)
  })
})

describe('inlineExecutor', () => {
  it('refuses a task of another version', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    const task = { ...(await taskOf(warehouse)), schema: 'firn.compaction-task/9' } as unknown as CompactionTask
    await expect(inlineExecutor(warehouse.store).run([task])).rejects.toMatchObject({ code: 'FIRN_TASK_UNSUPPORTED' })
  })
})

describe('errors between threads', () => {
  it('survive JSON, ours and others', () => {
    const ours = new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'm', { detail: { key: 'k' }, help: 'h' })
    const back = errorFromWire(JSON.parse(JSON.stringify(errorToWire(ours))) as ReturnType<typeof errorToWire>)
    expect(back).toMatchObject({
      kind: 'unavailable',
      code: 'FIRN_STORE_UNAVAILABLE',
      message: 'm',
      detail: { key: 'k' },
      help: 'h',
    })
    expect(back.stack).toBe(ours.stack)
    expect(errorFromWire(errorToWire(new TypeError('t'))).message).toBe('t')
    expect(errorFromWire(errorToWire('text')).message).toBe('text')
  })

  it('keep the errors that they wrap, with the stacks of those', () => {
    const inner = new TypeError('in the module of a user')
    const ours = new FirnError('failed', 'FIRN_TRANSFORM_FAILED', 'm', {
      cause: new Error('between', { cause: inner }),
    })
    const back = errorFromWire(JSON.parse(JSON.stringify(errorToWire(ours))) as ReturnType<typeof errorToWire>)
    expect(back).toMatchObject({
      code: 'FIRN_TRANSFORM_FAILED',
      cause: { message: 'between', cause: { message: inner.message } },
    })
    expect((back.cause as Error & { cause: Error }).cause.stack).toBe(inner.stack)
    inner.cause = ours // a circle ends
    expect(errorFromWire(errorToWire(ours)).message).toBe('m')
    expect(errorFromWire(errorToWire(new Error('without'))).cause).toBeUndefined()
  })

  it('keep a cause that is no error as text', () => {
    const ours = new FirnError('failed', 'FIRN_TRANSFORM_FAILED', 'm', { cause: 'why' })
    expect(errorFromWire(errorToWire(ours)).cause).toMatchObject({ message: 'why' })
  })
})
