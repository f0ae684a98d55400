/**
 * Training programs are killed in the middle of an epoch and go on in a new process from the last token that they had
 * written, with other workers, prefetching and cache each time, while the table gets rows, loses rows, is rewritten and
 * its snapshots expire. All batches together are those of one run that nobody disturbed, on the table as it was.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  epochMillis,
  newRunId,
  openCatalog,
  openStore,
  parseWhere,
  planExpire,
  planRewrite,
  runExpire,
  runRewrite,
  systemClock,
} from '../../table/index.ts'
import { appendRows, rowsTable } from '../loader/support.ts'
import { seedOf, uniform } from '../sim/random.ts'
import type { Arena, ArenaOptions } from './arena.ts'
import type { VictimLine } from './training-victim.ts'

const VICTIM: string = fileURLToPath(new URL('./training-victim.ts', import.meta.url))
const ROWS = 6_000
const FILES = { fileRows: 700, rowGroupRows: 64 }

/** @returns the complete lines that the process wrote before it was killed, and whether it came to its end. */
async function read(
  options: object,
  token: string | undefined,
  killAfterLines: number,
): Promise<{ lines: VictimLine[]; ended: boolean }> {
  const args = [VICTIM, JSON.stringify(options), ...(token === undefined ? [] : [token])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const lines: VictimLine[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    // the last one may be cut
    if (line.endsWith('}')) lines.push(JSON.parse(line) as VictimLine)
    if (lines.length === killAfterLines) child.kill('SIGKILL')
  }
  const [code, signal] = await closed
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the training program ended with ${code ?? signal}`)
  return { lines, ended: code === 0 }
}

/** One after the other, again and again. */
async function disturb(url: string, turn: number, spillFolder: string): Promise<string> {
  const table = await openCatalog(openStore(url, { clock: systemClock }), { clock: systemClock }).loadTable('t.rows')
  const schema = table.schemaFor()
  switch (turn % 4) {
    case 0:
      await appendRows(table, 100_000 + turn * 1_000, 100_000 + turn * 1_000 + 300, FILES)
      return 'rows were appended'
    case 1:
      await table.deleteWhere(parseWhere(`n >= ${turn * 37} AND n < ${turn * 37 + 50}`, schema))
      return 'rows were deleted'
    case 2:
      await mkdir(spillFolder, { recursive: true })
      await runRewrite(table, await planRewrite(table), { runId: newRunId(systemClock), spillFolder })
      return 'files were rewritten'
    default: {
      const plan = planExpire(table, { olderThan: epochMillis(systemClock.nowMillis()), retainLast: 1 }, systemClock)
      const { result } = await runExpire(table, plan, { graceMillis: 0 }, systemClock)
      return `${result.snapshotIds.length} snapshots expired`
    }
  }
}

export const training: Arena = async ({ folder, points, seed, say }: ArenaOptions) => {
  const url = pathToFileURL(join(folder, 'warehouse')).href
  const { table } = await rowsTable(url, { rows: ROWS, ...FILES })
  const random = uniform(seedOf(seed, 'training'))
  const options = (workers: number, prefetch: number, cached: boolean): object => ({
    warehouse: url,
    table: 't.rows',
    snapshot: { id: String(table.currentSnapshot()!.snapshotId) },
    filter: 'n <> 5 AND n <> 4005',
    split: { column: 'id', buckets: 20, include: [0, 19] },
    shuffle: { seed, blockBytes: 200_000 },
    batch: { size: 16 },
    numWorkers: workers,
    prefetchBatches: prefetch,
    ...(cached ? { cache: { dir: join(folder, 'cache'), limit: '20MB' } } : {}),
  })
  const undisturbed = (await read(options(1, 2, false), undefined, -1)).lines
  const rows = undisturbed.reduce((sum, line) => sum + line.rows, 0)
  say(`training: ${rows} rows in ${undisturbed.length} batches, ${points} kills`)

  const found: VictimLine[] = []
  const least = Math.max(1, Math.floor(undisturbed.length / (points + 1)) - 4)
  let kills = 0
  for (let ended = false; !ended; ) {
    const next = options(kills % 3, [0, 1, 8][kills % 3]!, kills % 2 === 1)
    const killAfterLines = kills < points ? 1 + Math.floor(random() * 2 * least) : -1
    const run = await read(next, found.at(-1)?.token, killAfterLines)
    found.push(...run.lines)
    ended = run.ended
    if (ended) break
    say(
      `  killed after batch ${found.length} of ${undisturbed.length}; ${await disturb(url, kills, join(folder, 'spill'))}`,
    )
    kills++
  }
  if (kills < Math.min(points, 4)) throw new Error(`only ${kills} processes were killed`)
  const differs = undisturbed.findIndex((line, index) => line.hash !== found[index]?.hash)
  if (differs < 0 && found.length === undisturbed.length) {
    say(`  training: ${kills} kills, every batch once and as undisturbed`)
    return 0
  }
  say(`FAILED training: ${found.length} batches of ${undisturbed.length}, the first other one is ${differs}`)
  return 1
}
