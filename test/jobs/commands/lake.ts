/** A warehouse in a folder with a small table, made by the command line itself. */
import { writeFileSync } from 'node:fs'
import { type Home, makeHome } from '../cli-support.ts'

export const TABLE = 'news.articles'

export interface Lake {
  readonly home: Home
  /** Land and compact articles `[from, to)`; gives the id of the new snapshot. */
  add(from: number, to: number, ...more: readonly string[]): Promise<string>
  /** `article_id`s of the table, sorted. */
  ids(...selector: readonly string[]): Promise<string[]>
  /** Problems that `verify` finds, as `code: message`. */
  problems(): Promise<string[]>
  snapshots(): Promise<{ snapshot_id: string; operation: string; summary: Record<string, string> }[]>
}

export const article = (n: number): string =>
  JSON.stringify({
    article_id: `a${String(n).padStart(4, '0')}`,
    title: `Title ${n}`,
    author: n % 2 === 0 ? 'Ada' : null,
    publish_date: new Date(Date.UTC(2026, 0, 1 + (n % 5), n % 24)).toISOString(),
    content: 'word '.repeat(n % 9).trim() || 'none',
  })

export function makeLake(): Lake {
  const home = makeHome()
  let files = 0
  const rows = async <T>(args: readonly string[]): Promise<T[]> => (await home.json(args)) as unknown as T[]
  return {
    home,
    add: async (from, to, ...more) => {
      const file = home.path(`in-${files++}.ndjson`)
      const lines = [...Array.from({ length: to - from }, (_, index) => article(from + index)), ...more]
      writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
      await home.json(['land', '--from', file])
      return String((await home.json(['compact', TABLE, '--max-bad-ratio', '1']))['snapshot_id'])
    },
    ids: async (...selector) =>
      (await rows<{ article_id: string }>(['scan', TABLE, '--columns', 'article_id', ...selector]))
        .map((row) => row.article_id)
        .sort(),
    problems: async () => {
      const { stdout } = await home.firn(['verify', TABLE, '--output', 'json'])
      const { problems } = JSON.parse(stdout) as { problems: { code: string; message: string }[] }
      return problems.map(({ code, message }) => `${code}: ${message}`)
    },
    snapshots: () => rows(['inspect', 'snapshots', TABLE]),
  }
}

/** `['a0000', …]` of `[from, to)`. */
export const idsOf = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `a${String(from + index).padStart(4, '0')}`)
