/** Greedy decoding: the likeliest word after the other, from the vocabulary or out of the article. */
import type { Tensor, Tensor3D } from './backend.ts'
import type { Summarizer } from './model.ts'

export interface Marks {
  /** Before a title. */
  readonly begin: number
  /** Behind it. */
  readonly end: number
}

/** @param articles `rows` by `articleTokens` ids, 0 after the end. @returns ids of each title, without marks. */
export function writeTitles(summarizer: Summarizer, articles: Int32Array, rows: number, marks: Marks): number[][] {
  const { tf, encoder, decoder, sizes } = summarizer
  const { articleTokens, titleTokens, vocabulary } = sizes
  const titles: number[][] = Array.from({ length: rows }, () => [])
  const isOpen = new Array<boolean>(rows).fill(true)
  const soFar = new Int32Array(rows * titleTokens)
  for (let row = 0; row < rows; row++) soFar[row * titleTokens] = marks.begin
  tf.tidy(() => {
    const article = tf.tensor2d(articles, [rows, articleTokens], 'int32')
    const encoded = encoder.apply(article) as Tensor
    for (let place = 0; place < titleTokens && isOpen.includes(true); place++) {
      tf.tidy(() => {
        const title = tf.tensor2d(soFar, [rows, titleTokens], 'int32')
        const made = decoder.apply([encoded, article, title]) as [Tensor3D, Tensor3D, Tensor3D]
        const [logits, copy, gate] = made.map((all) =>
          tf.slice(all, [0, place, 0], [rows, 1, all.shape[2]!]),
        ) as Tensor[]
        const words = tf.softmax(logits!).dataSync()
        const copies = copy!.dataSync()
        const gates = gate!.dataSync()
        for (let row = 0; row < rows; row++) {
          if (!isOpen[row]) continue
          const chances = words.slice(row * vocabulary, (row + 1) * vocabulary)
          const write = gates[row]!
          for (let id = 0; id < vocabulary; id++) chances[id]! *= write
          for (let at = 0; at < articleTokens; at++) {
            chances[articles[row * articleTokens + at]!]! += (1 - write) * copies[row * articleTokens + at]!
          }
          const next = likeliest(chances, marks)
          isOpen[row] = next !== marks.end
          if (next === marks.end) continue
          titles[row]!.push(next)
          if (place + 1 < titleTokens) soFar[row * titleTokens + place + 1] = next
        }
      })
    }
  })
  return titles
}

/** Never padding, never a second beginning. */
function likeliest(chances: ArrayLike<number>, { begin, end }: Marks): number {
  let best = end
  for (let id = 1; id < chances.length; id++) if (id !== begin && chances[id]! > chances[best]!) best = id
  return best
}
