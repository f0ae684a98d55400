import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { articleIds, idsOf, openTraining } from '../../../jobs/train/data.ts'
import type { TrainSettings } from '../../../jobs/train/settings.ts'
import { trainTokenizer } from '../../../loader/index.ts'
import { systemClock } from '../../../table/index.ts'
import { articlesTable, TABLE } from './articles.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firn-training-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('the first word of a title is the token that it is within the article, and articles by themselves are the same', async () => {
  const warehouse = `file://${join(folder, 'warehouse')}`
  const content = 'The river rose beyond the old bridge'
  const rows = [{ article_id: 'a', title: 'bridge lost', content }]
  const { table } = await articlesTable(warehouse, rows, { fileRows: 1 })
  const sizes = { vocabulary: 300, articleTokens: 64, titleTokens: 8, width: 4, encoderLayers: 1, seed: 0 }
  const tokenizer = await trainTokenizer([`${content} bridge bridge river river`], { vocabSize: 300 })
  const settings: TrainSettings = {
    table: TABLE,
    snapshotId: String(table.currentSnapshot()!.snapshotId),
    since: null,
    replay: 0,
    content: 'content',
    title: 'title',
    key: 'article_id',
    validationBuckets: 0,
    batchSize: 1,
    steps: 1,
    learningRate: 0.01,
    seed: 0,
    sizes,
  }
  const { signal } = new AbortController()
  const source = { warehouse, table: TABLE }
  const data = await openTraining(settings, { source, numWorkers: 0, clock: systemClock, signal }, tokenizer)
  try {
    const batches = []
    for await (const record of data.epoch(0)) batches.push(idsOf(record))
    expect(batches.length).toBe(1)
    const { articles, titles } = batches[0]!
    expect(tokenizer.decode([titles[0]!])).toBe(' bridge')
    expect([...articles]).toContain(titles[0])
    expect(articles).toEqual(articleIds(tokenizer, content, sizes))
  } finally {
    await data.close()
  }
})
