/**
 * Python's `tokenizers`, the reference of the format, reads our files, encodes alike, and learns the same vocabulary.
 * It is there after: python3 -m venv .cache/tokenizers-venv && .cache/tokenizers-venv/bin/pip install tokenizers
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { trainTokenizer } from '../../../loader/tokenizer/train.ts'
import { articles, NASTY, text } from './support.ts'

const PYTHON: string = fileURLToPath(new URL('../../../.cache/tokenizers-venv/bin/python', import.meta.url))

const SCRIPT = `
import json, sys
from tokenizers import Tokenizer, models, trainers
given = json.load(sys.stdin)
ours = Tokenizer.from_str(given["tokenizer"])
ours.encode_special_tokens = True
texts = given["texts"]
ids = [ours.encode(text).ids for text in texts]
decoded = [ours.decode(one) for one in ids]
theirs = Tokenizer(models.BPE())
theirs.pre_tokenizer = ours.pre_tokenizer
trainer = trainers.BpeTrainer(vocab_size=given["vocabSize"], min_frequency=2, show_progress=False,
    special_tokens=given["specialTokens"], initial_alphabet=given["alphabet"])
theirs.train_from_iterator(given["corpus"], trainer)
learned = json.loads(theirs.to_str())["model"]
print(json.dumps({"ids": ids, "decoded": decoded, "vocab": learned["vocab"],
    "merges": [m if isinstance(m, str) else " ".join(m) for m in learned["merges"]]}))
`

describe.skipIf(!existsSync(PYTHON))('python tokenizers', () => {
  test('loads our file, encodes alike, and learns the vocabulary that we learn', async () => {
    const corpus = [...articles(80, 200), ...NASTY]
    const tokenizer = await trainTokenizer(corpus, { vocabSize: 700 })
    const texts = [...articles(20, 100), ...NASTY, '<pad> <bos>x<eos>', ...fc.sample(text, { numRuns: 2000, seed: 7 })]
    const model = (tokenizer.toJSON() as { model: { vocab: Record<string, number>; merges: string[] } }).model
    const alphabet = Object.keys(model.vocab).slice(3, 3 + 256)
    const given = {
      tokenizer: JSON.stringify(tokenizer),
      texts,
      corpus,
      alphabet,
      vocabSize: 700,
      specialTokens: tokenizer.specialTokens,
    }
    const answer = execFileSync(PYTHON, ['-c', SCRIPT], {
      input: JSON.stringify(given),
      maxBuffer: 1 << 28,
      timeout: 60_000,
      env: { ...process.env, RAYON_NUM_THREADS: '1' },
    })
    const python = JSON.parse(answer.toString('utf8')) as {
      ids: number[][]
      decoded: string[]
      vocab: Record<string, number>
      merges: string[]
    }
    expect(texts.map((value) => [...tokenizer.encode(value)])).toEqual(python.ids)
    expect(texts.map((value) => tokenizer.decode(tokenizer.encode(value)))).toEqual(python.decoded)
    expect(model.merges).toEqual(python.merges)
    expect(model.vocab).toEqual(python.vocab)
  })
})
