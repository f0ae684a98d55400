import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type SessionOptions,
  type SessionResult,
  type TrainingRequest,
  trainModel,
} from '../../../jobs/train/session.ts'
import { systemClock } from '../../../table/index.ts'
import { BIN, bareEnvironment } from '../cli-support.ts'
import { addArticles, articlesTable, generateArticles, TABLE, TINY } from './articles.ts'

const STEPS = 24
let folder: string
let warehouse: string
let snapshotId: string
let laterSnapshotId: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-resume-'))
  warehouse = `file://${join(folder, 'warehouse')}`
  const rows = generateArticles(60, TINY).map((article) => ({ ...article }))
  const { table } = await articlesTable(warehouse, rows, { fileRows: 20, rowGroupRows: 7 })
  snapshotId = String(table.currentSnapshot()!.snapshotId)
  const more = generateArticles(30, TINY, 60).map((article) => ({ ...article }))
  const later = await addArticles(table, more, { fileRows: 10, rowGroupRows: 7 })
  laterSnapshotId = String(later.currentSnapshot()!.snapshotId)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Changes = Partial<Pick<SessionOptions, 'backend' | 'checkpointSteps' | 'onStep' | 'request' | 'table'>>

/** Rows of an epoch are no multiple of the batch, and the steps go through several epochs. */
function request(since: string | null = null): TrainingRequest {
  return {
    table: TABLE,
    snapshotId: since === null ? snapshotId : laterSnapshotId,
    since,
    replay: since === null ? 0 : 0.3,
    content: 'content',
    title: 'title',
    key: 'article_id',
    validationBuckets: 20,
    batchSize: 5,
    learningRate: 0.01,
    seed: 11,
    steps: STEPS,
    epochs: 1,
    sizes: { vocabulary: 300, articleTokens: 12, titleTokens: 5, width: 4, encoderLayers: 1, seed: 11 },
  }
}

function train(name: string, changes: Changes, signal = new AbortController().signal): Promise<SessionResult> {
  return trainModel({
    modelFolder: join(folder, name),
    backend: 'cpu',
    access: { source: { warehouse, table: TABLE }, numWorkers: 0, clock: systemClock, signal },
    table: TABLE,
    request: request(),
    validationRows: 3,
    leadWords: undefined,
    run: 'same',
    checkpointSteps: 5,
    ...changes,
  })
}

const weightsOf = (name: string): Promise<Buffer> => readFile(join(folder, name, `weights-same-${STEPS}.bin`))

const checkpoints = (name: string): Promise<string[]> =>
  readdir(join(folder, name, 'checkpoints')).catch(() => [] as string[])

describe('an interrupted training', () => {
  let whole: Buffer
  let wholeResult: SessionResult
  beforeAll(async () => {
    wholeResult = await train('whole', {})
    whole = await weightsOf('whole')
  })

  test('ends with the weights of one that was not, wherever the signal came', async () => {
    for (const at of [1, 9, 10, STEPS]) {
      const name = `cut-${at}`
      const interrupt = new AbortController()
      const reason = new Error('interrupted')
      const onStep: SessionOptions['onStep'] = ({ step }) => {
        if (step === at) interrupt.abort(reason)
      }
      await expect(train(name, { onStep }, interrupt.signal)).rejects.toBe(reason)
      expect(await checkpoints(name)).toContain(`step-${String(at).padStart(9, '0')}`)
      const steps: number[] = []
      const result = await train(name, { request: undefined, onStep: ({ step }) => void steps.push(step) })
      expect(steps).toEqual(Array.from({ length: STEPS - at }, (_, index) => at + 1 + index))
      expect((await weightsOf(name)).equals(whole)).toBe(true)
      expect({ ...result, seconds: 0 }).toEqual({ ...wholeResult, seconds: 0 })
    }
  })

  test('and so when its process was killed', async () => {
    const args = ['train', TABLE, '--model', join(folder, 'killed'), '--warehouse', warehouse, '--backend', 'cpu']
    const sizes = ['--vocabulary', '300', '--article-tokens', '12', '--title-tokens', '5', '--width', '4']
    const how = [
      '--batch-size',
      '5',
      '--learning-rate',
      '0.01',
      '--seed',
      '11',
      '--steps',
      String(STEPS),
      '--run',
      'same',
    ]
    const rest = ['--snapshot', snapshotId, '--validation', '20', '--validation-rows', '3', '--checkpoint-steps', '2']
    const child = spawn(process.execPath, [BIN, ...args, ...sizes, ...how, ...rest], {
      cwd: folder,
      env: bareEnvironment(folder),
      stdio: 'ignore',
    })
    const closed = once(child, 'close')
    while (child.exitCode === null && (await checkpoints('killed')).length < 2) await nextTurn()
    child.kill('SIGKILL')
    await closed
    expect((await checkpoints('killed')).length).toBeGreaterThan(0)
    await train('killed', { request: undefined })
    expect((await weightsOf('killed')).equals(whole)).toBe(true)
  })

  test('keeps its two newest checkpoints, and none when it has ended', async () => {
    const interrupt = new AbortController()
    const onStep: SessionOptions['onStep'] = ({ step }) => {
      if (step === 12) interrupt.abort(new Error('interrupted'))
    }
    await expect(train('kept', { onStep, checkpointSteps: 2 }, interrupt.signal)).rejects.toThrow('interrupted')
    expect((await checkpoints('kept')).sort()).toEqual(['step-000000010', 'step-000000012'])
    expect(await checkpoints('whole')).toEqual([])
  })

  test('is not begun anew by mistake, and not gone on with on another table', async () => {
    await expect(train('kept', {})).rejects.toMatchObject({
      code: 'FIRN_MODEL_EXISTS',
      help: expect.stringContaining('--resume'),
    })
    await expect(train('whole', {})).rejects.toMatchObject({
      code: 'FIRN_MODEL_EXISTS',
      help: expect.stringContaining('--since'),
    })
    await expect(train('kept', { request: undefined, table: 'news.others' })).rejects.toMatchObject({
      code: 'FIRN_CHECKPOINT_MISMATCH',
    })
    await expect(train('whole', { request: undefined })).rejects.toMatchObject({ code: 'FIRN_CHECKPOINT_NOT_FOUND' })
    await expect(train('nowhere', { request: undefined })).rejects.toMatchObject({ code: 'FIRN_CHECKPOINT_NOT_FOUND' })
  })

  test('a checkpoint that was damaged is refused, and the one before it still holds', async () => {
    const newest = join(folder, 'kept', 'checkpoints', 'step-000000012')
    const optimizer = await readFile(join(newest, 'optimizer.bin'))
    optimizer[40]! ^= 1
    await writeFile(join(newest, 'optimizer.bin'), optimizer)
    await expect(train('kept', { request: undefined })).rejects.toMatchObject({
      code: 'FIRN_CHECKPOINT_INVALID',
      kind: 'corrupt',
      help: 'remove the folder to go on from the one before it',
    })
    await rm(newest, { recursive: true })
    await train('kept', { request: undefined })
    expect((await weightsOf('kept')).equals(whole)).toBe(true)
  })
})

/** Interrupted at `step`, and resumed. */
async function cutAndResumed(name: string, step: number, changes: Changes): Promise<SessionResult> {
  const interrupt = new AbortController()
  const onStep: SessionOptions['onStep'] = (report) => {
    if (report.step === step) interrupt.abort(new Error('interrupted'))
  }
  await expect(train(name, { ...changes, onStep }, interrupt.signal)).rejects.toThrow('interrupted')
  return train(name, { ...changes, request: undefined })
}

test('on WebAssembly an interrupted training ends with the same weights too', async () => {
  await train('wasm-whole', { backend: 'wasm' })
  await cutAndResumed('wasm-cut', 13, { backend: 'wasm' })
  expect((await weightsOf('wasm-cut')).equals(await weightsOf('wasm-whole'))).toBe(true)
})

test('a training on new rows and replayed ones goes on in both where it was', async () => {
  for (const name of ['further-whole', 'further-cut']) {
    await train(name, {})
  }
  const result = await train('further-whole', { request: request(snapshotId) })
  expect(result.rows).toBeGreaterThan(0)
  expect((await cutAndResumed('further-cut', 11, { request: request(snapshotId) })).rows).toBe(result.rows)
  expect((await weightsOf('further-cut')).equals(await weightsOf('further-whole'))).toBe(true)
})

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
