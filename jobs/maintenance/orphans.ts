/** `firn orphans` beyond its flags: of the table's folder and of the warehouse beside it, listed and deleted together. */
import { epochMillis } from '../../table/ids.ts'
import { planOrphans, runOrphans } from '../../table/index.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { documentOf } from './document.ts'
import { planWarehouseOrphans, removeWarehouseOrphans } from './json-manifests.ts'
import type { PreparedWork, TableWork } from './prepared.ts'

/** More candidates are in the JSON document only. */
const SHOWN = 50

export interface OrphanWorkOptions {
  /** Default: 3 days. */
  readonly minAgeMillis?: number | undefined
  /** Why less than 3 days is safe. */
  readonly allowYoung?: string | undefined
  /** Also when more than half of the bytes look orphaned. */
  readonly force: boolean
}

/** @throws {FirnError} as `planOrphans`. */
export async function prepareOrphans(
  { store, table, tableName, clock, signal }: TableWork,
  { minAgeMillis, allowYoung, force }: OrphanWorkOptions,
): Promise<PreparedWork> {
  const plan = await planOrphans(table, { signal, minAgeMillis, allowYoung }, clock)
  const olderThan = epochMillis(plan.olderThanMillis)
  const beside = await planWarehouseOrphans(store, table, tableName, olderThan, { signal })
  const all = [...plan.orphans, ...beside.orphans]
  const bytes = plan.totals.orphanBytes + beside.bytes
  const rows = all.slice(0, SHOWN).map(({ key, kind, sizeBytes, lastModifiedMillis }) => ({
    kind,
    key,
    size: formatBytes(sizeBytes),
    last_modified: new Date(lastModifiedMillis).toISOString(),
  }))
  const more = all.length > SHOWN ? `and ${all.length - SHOWN} more\n` : ''
  const notes = [
    plan.totals.young === 0 ? '' : `${plural(plan.totals.young, 'unreferenced object')} too young to tell\n`,
    beside.kept === 0
      ? ''
      : `${plural(beside.kept, 'JSON manifest')} kept: they list refused records, or are not known to be of this table\n`,
  ].join('')
  return {
    schema: 'firn.orphans/1',
    table: tableName,
    plan: documentOf({ ...plan, warehouse: beside }),
    text:
      all.length === 0
        ? `${notes}nothing to do: ${tableName} has no orphans older than ${new Date(olderThan).toISOString()}\n`
        : `${renderTable(rows, { maxCellChars: 110 })}${more}${notes}would delete ${plural(all.length, 'object')} (${formatBytes(bytes)}) of ${tableName}\n`,
    nothingToDo: all.length === 0,
    question: 'Delete them?',
    run: async () => {
      const { result } = await runOrphans(table, plan, { signal, force })
      // By the store's clock, should that of this machine be ahead.
      const cutoff = result.olderThanMillis
      const removed = await removeWarehouseOrphans(store, table, tableName, beside.orphans, cutoff, { signal })
      const deleted = result.deleted + removed.deleted
      const left = all.length - deleted - result.gone
      const stayed = left === 0 ? '' : `${plural(left, 'object')} left: referenced or replaced meanwhile\n`
      return {
        result: documentOf({ ...result, warehouse: removed }),
        text: `${tableName}: deleted ${plural(deleted, 'object')} (${formatBytes(result.bytesFreed + removed.bytesFreed)})\n${stayed}`,
      }
    },
  }
}
