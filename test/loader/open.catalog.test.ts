import { describe, expect, it, onTestFinished } from 'vitest'
import { openRestCatalog, systemClock } from '../../table/index.ts'
import { startRestServer } from '../table/catalog/rest-server.ts'
import { appendRows, folderWarehouse, numbersOf, ROWS, withDataset } from './support.ts'

describe('a dataset over a REST catalog', () => {
  it.each([0, 2])(
    'reads the table that the catalog names, with %i workers, and pins its snapshot there',
    async (numWorkers) => {
      const warehouse = await folderWarehouse()
      onTestFinished(warehouse.remove)
      const server = await startRestServer({ location: warehouse.url })
      onTestFinished(() => server.close())
      const catalog = openRestCatalog({ uri: server.uri, allowLocalFiles: true, clock: systemClock })
      const created = await catalog.createTable('t.rows', {
        schema: ROWS,
        partitionSpec: { specId: 0, fields: [] },
        sortOrder: { orderId: 0, fields: [] },
        properties: {},
      })
      await appendRows(created, 0, 100, { fileRows: 40, rowGroupRows: 16 })
      const options = { catalog, table: 't.rows', batch: { size: 16 }, numWorkers, pin: 'required' } as const
      await withDataset(options, async (dataset) => {
        const numbers = (await numbersOf(dataset.epoch(0))).flat()
        expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n))
        expect(dataset.provenance()).toMatchObject({ table: 't.rows' })
        const { refs } = (await catalog.loadTable('t.rows')).metadata
        expect(Object.keys(refs)).toContain(dataset.stats().pinned)
      })
      expect(Object.keys((await catalog.loadTable('t.rows')).metadata.refs)).toEqual(['main'])
    },
  )
})
