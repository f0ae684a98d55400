/** Refused records run again: each becomes a row, or is refused anew, once. */
import { describe, expect, it } from 'vitest'
import { readManifest } from '../../../../jobs/compaction/manifest.ts'
import type { QuarantinedRecord } from '../../../../jobs/compaction/refused/quarantine.ts'
import { readQuarantine } from '../../../../jobs/compaction/refused/read-quarantine.ts'
import { refusedObjects } from '../../../../jobs/compaction/refused/refused-objects.ts'
import { previewReplay } from '../../../../jobs/compaction/refused/replay.ts'
import { verifyTable } from '../../../../jobs/verify/index.ts'
import { snapshotId } from '../../../../table/ids.ts'
import { fixedClock, loadTable, memoryWarehouse, NOON, rowsOf, runCompaction, stage, TABLE } from '../fixture.ts'
import { idsOf, refusedIds, runReplay, setLargestRecord, sized } from '../replay-support.ts'

describe('replay', () => {
  it('adds what passes by now, refuses anew what fails, and uses up the objects by the same commit', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, {
      a: { records: [...sized('small', 1, 3, 10), ...sized('large', 4, 2, 900), ...sized('huge', 6, 1, 3000)] },
    })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    expect(await idsOf(warehouse)).toEqual(['small-1', 'small-2', 'small-3'])
    const before = await loadTable(warehouse)

    const table = await setLargestRecord(2000, warehouse)
    const result = await runReplay({ ...warehouse, clock: fixedClock(NOON + 60_000) })
    expect(result).toMatchObject({ records_read: 3, rows_added: 2, quarantined: { too_large: 1 }, unchanged: false })
    expect(await idsOf(warehouse)).toEqual(['large-4', 'large-5', 'small-1', 'small-2', 'small-3'])
    expect(await refusedIds(warehouse)).toEqual(['huge-6'])

    const after = await loadTable(warehouse)
    const [used] = result.replayed
    expect(JSON.parse(after.metadata.properties['firn.replayed']!)).toEqual([used!.replace(/^.*\/|\.jsonl\.zst$/g, '')])
    for (const name of Object.keys(table.metadata.properties).filter((each) => each.startsWith('firn.positions.'))) {
      expect(after.metadata.properties[name]).toBe(before.metadata.properties[name])
    }
    expect(after.metadata.properties['firn.last-run']).toBe(result.run_id)
    const manifest = await readManifest(warehouse.store, TABLE, snapshotId(BigInt(result.snapshot_id!)))
    expect(manifest).toMatchObject({
      operation: 'append',
      replayed: result.replayed,
      records: { read: 3, added: 2, quarantined: 1 },
    })
    expect(manifest!.positions!.before).toEqual(manifest!.positions!.after)
    expect((await verifyTable({ table: after, warehouse: warehouse.store })).problems).toEqual([])
  })

  it('keeps origin and bytes of what fails again, and counts its attempts', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: [...sized('large', 1, 1, 900), ...sized('huge', 2, 1, 3000)] } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    const read = async (): Promise<QuarantinedRecord[]> => {
      const source = { store: warehouse.store, table: await loadTable(warehouse), tableName: TABLE }
      const records: QuarantinedRecord[] = []
      for (const { path } of await refusedObjects(source)) {
        for await (const record of readQuarantine(warehouse.store, path)) records.push(record)
      }
      return records
    }
    const [, first] = await read()
    await setLargestRecord(2000, warehouse)
    const later = { ...warehouse, clock: fixedClock(NOON + 60_000) }
    await runReplay(later)
    const [second] = await read()
    expect(second).toEqual({
      ...first,
      attemptsMade: 2,
      attemptEndingTimestamp: NOON + 60_000,
      errorMessage: second!.errorMessage,
    })
  })

  it('commits nothing when every record fails again, and says so', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: sized('large', 1, 2, 900) } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    const before = await loadTable(warehouse)
    const counting = await refusedIds(warehouse)
    const result = await runReplay(warehouse)
    expect(result).toMatchObject({
      unchanged: true,
      nothing_to_do: true,
      snapshot_id: null,
      records_read: 2,
      quarantined: { too_large: 2 },
      quarantine_objects: [],
    })
    expect((await loadTable(warehouse)).metadataLocation).toBe(before.metadataLocation)
    expect(await refusedIds(warehouse)).toEqual(counting)
  })

  it('commits when the reasons are others than before', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, {
      a: { records: [{ sequence: '1', arrivalMillis: NOON, data: `{"article_id": "x", ${' '.repeat(600)}` }] },
    })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
    expect(await runReplay(warehouse)).toMatchObject({
      unchanged: false,
      rows_added: 0,
      quarantined: { 'decode.json': 1 },
    })
    expect(await runReplay(warehouse)).toMatchObject({ unchanged: true })
  })

  it('has nothing to do without refused records, and when all are used up', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: sized('large', 1, 2, 900) } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
    await runReplay(warehouse)
    expect(await runReplay(warehouse)).toMatchObject({ nothing_to_do: true, unchanged: false, snapshot_id: null })
    await expect(runReplay(warehouse, { objects: ['0123-0'] })).rejects.toMatchObject({
      code: 'FIRN_REFUSED_NOT_FOUND',
    })
  })

  it('reads the objects that hold a reason, or that are named, and those whole', async () => {
    const warehouse = memoryWarehouse()
    const junk = { sequence: '9', arrivalMillis: NOON, data: 'junk' }
    await stage(warehouse, { a: { records: sized('large', 1, 2, 900) } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    await stage(warehouse, { a: { records: [...sized('large', 1, 4, 900), junk] } })
    await runCompaction(warehouse, { maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
    const all = await previewReplay({ ...warehouse, table: TABLE })
    expect(all.map(({ reasons }) => reasons)).toEqual([{ too_large: 2 }, { 'decode.json': 1, too_large: 2 }])
    const decode = await previewReplay({ ...warehouse, table: TABLE, reasons: ['decode.'] })
    expect(decode).toEqual([all[1]])
    const result = await runReplay(warehouse, { reasons: ['decode.'] })
    expect(result).toMatchObject({ records_read: 3, rows_added: 2, quarantined: { 'decode.json': 1 } })
    expect(await idsOf(warehouse)).toEqual(['large-3', 'large-4'])
    await runReplay(warehouse, { objects: [all[0]!.id] })
    expect(await idsOf(warehouse)).toEqual(['large-1', 'large-2', 'large-3', 'large-4'])
  })

  it('takes any share of bad records, unless a ratio is given', async () => {
    const warehouse = memoryWarehouse()
    const junk = Array.from({ length: 30 }, (_, n) => ({ sequence: String(n + 10), arrivalMillis: NOON, data: 'junk' }))
    await stage(warehouse, { a: { records: [...sized('large', 1, 1, 900), ...junk] } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
    await expect(runReplay(warehouse, { maxBadRatio: 0.05 })).rejects.toMatchObject({
      code: 'FIRN_TOO_MANY_BAD_RECORDS',
    })
    expect(await runReplay(warehouse)).toMatchObject({ rows_added: 1 })
  })

  it('takes nothing of a damaged object', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: sized('large', 1, 2, 900) } })
    await runCompaction(warehouse, { dataset: setLargestRecord(500), maxBadRatio: 1 })
    await setLargestRecord(2000, warehouse)
    const [object] = await previewReplay({ ...warehouse, table: TABLE })
    await warehouse.store.put(object!.path, Buffer.from('damaged'))
    await expect(runReplay(warehouse)).rejects.toMatchObject({ code: 'FIRN_QUARANTINE_CORRUPT' })
    expect(await rowsOf(await loadTable(warehouse))).toEqual([])
  })
})
