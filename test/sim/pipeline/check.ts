/** After recovery: the tables hold what was published, stand at the ends of the shards, and nothing lies about. */
import { listChunks, listIncarnations, readChunkMeta } from '../../../ingest/index.ts'
import { positionsOf } from '../../../jobs/compaction/positions.ts'
import { refusedObjects } from '../../../jobs/compaction/refused/refused-objects.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { openCatalog, type Table } from '../../../table/index.ts'
import { referencedKeys } from '../../table/maintenance/expire-support.ts'
import type { Host, TableSpec } from './jobs.ts'
import { TABLES } from './jobs.ts'
import type { JournaledStore } from './journaled-store.ts'
import type { Ledger } from './ledger.ts'
import { type Expected, expectedOf, finalPositions, uidsOf } from './model.ts'

/** @returns what is wrong, a line each. */
export async function check(store: JournaledStore, host: Pick<Host, 'clock'>, ledger: Ledger): Promise<string[]> {
  const findings: string[] = []
  for (const spec of TABLES) {
    const say = (what: string): void => void findings.push(`${spec.name}: ${what}`)
    const expected = expectedOf(store.journal, ledger, spec.name)
    for (const fault of expected.faults) say(fault)
    const table = await openCatalog(store, host).loadTable(spec.name)
    await checkRows(table, expected, say)
    await checkRefused(store, table, spec, expected, say)
    await checkPositions(store, table, spec, ledger, say)
    const { problems } = await verifyTable({ table, warehouse: store })
    for (const { code, object, message } of problems) say(`verify: ${code} ${object}: ${message}`)
    await checkFolder(store, table, spec, say)
  }
  return findings
}

type Say = (what: string) => void

/** Exact: every record has a name, so a lost and a doubled one do not make up for each other. */
async function checkRows(table: Table, { rows }: Expected, say: Say): Promise<void> {
  const found: string[] = []
  for await (const batch of table.scan({ columns: ['title'] }).batches()) {
    for (const row of batch) found.push(String(row['title']))
  }
  compareBags('rows', found, rows, say)
}

async function checkRefused(
  store: JournaledStore,
  table: Table,
  { name }: TableSpec,
  { refused }: Expected,
  say: Say,
): Promise<void> {
  const objects = await refusedObjects({ store, table, tableName: name })
  const found: string[] = []
  for (const { path } of objects) {
    const entry = store.entries().get(path)
    if (entry === undefined) say(`${path} counts and is gone`)
    else found.push(...uidsOf(entry.bytes))
  }
  compareBags('refused records', found, [...refused.values()].flat(), say)
}

function compareBags(what: string, found: readonly string[], expected: readonly string[], say: Say): void {
  const counts = new Map<string, number>()
  for (const uid of found) counts.set(uid, (counts.get(uid) ?? 0) + 1)
  for (const uid of expected) counts.set(uid, (counts.get(uid) ?? 0) - 1)
  const lost = [...counts].filter(([, count]) => count < 0).map(([uid]) => uid)
  const extra = [...counts].filter(([, count]) => count > 0).map(([uid]) => uid)
  if (lost.length > 0) say(`${what} lost: ${lost.sort().join(' ')}`)
  if (extra.length > 0) say(`${what} too many: ${extra.sort().join(' ')}`)
}

async function checkPositions(
  store: JournaledStore,
  table: Table,
  { streams }: TableSpec,
  ledger: Ledger,
  say: Say,
): Promise<void> {
  const final = finalPositions(ledger, streams)
  const now = new Map<string, string>()
  for (const [incarnation, shards] of Object.entries(positionsOf(table.metadata.properties))) {
    for (const [id, position] of Object.entries(shards)) now.set(`${incarnation.split('@')[0]}/${id}`, position)
  }
  const chains = new Set<string>()
  for (const incarnation of await listIncarnations(store)) {
    for (const { shardId } of await listChunks(store, incarnation)) chains.add(`${incarnation.stream}/${shardId}`)
  }
  for (const name of new Set([...final.keys(), ...now.keys()])) {
    const isPruned = now.get(name) === undefined && final.get(name)?.endsWith('!') === true && !chains.has(name)
    if (now.get(name) !== final.get(name) && !isPruned) {
      say(`stands at ${now.get(name)} of ${name}, which ends at ${final.get(name)}`)
    }
  }
}

/** @returns chunks that do not continue where the one before them ends: prune, killed anywhere, leaves no hole. */
export async function holes(store: JournaledStore): Promise<readonly string[]> {
  const found: string[] = []
  for (const incarnation of await listIncarnations(store)) {
    const last = new Map<string, string>()
    for (const chunk of await listChunks(store, incarnation)) {
      const before = last.get(chunk.shardId)
      if (before !== undefined && before !== chunk.after) found.push(`hole in staging before ${chunk.key}`)
      last.set(chunk.shardId, (await readChunkMeta(store, chunk)).last)
    }
  }
  return found
}

async function checkFolder(store: JournaledStore, table: Table, { name }: TableSpec, say: Say): Promise<void> {
  const owed = await referencedKeys(table)
  const folder = `${name.replace('.', '/')}/`
  const there = new Set([...store.entries().keys()].filter((key) => key.startsWith(folder)))
  for (const key of there) {
    const inside = key.slice(folder.length)
    if (!owed.has(inside) && !/\/v\d+\.metadata\.json$|\/clock-probe\.tmp$/.test(key)) say(`left behind: ${key}`)
  }
  for (const key of owed) if (!there.has(`${folder}${key}`)) say(`gone, and still referred to: ${key}`)
}
