/**
 * ROUGE-1, ROUGE-2 and ROUGE-L as F1, without stemming.
 *
 * Words are runs of letters, marks and digits of any script, lower-cased; everything else separates. For ASCII text
 * that is what the Python package `rouge-score` does with `use_stemmer=False`, and the scores are the same. ROUGE-L is
 * the one of sentences: the longest common subsequence of the whole texts.
 */
export interface Rouge {
  readonly rouge1: number
  readonly rouge2: number
  readonly rougeL: number
}

export const rougeWords = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []

export function rouge(candidate: string, reference: string): Rouge {
  const given = rougeWords(candidate)
  const wanted = rougeWords(reference)
  return {
    rouge1: overlap(given, wanted, 1),
    rouge2: overlap(given, wanted, 2),
    rougeL: f1(longestCommon(given, wanted), given.length, wanted.length),
  }
}

/** Mean over pairs; all zero without any. */
export function meanRouge(scores: readonly Rouge[]): Rouge {
  const mean = (of: (score: Rouge) => number): number =>
    scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + of(score), 0) / scores.length
  return { rouge1: mean((s) => s.rouge1), rouge2: mean((s) => s.rouge2), rougeL: mean((s) => s.rougeL) }
}

/** The first `count` words of a text, as they stand: what a model has to beat. */
export function leadWords(text: string, count: number): string {
  const words = text.match(/\S+/gu) ?? []
  return words.slice(0, count).join(' ')
}

function overlap(given: readonly string[], wanted: readonly string[], size: number): number {
  const counts = gramsOf(given, size)
  const expected = gramsOf(wanted, size)
  let shared = 0
  for (const [gram, count] of expected) shared += Math.min(count, counts.get(gram) ?? 0)
  return f1(shared, given.length - size + 1, wanted.length - size + 1)
}

function gramsOf(words: readonly string[], size: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let at = 0; at + size <= words.length; at++) {
    const gram = words.slice(at, at + size).join(' ')
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  return counts
}

function f1(shared: number, given: number, wanted: number): number {
  return shared === 0 ? 0 : (2 * shared) / (given + wanted)
}

/** Length of the longest common subsequence, in the memory of one row. */
function longestCommon(left: readonly string[], right: readonly string[]): number {
  const lengths = new Int32Array(right.length + 1)
  for (const word of left) {
    let diagonal = 0
    for (let at = 0; at < right.length; at++) {
      const above = lengths[at + 1]!
      lengths[at + 1] = word === right[at] ? diagonal + 1 : Math.max(above, lengths[at]!)
      diagonal = above
    }
  }
  return lengths[right.length]!
}
