/** One question at a time, however many shards ask; none is answered by a question that began before it asked. */
import { expect, test } from 'vitest'
import { sameStreamGuard } from '../../../ingest/kinesis/same-stream.ts'

function questions() {
  const answers: { resolve(created: number): void; reject(error: unknown): void }[] = []
  const guard = sameStreamGuard(
    () => 7,
    () => new Promise((resolve, reject) => answers.push({ resolve, reject })),
  )
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return { answers, ask: () => guard('clicks', undefined), settle }
}

test('shards that ask while a question is under way share the next one', async () => {
  const { answers, ask, settle } = questions()
  const first = ask()
  let answered = 0
  const later = [ask(), ask(), ask()].map((asked) => asked.then(() => answered++))
  await settle()
  expect(answers).toHaveLength(1)
  answers[0]?.resolve(7)
  await first
  await settle()
  expect({ answered, questions: answers.length }).toEqual({ answered: 0, questions: 2 })
  answers[1]?.resolve(7)
  await Promise.all(later)
  const last = ask()
  expect(answers).toHaveLength(3)
  answers[2]?.resolve(7)
  await last
})

test('a question that fails fails those that share it, and the next is asked all the same', async () => {
  const { answers, ask, settle } = questions()
  const first = ask()
  const second = ask()
  answers[0]?.reject(new Error('no answer'))
  await expect(first).rejects.toThrow('no answer')
  await settle()
  answers[1]?.resolve(8)
  const refusal = {
    code: 'FIRN_STREAM_RECREATED',
    kind: 'unavailable',
    detail: { stream: 'clicks', opened: 7, now: 8 },
  }
  await expect(second).rejects.toMatchObject(refusal)
})
