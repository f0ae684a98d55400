/**
 * News articles out of nothing: a pure function of seed and index, so that a demo, a test and a benchmark can agree on
 * every byte without sharing a file. The text is made of a topic's own words among common ones, so that topics differ
 * as real ones do, with names and signs beyond ASCII.
 */

export interface Article {
  readonly article_id: string
  readonly title: string
  readonly author: string
  /** ISO 8601, UTC, seconds. */
  readonly publish_date: string
  /** 100 to 800 words. */
  readonly content: string
}

export interface ArticleRequest {
  readonly seed: number
  readonly index: number
  /** Articles were published in the 14 days before. */
  readonly newestMillis: number
}

const SPREAD_MILLIS = 14 * 86_400_000
const MIN_WORDS = 100
const MAX_WORDS = 800

const PLACES =
  'London|Zürich|São Paulo|東京|Łódź|Nairobi|Malmö|Reykjavík|Québec|Αθήνα|Київ|Mumbai|Lagos|Córdoba|München|İzmir'.split(
    '|',
  )
const AUTHORS =
  'Ada Nowak|José Álvarez|Mei Lin 林|Björn Åkesson|Fatima Zahra|Olga Петрова|Kwame Mensah|Zoë O’Neill|Ravi Iyer|Chloé Dubois|Hans Groß|Ngọc Trần'.split(
    '|',
  )
const COMMON =
  'the of and to in a is that for it was on are as with they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(
    ' ',
  )
const TOPICS: readonly (readonly [string, readonly string[]])[] = [
  ['Economy', 'inflation bank market export tariff wage budget investor bond growth currency trade union factory'],
  ['Climate', 'glacier emission drought flood carbon forest ocean heat turbine storm coast reef harvest snowfall'],
  ['Sport', 'coach final league striker marathon medal stadium referee transfer sprint goalkeeper season fan derby'],
  [
    'Science',
    'telescope particle genome laboratory orbit fossil quantum protein theory experiment galaxy sensor rocket',
  ],
  ['Health', 'vaccine hospital patient nurse therapy virus clinic surgery diagnosis diet sleep trial medicine symptom'],
  [
    'Technology',
    'chip software network robot battery startup privacy cloud algorithm satellite browser datacenter code',
  ],
  ['Culture', 'museum orchestra novel festival painter cinema theatre premiere sculpture poem café archive curator'],
  ['Politics', 'parliament coalition ballot minister treaty senate reform campaign mayor protest veto embassy debate'],
].map(([name, words]) => [name as string, (words as string).split(' ')] as const)

/** Deterministic: equal requests give equal articles on every machine. */
export function articleAt({ seed, index, newestMillis }: ArticleRequest): Article {
  const random = randomOf(seed, index)
  const below = (limit: number): number => Math.floor(random() * limit)
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
  const [topic, topicWords] = pick(TOPICS)
  const place = pick(PLACES)
  const secondMillis = Math.floor((newestMillis - random() * SPREAD_MILLIS) / 1000) * 1000
  return {
    article_id: `article-${seed}-${String(index).padStart(8, '0')}`,
    title: `${topic}: ${pick(topicWords)} and ${pick(topicWords)} in ${place}`,
    author: pick(AUTHORS),
    publish_date: new Date(secondMillis).toISOString().replace('.000Z', 'Z'),
    content: prose(below, topicWords, place),
  }
}

type Below = (limit: number) => number

function prose(below: Below, topicWords: readonly string[], place: string): string {
  const wordCount = MIN_WORDS + below(MAX_WORDS - MIN_WORDS + 1)
  let text = ''
  let written = 0
  let paragraphSentences = 0
  while (written < wordCount) {
    // Never a rest of fewer than three words: the last sentence takes it.
    const wanted = 6 + below(18)
    const length = wordCount - written - wanted < 3 ? wordCount - written : wanted
    text += sentence(below, topicWords, place, length)
    written += length
    if (written >= wordCount) break
    const newParagraph = ++paragraphSentences >= 4 && below(3) === 0
    if (newParagraph) paragraphSentences = 0
    text += newParagraph ? '\n\n' : ' '
  }
  return text
}

/** `length` words, counted by white space; dashes and quotes cling to a word. */
function sentence(below: Below, topicWords: readonly string[], place: string, length: number): string {
  const quoted = below(9) === 0 && length > 8
  let text = ''
  for (let i = 0; i < length; i++) {
    const kind = below(100)
    let word: string
    if (kind < 62) word = COMMON[Math.floor((below(1000) / 1000) ** 2 * COMMON.length)] as string
    else if (kind < 96) word = topicWords[Math.floor((below(1000) / 1000) ** 1.5 * topicWords.length)] as string
    else if (kind < 98) word = String(1 + below(2026))
    else word = place.replaceAll(' ', '-')
    if (i === 0) word = (quoted ? '“' : '') + word.charAt(0).toUpperCase() + word.slice(1)
    else text += i === length >> 1 && length > 14 ? ', ' : ' '
    text += word
  }
  const mark = below(40)
  return `${text}${mark === 0 ? '!' : mark === 1 ? '?' : mark === 2 ? '…' : '.'}${quoted ? '”' : ''}`
}

/** mulberry32, seeded by a mix of both numbers: a period of 2^32 is plenty for one article. */
function randomOf(seed: number, index: number): () => number {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
