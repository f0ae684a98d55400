/** The datasets of a training: what is learned from, what is kept for validation, and ids out of batches. */
import type { RecordBatch } from 'apache-arrow'
import {
  type Dataset,
  type DatasetOptions,
  mix,
  openDataset,
  type Tokenizer,
  tokenize,
  tokenizerOf,
} from '../../loader/index.ts'
import type { Clock } from '../../table/clock.ts'
import type { IdBatch, ModelSizes } from './model.ts'
import { BUCKETS, type TrainSettings } from './settings.ts'

/** Where rows come from and how they are read; none of it changes the weights. */
export interface DataAccess {
  readonly source: Pick<DatasetOptions, 'warehouse' | 'catalog' | 'storeOptions' | 'table'>
  readonly numWorkers: number | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What the training loop needs of one dataset, or of several that are mixed. */
export interface BatchSource {
  epoch(epoch?: number, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<RecordBatch>
  stateDict(): string
  loadStateDict(token: string): Promise<{ readonly epoch: number }>
  /** Of an epoch; reads the columns of filter and split where metadata does not tell. */
  countBatches(): Promise<number>
  close(): Promise<void>
}

const ARTICLE_IDS = 'article_ids'
const TITLE_IDS = 'title_ids'

type Rows = 'training' | 'validation'

/** Rows that have both texts; those without cannot teach anything. */
function baseOptions(settings: TrainSettings, access: DataAccess, rows: Rows): Omit<DatasetOptions, 'batch'> {
  const { content, title, key, validationBuckets } = settings
  const { source, numWorkers, clock, signal } = access
  const include: [number, number] = rows === 'training' ? [validationBuckets, BUCKETS] : [0, validationBuckets]
  return {
    ...source,
    columns: [content, title],
    filter: `${quoted(content)} is not null and ${quoted(title)} is not null`,
    ...(validationBuckets === 0 ? {} : { split: { column: key, buckets: BUCKETS, include } }),
    shuffle: { seed: settings.seed },
    numWorkers,
    clock,
    signal,
  }
}

const quoted = (column: string): string =>
  /^[A-Za-z_]\w*$/.test(column) ? column : `"${column.replaceAll('"', '""')}"`

/** Texts to learn a vocabulary from, at most; more rows hardly change it. */
const VOCABULARY_ROWS = 50_000

/** A vocabulary of the training rows: those for validation have no say in it. */
export async function learnVocabulary(settings: TrainSettings, access: DataAccess, size: number): Promise<Tokenizer> {
  const { content, title, snapshotId } = settings
  const dataset = await openDataset({
    ...baseOptions(settings, access, 'training'),
    snapshot: { id: snapshotId },
    batch: { size: 256 },
  })
  try {
    const options = { columns: [content, title], vocabSize: size, sampleRows: VOCABULARY_ROWS, signal: access.signal }
    return await tokenizerOf(dataset, options)
  } finally {
    await dataset[Symbol.asyncDispose]()
  }
}

export interface TrainingData extends BatchSource {
  readonly datasets: readonly Dataset[]
}

export async function openTraining(
  settings: TrainSettings,
  access: DataAccess,
  tokenizer: Tokenizer,
): Promise<TrainingData> {
  const { content, title, snapshotId, sizes, batchSize } = settings
  const transform = tokenize({
    tokenizer,
    columns: {
      // a title's first word is copied from within the article, where a space is before it
      [content]: { to: ARTICLE_IDS, maxTokens: sizes.articleTokens, leadingSpace: true },
      [title]: { to: TITLE_IDS, maxTokens: sizes.titleTokens, eos: true, leadingSpace: true },
    },
  })
  const common: DatasetOptions = {
    ...baseOptions(settings, access, 'training'),
    transform,
    prefetchBatches: 8,
    batch: { size: batchSize },
  }
  const { since } = settings
  if (since === null) {
    const all = await openDataset({ ...common, snapshot: { id: snapshotId } })
    return ofDatasets(all, [all], batchSize, () => all.count())
  }
  const delta = await openDataset({ ...common, snapshot: { after: since, upTo: snapshotId } })
  const counted = (): Promise<number> => delta.count()
  if (settings.replay === 0) return ofDatasets(delta, [delta], batchSize, counted)
  try {
    // in another order than when they were new
    const shuffle = { seed: settings.seed + 1 }
    const old = await openDataset({ ...common, snapshot: { id: since }, shuffle })
    const parts = [
      { dataset: delta, proportion: 1 - settings.replay },
      { dataset: old, proportion: settings.replay },
    ]
    // an epoch sees the new rows once, and as many old ones as their share asks for
    const mixed = mix(parts, { seed: settings.seed })
    return ofDatasets(mixed, [delta, old], batchSize, async () => (await counted()) / (1 - settings.replay))
  } catch (error) {
    await delta[Symbol.asyncDispose]()
    throw error
  }
}

function ofDatasets(
  source: Pick<BatchSource, 'epoch' | 'stateDict' | 'loadStateDict'> & AsyncDisposable,
  datasets: readonly Dataset[],
  batchSize: number,
  rows: () => Promise<number>,
): TrainingData {
  return {
    datasets,
    epoch: (epoch, options) => source.epoch(epoch, options),
    stateDict: () => source.stateDict(),
    loadStateDict: (token) => source.loadStateDict(token),
    countBatches: async () => Math.ceil((await rows()) / batchSize),
    close: async () => await source[Symbol.asyncDispose](),
  }
}

export interface Pair {
  readonly article: string
  readonly title: string
}

/** The same rows for the same snapshot and seed; fewer when there are not as many. */
export async function validationPairs(settings: TrainSettings, access: DataAccess, count: number): Promise<Pair[]> {
  const pairs: Pair[] = []
  if (settings.validationBuckets === 0 || count === 0) return pairs
  const dataset = await openDataset({
    ...baseOptions(settings, access, 'validation'),
    snapshot: { id: settings.snapshotId },
    batch: { size: 64 },
  })
  try {
    for await (const record of dataset.epoch(0)) {
      const [articles, titles] = [settings.content, settings.title].map((name) => record.getChild(name)!)
      for (let row = 0; row < record.numRows && pairs.length < count; row++) {
        pairs.push({ article: String(articles!.get(row)), title: String(titles!.get(row)) })
      }
      if (pairs.length >= count) break
    }
    return pairs
  } finally {
    await dataset[Symbol.asyncDispose]()
  }
}

/** Ids of a batch of `openTraining`. */
export function idsOf(record: RecordBatch): IdBatch {
  return { rows: record.numRows, articles: listOf(record, ARTICLE_IDS), titles: listOf(record, TITLE_IDS) }
}

/** The lists of a column of fixed width, one after the other: the tokenizer made them so. */
function listOf(record: RecordBatch, column: string): Int32Array {
  const lists = record.getChild(column)!.data[0]!
  const [values] = lists.children
  const width = (values!.length + values!.offset) / (lists.length + lists.offset)
  const from = lists.offset * width
  return (values!.values as Int32Array).subarray(from, from + lists.length * width)
}

/** Ids of an article that did not come from a dataset, as the training's are. */
export function articleIds(tokenizer: Tokenizer, article: string, { articleTokens }: ModelSizes): Int32Array {
  const ids = new Int32Array(articleTokens)
  const bytes = Buffer.from(article === '' || article.startsWith(' ') ? article : ` ${article}`, 'utf8')
  tokenizer.encodeInto(bytes, ids, 0, articleTokens)
  return ids
}
