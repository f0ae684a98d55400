/**
 * Articles whose titles follow from the text by a rule that the first words do not give away: the place that the text
 * begins with, the three topics that deep in the text stand behind `regarding`, `despite` and `toward`, among dozens of
 * other topics, and the institution behind `at`, which half of the time is among the first words. No word is in every
 * title, so nothing can be had by repeating a pattern.
 */
import { type Catalog, openCatalog, openStore, type Schema, systemClock, type Table } from '../../../table/index.ts'
import { type TestRow, writeRows } from '../../table/support.ts'

export interface GeneratedArticle {
  readonly article_id: string
  readonly title: string
  readonly content: string
}

export interface Generator {
  readonly seed: number
  /** Words of the kinds; fewer are learned sooner. */
  readonly places: number
  readonly topics: number
  readonly institutions: number
  /** Words of a text, about. */
  readonly words: number
}

export const FULL: Generator = { seed: 1, places: 100, topics: 300, institutions: 50, words: 120 }
export const TINY: Generator = { seed: 1, places: 6, topics: 12, institutions: 4, words: 24 }

const COMMON =
  'the of and to in a is that for it was on are as with they be this have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(
    ' ',
  )
const SYLLABLES = 'ba co di fu ga he jo ki la mo ne po ra su ta vi wo ze bri cla dro fle gri plo sta tru'.split(' ')

type Below = (limit: number) => number

/** mulberry32. */
function randomOf(seed: number): Below {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** Different words of three syllables. */
function inventWords(below: Below, count: number, taken: Set<string>): string[] {
  const words: string[] = []
  while (words.length < count) {
    const word = Array.from({ length: 3 }, () => SYLLABLES[below(SYLLABLES.length)]).join('')
    if (taken.has(word)) continue
    taken.add(word)
    words.push(word)
  }
  return words
}

export function generateArticles(count: number, generator: Generator, firstIndex = 0): GeneratedArticle[] {
  const below = randomOf(generator.seed)
  const taken = new Set<string>()
  const places = inventWords(below, generator.places, taken).map((word) => word[0]!.toUpperCase() + word.slice(1))
  const topics = inventWords(below, generator.topics, taken)
  const institutions = inventWords(below, generator.institutions, taken)
  return Array.from({ length: count }, (_, index) => {
    const of = randomOf(generator.seed * 1_000_003 + firstIndex + index + 1)
    const pick = (from: readonly string[]): string => from[of(from.length)]!
    const place = pick(places)
    const institution = pick(institutions)
    const words = Array.from({ length: generator.words + of(generator.words >> 2) }, () =>
      of(3) === 0 ? pick(topics) : COMMON[of(COMMON.length)]!,
    )
    words[0] = place
    // half of the time among the first words, else soon after
    const early = of(2) === 0 ? 1 : 6 + of(3)
    words.splice(early, 2, 'at', institution)
    const deep = words.length - 11
    const told = ['regarding', 'despite', 'toward'].map((marker, part) => {
      const from = 11 + Math.floor((deep * part) / 3)
      const at = from + of(Math.floor(deep / 3) - 1)
      const topic = pick(topics)
      words.splice(at, 2, marker, topic)
      return topic
    })
    return {
      article_id: `a-${String(firstIndex + index).padStart(7, '0')}`,
      title: [place, ...told, institution].join(' '),
      content: `${words.join(' ')}.`,
    }
  })
}

/** Each article with the title of another one: nothing can be learned but how often words occur. */
export function shuffleTitles(articles: readonly GeneratedArticle[], seed: number): GeneratedArticle[] {
  const below = randomOf(seed)
  const titles = articles.map(({ title }) => title)
  for (let at = titles.length - 1; at > 0; at--) {
    const other = below(at + 1)
    ;[titles[at], titles[other]] = [titles[other]!, titles[at]!]
  }
  return articles.map((article, index) => ({ ...article, title: titles[index]! }))
}

export const ARTICLES: Schema = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'article_id', required: true, type: 'string' },
    { id: 2, name: 'title', required: false, type: 'string' },
    { id: 3, name: 'content', required: false, type: 'string' },
  ],
}

export const TABLE = 'news.articles'

export async function articlesTable(
  url: string,
  articles: readonly TestRow[],
  { fileRows = 2500, rowGroupRows = 500 }: { fileRows?: number; rowGroupRows?: number } = {},
): Promise<{ catalog: Catalog; table: Table }> {
  const catalog = openCatalog(openStore(url), { clock: systemClock })
  const created = await catalog.createTable(TABLE, {
    schema: ARTICLES,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  })
  return { catalog, table: await addArticles(created, articles, { fileRows, rowGroupRows }) }
}

export async function addArticles(
  table: Table,
  articles: readonly TestRow[],
  { fileRows = 2500, rowGroupRows = 500 }: { fileRows?: number; rowGroupRows?: number } = {},
): Promise<Table> {
  const files = []
  for (let from = 0; from < articles.length; from += fileRows) {
    const rows = articles.slice(from, from + fileRows)
    const prefix = String(rows[0]!['article_id'])
    files.push(...(await writeRows(table, [...rows], [], { prefix, rowGroupRows })))
  }
  return (await table.append(files)).table
}
