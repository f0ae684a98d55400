/** What a table holds at the end: the same for every run that finished its work, killed in between or not. */
import { systemClock } from '../../table/clock.ts'
import { currentSchema, openCatalog, openStore, type StoreOptions } from '../../table/index.ts'
import type { PrimitiveType } from '../../table/spec/types.ts'
import { type FirnOptions, firnJson } from '../firn-process.ts'
import { digestRows } from '../interop/digest.ts'
import { readRows } from '../table/support.ts'

export const TABLE = 'news.articles'

export interface Outcome {
  readonly rows: number
  /** Digest of all rows, without the columns that hold a run's own time. */
  readonly digest: string
  /** As `firn averages` prints them. */
  readonly averages: string
  readonly snapshots: number
}

/**
 * @param runTimes columns that differ from run to run.
 * @throws {Error} when `verify` finds a problem, or when land or compact still find something to do.
 */
export async function outcomeOf(
  firn: FirnOptions,
  landing: readonly string[],
  runTimes: readonly string[],
  storeOptions: Omit<StoreOptions, 'clock'>,
): Promise<Outcome> {
  // at once, because nothing is left to do for any of them
  const [again, compacted, { ok, problems }, averages] = await Promise.all([
    firnJson<{ records: number }>(landing, firn),
    firnJson<{ nothing_to_do: boolean }>(['compact', TABLE], firn),
    firnJson<{ ok: boolean; problems: readonly unknown[] }>(['verify', TABLE], firn),
    firnJson<unknown>(['averages', TABLE], firn),
  ])
  if (again.records !== 0) throw new Error(`land after it was complete read ${again.records} records`)
  if (!compacted.nothing_to_do) throw new Error('compact after it was complete found something to do')
  if (!ok) throw new Error(`verify found ${JSON.stringify(problems)}`)
  const store = openStore(firn.warehouse, { clock: systemClock, ...storeOptions })
  const table = await openCatalog(store, { clock: systemClock }).loadTable(TABLE)
  const columns = currentSchema(table.metadata)
    .fields.map(({ name, type }) => ({ name, type: type as PrimitiveType }))
    .filter(({ name }) => !runTimes.includes(name))
  const { count, sha256 } = digestRows(columns, await readRows(table.scan()))
  return {
    rows: count,
    digest: sha256['rows']!,
    averages: JSON.stringify(averages),
    snapshots: table.metadata.snapshots.length,
  }
}
