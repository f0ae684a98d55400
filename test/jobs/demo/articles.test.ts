import fc from 'fast-check'
import { expect, test } from 'vitest'
import { articleAt } from '../../../jobs/demo/articles.ts'

const newestMillis = Date.parse('2026-03-01T12:00:00Z')
const request = fc.record({ seed: fc.nat({ max: 2 ** 31 }), index: fc.nat({ max: 5_000_000 }) })

test('an article is a function of seed and index, and looks like one (fast-check)', () => {
  const property = fc.property(request, ({ seed, index }) => {
    const article = articleAt({ seed, index, newestMillis })
    expect(articleAt({ seed, index, newestMillis })).toEqual(article)
    const words = article.content.split(/\s+/)
    expect(words.length).toBeGreaterThanOrEqual(100)
    expect(words.length).toBeLessThanOrEqual(800)
    expect(words.every((word) => word.length > 0)).toBe(true)
    expect(article.publish_date).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const ageDays = (newestMillis - Date.parse(article.publish_date)) / 86_400_000
    expect(ageDays).toBeGreaterThanOrEqual(0)
    expect(ageDays).toBeLessThanOrEqual(14.001)
    expect(article.content.isWellFormed()).toBe(true)
  })
  fc.assert(property, { numRuns: 300 })
})

test('ids are unique, and a thousand articles differ in topic, author, length and script', () => {
  const articles = Array.from({ length: 1_000 }, (_, index) => articleAt({ seed: 42, index, newestMillis }))
  expect(new Set(articles.map(({ article_id }) => article_id)).size).toBe(1_000)
  expect(new Set(articles.map(({ content }) => content)).size).toBe(1_000)
  expect(new Set(articles.map(({ title }) => title.split(':')[0])).size).toBe(8)
  expect(new Set(articles.map(({ author }) => author)).size).toBeGreaterThan(8)
  expect(articles.some(({ content }) => /\p{Script=Han}/u.test(content))).toBe(true)
  const mean = articles.reduce((sum, { content }) => sum + content.split(/\s+/).length, 0) / 1_000
  expect(mean).toBeGreaterThan(400)
  expect(mean).toBeLessThan(500)
})

test('another seed makes other articles', () => {
  const [a, b] = [1, 2].map((seed) => articleAt({ seed, index: 0, newestMillis }))
  expect(a?.content).not.toBe(b?.content)
  expect(a?.article_id).not.toBe(b?.article_id)
})
