/** How good the titles are that a model writes, next to the first words of the articles. */
import type { Tokenizer } from '../../loader/index.ts'
import { articleIds, type Pair } from './data.ts'
import type { Summarizer } from './model.ts'
import { marksOf } from './model-files.ts'
import { leadWords, meanRouge, type Rouge, rouge, rougeWords } from './rouge.ts'
import { writeTitles } from './write-titles.ts'

export interface Evaluation {
  readonly rows: number
  readonly rouge: Rouge
  /** Of the first `leadWords` words of each article. */
  readonly baseline: Rouge
  readonly leadWords: number
}

const BATCH = 32

/**
 * Titles for articles, a line each. Gives the event loop a turn between batches, so that a signal is heard.
 * @throws `signal.reason`.
 */
export async function summarize(
  summarizer: Summarizer,
  tokenizer: Tokenizer,
  articles: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string[]> {
  const { articleTokens } = summarizer.sizes
  const marks = marksOf(tokenizer)
  const titles: string[] = []
  for (let from = 0; from < articles.length; from += BATCH) {
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
    const texts = articles.slice(from, from + BATCH)
    const ids = new Int32Array(texts.length * articleTokens)
    texts.forEach((text, row) => {
      ids.set(articleIds(tokenizer, text, summarizer.sizes), row * articleTokens)
    })
    for (const title of writeTitles(summarizer, ids, texts.length, marks)) {
      // one line, whatever was copied
      titles.push(tokenizer.decode(title).replace(/\s+/gu, ' ').trim())
    }
  }
  return titles
}

/** @param leadCount words of the baseline; default: as many as the titles have on average. */
export async function evaluate(
  summarizer: Summarizer,
  tokenizer: Tokenizer,
  pairs: readonly Pair[],
  { leadCount, signal }: { readonly leadCount?: number | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Evaluation | undefined> {
  if (pairs.length === 0) return undefined
  const count = leadCount ?? meanLength(pairs)
  const written = await summarize(
    summarizer,
    tokenizer,
    pairs.map(({ article }) => article),
    { signal },
  )
  return {
    rows: pairs.length,
    rouge: meanRouge(pairs.map(({ title }, index) => rouge(written[index]!, title))),
    baseline: meanRouge(pairs.map(({ title, article }) => rouge(leadWords(article, count), title))),
    leadWords: count,
  }
}

function meanLength(pairs: readonly Pair[]): number {
  const words = pairs.reduce((sum, { title }) => sum + rougeWords(title).length, 0)
  return Math.max(1, Math.round(words / pairs.length))
}
