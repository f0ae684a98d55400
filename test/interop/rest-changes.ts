/**
 * Every kind of change of a table, made through Iceberg's own REST catalog and, beside it, in our file catalog: the
 * catalog must take each of them, and both tables must have the same definition and the same rows afterwards.
 */
import { pathToFileURL } from 'node:url'
import { printJson } from '../../table/format/json.ts'
import {
  type Catalog,
  openCatalog,
  openStore,
  parseWhere,
  systemClock,
  type Table,
  type TableDefinition,
} from '../../table/index.ts'
import { currentSchema, defaultSortOrder, defaultSpec, type TableMetadata } from '../../table/spec/metadata.ts'
import { printPartitionSpec } from '../../table/spec/partition.ts'
import { printSchema } from '../../table/spec/schema.ts'
import { printSortOrder } from '../../table/spec/sort.ts'
import { readRows, writeRows } from '../table/support.ts'

interface Step {
  readonly name: string
  run(table: Table): Promise<unknown>
}

const row = (id: string, n: number): { id: string; n: number; day: number } => ({ id, n, day: 20_778 })
const appendRow = async (table: Table, id: string, n: number, branch?: string): Promise<unknown> => {
  const files = await writeRows(table, [row(id, n)], [20_778])
  return table.append(files, branch === undefined ? {} : { branch })
}
const idOf = (table: Table, ref: string): NonNullable<ReturnType<Table['currentSnapshot']>>['snapshotId'] =>
  table.snapshotFor({ ref })!.snapshotId

const STEPS: readonly Step[] = [
  { name: 'append', run: (table) => appendRow(table, 'a', 1) },
  { name: 'set and remove properties', run: (table) => table.setProperties({ x: '1', y: '2' }, ['gone']) },
  { name: 'remove a property', run: (table) => table.setProperties({}, ['y']) },
  { name: 'tag', run: (table) => table.createTag('v1') },
  { name: 'branch', run: (table) => table.createBranch('side', undefined, { minSnapshotsToKeep: 2 }) },
  { name: 'append to a branch', run: (table) => appendRow(table, 'b', 2, 'side') },
  { name: 'append to main beside it', run: (table) => appendRow(table, 'c', 3) },
  { name: 'retention of a ref', run: (table) => table.setRefRetention('v1', { maxRefAgeMillis: 86_400_000 }) },
  { name: 'cherry-pick', run: (table) => table.cherryPick(idOf(table, 'side')) },
  { name: 'remove a ref', run: (table) => table.removeRef('side') },
  {
    name: 'add, rename and promote columns',
    run: (table) =>
      table.updateSchema([
        { add: { name: 'extra', type: 'string', doc: 'added' } },
        { rename: 'score', to: 'rating' },
        { promote: 'n', type: 'long' },
        { move: 'extra', first: true },
      ]),
  },
  { name: 'drop a column', run: (table) => table.updateSchema([{ drop: 'rating' }]) },
  { name: 'delete rows', run: (table) => table.deleteWhere(parseWhere("id = 'a'", currentSchema(table.metadata))) },
  { name: 'roll back', run: (table) => table.rollbackTo(idOf(table, 'v1')) },
  {
    name: 'add a partition field',
    run: (table) => table.updateSpec([{ add: { source: 'id', transform: 'bucket[4]' } }]),
  },
  { name: 'drop a partition field', run: (table) => table.updateSpec([{ drop: 'id_bucket_4' }]) },
  { name: 'sort order', run: (table) => table.setSortOrder([{ column: 'n', direction: 'desc' }]) },
  {
    name: 'fast-forward a branch',
    run: async (table) => (await table.createBranch('late', idOf(table, 'v1'))).fastForward('late', 'main'),
  },
  {
    name: 'remove snapshots',
    run: async (table) => {
      const { refs, snapshots } = table.metadata
      const kept = new Set(Object.values(refs).map(({ snapshotId }) => snapshotId))
      const snapshotIds = snapshots.map(({ snapshotId }) => snapshotId).filter((id) => !kept.has(id))
      await table.commitUpdates({
        isOwn: (metadata) => metadata.snapshots.every(({ snapshotId }) => !snapshotIds.includes(snapshotId)),
        requirements: [],
        prepare: () => [{ action: 'remove-snapshots', snapshotIds }],
      })
    },
  },
  {
    name: 'remove specs and schemas that nothing uses',
    run: async (table) => {
      const { partitionSpecs, defaultSpecId, schemas, currentSchemaId, snapshots } = table.metadata
      // the first spec has all files
      const specIds = partitionSpecs.map(({ specId }) => specId).filter((id) => id !== defaultSpecId && id !== 0)
      const used = new Set([currentSchemaId, ...snapshots.map(({ schemaId }) => schemaId)])
      const schemaIds = schemas.map(({ schemaId }) => schemaId).filter((id) => !used.has(id))
      if (specIds.length === 0 || schemaIds.length === 0) throw new Error('there is nothing to remove')
      await table.commitUpdates({
        isOwn: (metadata) => metadata.partitionSpecs.every(({ specId }) => !specIds.includes(specId)),
        requirements: [],
        prepare: () => [
          { action: 'remove-partition-specs', specIds },
          { action: 'remove-schemas', schemaIds },
        ],
      })
    },
  },
]

/** What both tables must have in common; ids and times of snapshots are each table's own. */
function definitionOf(metadata: TableMetadata): string {
  const number = (id: bigint | undefined): number => metadata.snapshots.findIndex(({ snapshotId }) => snapshotId === id)
  return printJson(
    {
      schema: printSchema(currentSchema(metadata)),
      schemas: metadata.schemas.length,
      lastColumnId: metadata.lastColumnId,
      spec: printPartitionSpec(defaultSpec(metadata)),
      specs: metadata.partitionSpecs.length,
      lastPartitionId: metadata.lastPartitionId,
      order: printSortOrder(defaultSortOrder(metadata)),
      // the catalog adds a default of its own
      properties: Object.entries(metadata.properties)
        .filter(([key]) => key !== 'write.parquet.compression-codec')
        .sort(([a], [b]) => (a < b ? -1 : 1)),
      snapshots: metadata.snapshots.map(({ snapshotId, parentSnapshotId, sequenceNumber, summary, schemaId }) => ({
        number: number(snapshotId),
        parent: number(parentSnapshotId),
        sequenceNumber,
        operation: summary['operation'],
        rows: summary['total-records'],
        schemaId,
      })),
      current: number(metadata.currentSnapshotId),
      log: metadata.snapshotLog.map(({ snapshotId }) => number(snapshotId)),
      refs: Object.entries(metadata.refs)
        .map(([name, { snapshotId, ...ref }]) => ({ name, ...ref, snapshot: number(snapshotId) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    },
    1,
  )
}

async function lookAt(catalog: Catalog, name: string): Promise<{ readonly table: Table; readonly all: string }> {
  const table = await catalog.loadTable(name)
  const rows = (await readRows(table.scan())).map((each) => printJson(each)).sort()
  return { table, all: `${definitionOf(table.metadata)}\n${rows.join('\n')}` }
}

/** @param folder of the file catalog's warehouse. @returns steps made, and one line per difference. */
export async function changeThroughRest(
  rest: Catalog,
  definition: TableDefinition,
  folder: string,
): Promise<{ steps: number; differences: readonly string[] }> {
  const file = openCatalog(openStore(pathToFileURL(folder).href), { clock: systemClock })
  const name = 'lake.changed'
  const differences: string[] = []
  for (const catalog of [rest, file]) await catalog.createTable(name, definition)
  for (const step of STEPS) {
    for (const catalog of [rest, file]) {
      await step.run(await catalog.loadTable(name)).catch((error: unknown) => {
        differences.push(`${step.name} in the ${catalog.kind} catalog: ${String(error)}`)
      })
    }
    const [theirs, ours] = [await lookAt(rest, name), await lookAt(file, name)]
    if (theirs.all === ours.all) continue
    const lines = ours.all.split('\n')
    const other = theirs.all.split('\n').findIndex((line, index) => line !== lines[index])
    differences.push(
      `after "${step.name}": ${theirs.all.split('\n')[other]?.trim()}, in the file catalog ${lines[other]?.trim()}`,
    )
  }
  return { steps: STEPS.length, differences }
}
