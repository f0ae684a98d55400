/**
 * Everything else that changes a warehouse, over files: compaction by task processes, replay, maintenance, expiry and
 * pruning, each killed at random moments, round after round in one warehouse that grows older by days in between.
 */
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { articles } from '../../jobs/datasets/index.ts'
import { articleAt } from '../../jobs/demo/articles.ts'
import { type FirnOptions, firnJson } from '../firn-process.ts'
import { seedOf, uniform } from '../sim/random.ts'
import { type Arena, assertSame, contentOf } from './arena.ts'
import { outcomeOf, TABLE } from './outcome.ts'
import { createVictim, talliesText } from './victim.ts'

const ARTICLES_PER_ROUND = 200
const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')
const DAY_MILLIS = 86_400_000
/** Above the least age of all that is deleted. */
const OLDER_BY_MILLIS = 4 * DAY_MILLIS
const SETTINGS = { maxBadRatio: 1, maintain: { rewrite: { minInputFiles: 2 }, expire: { enabled: false } } }

/** Fails for one record of five, as long as it is the broken one. */
const enrichmentOf = (broken: boolean): string => `
export default (batch) => {
  const ids = Array.from(batch.getChild('article_id'))
  if (${broken} && ids.some((id) => /[05]$/.test(id))) throw new TypeError('not today')
  return { mark: ids.map((id) => 'm-' + id) }
}
`

interface Place {
  readonly firn: FirnOptions
  readonly landing: readonly string[]
  readonly compaction: readonly string[]
  readonly replay: readonly string[]
  /** One round's articles more in the file. */
  grow(): Promise<void>
  /** Everything in the warehouse was written days ago. */
  age(): Promise<void>
}

async function makePlace(folder: string): Promise<Place> {
  const cwd = join(folder, 'upkeep')
  const tmp = join(cwd, 'tmp')
  await mkdir(tmp, { recursive: true })
  const path = (name: string): string => join(cwd, name)
  const write = (name: string, text: string): Promise<void> => writeFile(path(name), text)
  await write('firn.config.json', JSON.stringify(SETTINGS))
  await write('broken.mjs', enrichmentOf(true))
  await write('mended.mjs', enrichmentOf(false))
  const { fields, ...rest } = JSON.parse(JSON.stringify(articles)) as { fields: object[] }
  const mark = { name: 'mark', type: 'string', from: { kind: 'enrichment' } }
  await write('dataset.json', JSON.stringify({ ...rest, fields: [...fields, mark] }))
  const tasks = ['--executor', 'processes', '--tasks', '2']
  const dataset = ['--dataset', path('dataset.json')]
  const warehouse = join(cwd, 'warehouse')
  let index = 0
  return {
    // what killed runs leave among temporary files goes with the folder
    firn: { cwd, warehouse: pathToFileURL(warehouse).href, env: { TMPDIR: tmp } },
    landing: ['land', '--from', path('articles.ndjson')],
    compaction: ['compact', TABLE, ...dataset, ...tasks, '--enrichment', path('broken.mjs')],
    replay: ['replay', TABLE, '--enrichment', path('mended.mjs')],
    grow: async () => {
      const lines = Array.from({ length: ARTICLES_PER_ROUND }, () => {
        const article = articleAt({ seed: 3, index: index++, newestMillis: NEWEST_MILLIS })
        return `${JSON.stringify({ ...article, article_id: `a${index}` })}\n`
      })
      await writeFile(path('articles.ndjson'), lines.join(''), { flag: 'a' })
    },
    age: async () => {
      const then = new Date(Date.now() - OLDER_BY_MILLIS)
      for (const entry of await readdir(warehouse, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), then, then)
      }
    },
  }
}

const EXPIRY = ['expire', TABLE, '--older-than', '1s', '--retain-last', '1', '--grace', '1s', '--yes']
const MAINTENANCE = ['maintain', TABLE, '--yes']
const PRUNING = ['staging', 'prune', '--yes']

export const upkeep: Arena = async ({ folder, points, seed, say }) => {
  const { firn, landing, compaction, replay, grow, age } = await makePlace(folder)
  const random = uniform(seedOf(seed, 'upkeep'))
  try {
    const victim = createVictim(firn, random)
    const commands = [landing, compaction, replay, MAINTENANCE, EXPIRY, PRUNING]
    await grow()
    for (const args of [landing, compaction]) await victim.calm(args)
    for (let round = 0; round < points; round++) {
      await grow()
      for (const args of commands) {
        const killed = await victim.attempt(args)
        // often the next command finds what the dead one has left, and not what it would have done
        if (killed && random() < 0.6) await victim.calm(args)
      }
      if (random() < 0.5) await age()
    }
    for (const args of commands) await victim.calm(args)
    await age()
    // once more, when all is old: what dead runs have left goes
    await victim.calm(MAINTENANCE)
    await victim.calm(PRUNING)
    const calm = { ...firn, warehouse: pathToFileURL(join(firn.cwd, 'undisturbed')).href }
    for (const args of [landing, compaction, replay]) await firnJson(args, calm)
    const outcome = async (of: FirnOptions) =>
      contentOf(await outcomeOf(of, landing, ['arrived_at', 'compacted_at'], {}))
    const wanted = await outcome(calm)
    const published = (points + 1) * ARTICLES_PER_ROUND
    if (wanted.rows !== published) throw new Error(`${published} articles are ${wanted.rows} rows, undisturbed`)
    assertSame(await outcome(firn), wanted)
    await assertTidy(firn)
    say(`files, random moments: ${talliesText(victim.tallies)}; ${wanted.rows} rows as undisturbed`)
    return 0
  } catch (error) {
    say(`FAILED files, random moments, seed ${seed}: ${String(error)}`)
    return 1
  }
}

/** Nothing of dead runs is left where the days after them have passed. */
async function assertTidy(firn: FirnOptions): Promise<void> {
  const plan = await firnJson<{ plan: { totals: { orphans: number } } }>(['orphans', TABLE, '--dry-run'], firn)
  const spilled = await readdir(new URL(`${firn.warehouse}/_spill/`)).catch(() => [])
  if (plan.plan.totals.orphans !== 0 || spilled.length > 0) {
    throw new Error(`dead runs have left ${JSON.stringify(plan.plan)} and in _spill/ ${spilled.join(', ')}`)
  }
}
