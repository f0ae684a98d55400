/** Writes the tables of `values.ts` through the table door, several snapshots each, and says what each must read as. */
import { systemClock } from '../../table/clock.ts'
import { openCatalog, openStore, type Table } from '../../table/index.ts'
import { applyTransform } from '../../table/spec/transform.ts'
import type { PrimitiveType, PrimitiveValue } from '../../table/spec/types.ts'
import { writeRows } from '../table/support.ts'
import { digestRows, type FlatColumn, type Row } from './digest.ts'
import { type ExpectedSnapshot, type ExpectedTable, filtersOf, mustEqual, ownRows } from './expected.ts'
import { type InteropTable, rowsBetween, rowsWithoutBounds, TABLES } from './values.ts'

/** @param warehouse `file:` or `s3:` URL. */
export async function writeFlatTables(warehouse: string): Promise<ExpectedTable[]> {
  const catalog = openCatalog(openStore(warehouse, { clock: systemClock }), { clock: systemClock })
  const expected: ExpectedTable[] = []
  for (const definition of TABLES) {
    const keyId = definition.fields[0]!.id
    const table = await catalog.createTable(definition.name, {
      schema: { schemaId: 0, fields: definition.fields, identifierFieldIds: [keyId] },
      partitionSpec: { specId: 0, fields: definition.partition },
      sortOrder: {
        orderId: 1,
        fields: [{ sourceId: keyId, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
      },
      properties: {},
    })
    expected.push(await fillTable(table, definition))
  }
  return expected
}

async function fillTable(created: Table, definition: InteropTable): Promise<ExpectedTable> {
  const columns = definition.fields.map(({ name, type }): FlatColumn => ({ name, type: type as PrimitiveType }))
  // an empty snapshot first and in the middle: both are legal, and the first has a manifest list without entries
  const batches: readonly (readonly Row[])[] = [
    [],
    rowsBetween(columns, 0, 60),
    rowsWithoutBounds(columns, 1000, 20),
    [],
    rowsBetween(columns, 2000, 2100),
  ]
  const rows: Row[] = []
  const snapshots: ExpectedSnapshot[] = []
  let table = created
  let files = 0
  for (const batch of batches) {
    const added = []
    for (const { partition, members } of groupByPartition(definition, batch)) {
      // small files and row groups, so that bounds and offsets of many are at work
      added.push(...(await writeRows(table, members, partition, { targetFileSizeBytes: 8_192, rowGroupRows: 20 })))
    }
    const appended = await table.append(added)
    table = appended.table
    rows.push(...batch)
    files += added.length
    const { snapshotId } = appended.snapshot!
    const digests = digestRows(columns, rows)
    mustEqual(`${definition.name} at ${snapshotId}`, columns, await ownRows(table.scan({ snapshotId })), digests)
    snapshots.push({ id: String(snapshotId), digests, files })
  }
  const byTime = definition.partition.some(({ transform }) => transform !== 'identity')
  const key = columns[0]!
  const filters = filtersOf({ columns, key, rows, byTime, literals: 5 })
  const { name, without = [] } = definition
  return { name, folder: table.location, columns, key, snapshots, filters, without }
}

function groupByPartition(
  { fields, partition }: InteropTable,
  rows: readonly Row[],
): { partition: PrimitiveValue[]; members: Row[] }[] {
  const groups = new Map<string, { partition: PrimitiveValue[]; members: Row[] }>()
  for (const row of rows) {
    const tuple = partition.map(({ sourceId, transform }) => {
      const { name, type } = fields.find(({ id }) => id === sourceId)!
      return applyTransform(transform, type as PrimitiveType, row[name] ?? null)
    })
    const key = JSON.stringify(tuple.map((value) => (value instanceof Uint8Array ? [...value] : String(value))))
    const group = groups.get(key) ?? { partition: tuple, members: [] }
    groups.set(key, group)
    group.members.push(row)
  }
  return [...groups.values()]
}
