/**
 * One plan over a whole table in a process of its own: `node table-plan.ts file|memory <folder URL>`. `memory` reads
 * the metadata into memory first, so that its plan waits for no disk. Prints what it found and what it took.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import type { ObjectStore } from '../../table/index.ts'

// As the firn command does it: compiling takes longer than the plan.
enableCompileCache()
const { systemClock } = await import('../../table/clock.ts')
const { openStore, openTableAt } = await import('../../table/index.ts')
const { openMemoryStore } = await import('../../table/io/memory.ts')

const [kind, folder] = process.argv.slice(2) as ['file' | 'memory', string]

/** Not `maxRSS` where there is a choice: on Linux it counts what the parent had when it made this process. */
function peakRss(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (found !== undefined) return Number(found) * 1024
  } catch {
    // no such file on other systems
  }
  return process.resourceUsage().maxRSS * 1024
}

async function inMemory(source: ObjectStore): Promise<ObjectStore> {
  const memory = openMemoryStore('bench-plan', { clock: systemClock })
  for await (const { key } of source.list('metadata/')) await memory.put(key, (await source.get(key)).bytes)
  // the table names its objects by the place that it was written to
  return {
    url: source.url,
    get: (key, options) => memory.get(key, options),
    head: (key, options) => memory.head(key, options),
    list: (prefix, options) => memory.list(prefix, options),
    put: (key, body, options) => memory.put(key, body, options),
    delete: (key, options) => memory.delete(key, options),
  }
}

const source = openStore(folder, { clock: systemClock })
const store = kind === 'memory' ? await inMemory(source) : source
const rssBytes = process.memoryUsage.rss()
const usedBefore = process.cpuUsage()
const started = performance.now()
const table = await openTableAt(store, { clock: systemClock })
const tasks = await table.scan().planFiles()
const planMillis = performance.now() - started
const used = process.cpuUsage(usedBefore)
// since the process began, start-up and imports included
const processMillis = performance.now()
const peakBytes = peakRss()
const paths = tasks.map(({ file }) => decodeURI(file.filePath).replace('file://', ''))
const result = {
  files: tasks.length,
  rows: tasks.reduce((sum, { file }) => sum + file.recordCount, 0),
  paths: createHash('sha256').update(paths.sort().join('\n')).digest('hex'),
  planMillis,
  planCpuMillis: (used.user + used.system) / 1000,
  processMillis,
  rssBytesBefore: rssBytes,
  peakBytes,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
