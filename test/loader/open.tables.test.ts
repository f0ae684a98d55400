/** Tables that other engines wrote: what a dataset leaves out, and what it fills in. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { openCatalog, openStore, systemClock } from '../../table/index.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from '../table/scan/delete-tables.ts'
import { rowsOf } from '../table/support.ts'
import { folderWarehouse, numbersOf, ROWS, rowsTable, withDataset } from './support.ts'

describe('a table with delete files', () => {
  it.each([
    ['position', 0],
    ['equality', 0],
    ['position', 1],
    ['equality', 1],
  ] as const)('%s deletes are applied, with %i workers; an older snapshot has the rows', async (kind, numWorkers) => {
    const warehouse = await folderWarehouse()
    onTestFinished(warehouse.remove)
    const { url, table } = await rowsTable(warehouse.url, { rows: 20 })
    const [task] = await table.scan().planFiles()
    const deletes =
      kind === 'position'
        ? await positionDeletes(table, [[task!.file.filePath, 3]])
        : await equalityDeletes(table, column(ROWS, 'n'), [{ n: 3 }])
    await commitFiles(table, [deletes])
    const read = (more: object): Promise<number[]> =>
      withDataset({ warehouse: url, table: 't.rows', batch: { size: 8 }, numWorkers, ...more }, async (dataset) =>
        (await numbersOf(dataset.epoch(0))).flat().toSorted((a, b) => a - b),
      )
    const all = Array.from({ length: 20 }, (_, n) => n)
    expect(await read({})).toEqual(all.filter((n) => n !== 3))
    expect(await read({ snapshot: { id: table.currentSnapshot()!.snapshotId } })).toEqual(all)
  })
})

describe('a table whose partitions hold a column that the files do not', () => {
  it.each([0, 1])('gives the value of the partition, with %i workers', async (numWorkers) => {
    const warehouse = await folderWarehouse()
    onTestFinished(warehouse.remove)
    const { url, table } = await rowsTable(warehouse.url, { rows: 20 })
    const field = { id: 20, name: 'region', required: false, type: 'string' } as const
    const spec = {
      specId: 1,
      fields: [{ sourceId: 20, fieldId: 1000, name: 'region', transform: 'identity' }],
    } as const
    const [task] = await table.scan().planFiles()
    const filePath = `${task!.file.filePath}.copy`
    const key = (path: string): string => path.slice(table.location.length + 1)
    await table.store.put(key(filePath), (await table.store.get(key(task!.file.filePath))).bytes)
    await commitFiles(table, [{ ...task!.file, filePath, specId: 1, partition: ['north'] }], (metadata) => ({
      ...metadata,
      schemas: [...metadata.schemas, { ...ROWS, schemaId: 1, fields: [...ROWS.fields, field] }],
      currentSchemaId: 1,
      lastColumnId: 20,
      partitionSpecs: [...metadata.partitionSpecs, spec],
      snapshots: [],
      snapshotLog: [],
      refs: {},
    }))
    const options = { warehouse: url, table: 't.rows', columns: ['region'], batch: { size: 64 }, numWorkers }
    await withDataset(options, async (dataset) => {
      const regions = new Set<unknown>()
      for await (const batch of dataset.epoch(0)) {
        for (const row of rowsOf({ ...ROWS, fields: [field] }, batch)) regions.add(row['region'])
      }
      expect(regions).toEqual(new Set(['north', null]))
    })
  })
})

describe('a table with files outside of its folder', () => {
  it('is refused, and read where their place is allowed: by name, by place and by catalog', async () => {
    const warehouse = await folderWarehouse()
    onTestFinished(warehouse.remove)
    const { url, table } = await rowsTable(warehouse.url, { rows: 20 })
    const [task] = await table.scan().planFiles()
    const elsewhere = openStore(`${warehouse.url}/elsewhere`)
    await elsewhere.put(
      'added.parquet',
      (await table.store.get(task!.file.filePath.slice(table.location.length + 1))).bytes,
    )
    await commitFiles(table, [{ ...task!.file, filePath: `${elsewhere.url}/added.parquet` }])
    const catalog = openCatalog(openStore(url), { clock: systemClock })
    const origins = [{ warehouse: url, table: 't.rows' }, { table: table.location }, { catalog, table: 't.rows' }]
    for (const origin of origins) {
      const read = (more: object): Promise<number> =>
        withDataset({ ...origin, batch: { size: 64 }, numWorkers: 0, ...more }, async (dataset) =>
          (await numbersOf(dataset.epoch(0))).flat().reduce((sum, n) => sum + n, 0),
        )
      await expect(read({})).rejects.toMatchObject({ code: 'FIRN_PATH_OUTSIDE_TABLE' })
      expect(await read({ allowedLocations: { [elsewhere.url]: elsewhere } })).toBe(2 * 190)
    }
  })
})
