import { expect, test, vi } from 'vitest'
import { openBackend } from '../../../jobs/train/backend.ts'
import { summarize } from '../../../jobs/train/evaluate.ts'
import { buildSummarizer } from '../../../jobs/train/model.ts'
import { trainTokenizer } from '../../../loader/index.ts'

test('a title is one line, whatever white space the model copied', async () => {
  const { tf } = await openBackend('cpu')
  const tokenizer = await trainTokenizer(['one two three'], { vocabSize: 300 })
  const sizes = { articleTokens: 8, titleTokens: 4, width: 4, encoderLayers: 1, seed: 1 }
  const summarizer = buildSummarizer(tf, { ...sizes, vocabulary: tokenizer.vocabSize })
  vi.spyOn(tokenizer, 'decode').mockReturnValue(' two\n\n\tlines\u2028 of ')
  expect(await summarize(summarizer, tokenizer, ['one two'])).toEqual(['two lines of'])
})
