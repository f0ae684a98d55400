/** Every check of `verify`: one fault is made, and its code is seen. */
import { describe, expect, it } from 'vitest'
import type { CompactionTask, CompactionTaskResult } from '../../../jobs/compaction/task.ts'
import type { DatasetDefinition } from '../../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import type { ProblemCode } from '../../../jobs/verify/problems.ts'
import { unreadableTable } from '../../../jobs/verify/unreadable.ts'
import { mendVersionHint } from '../../../jobs/verify/version-hint.ts'
import { type DataFileJson, encodeBound, keyOfPath, parseJson, printJson, snapshotId } from '../../../table/index.ts'
import { type ManifestFile, readManifestList, writeManifestList } from '../../../table/manifest/manifest-list.ts'
import {
  articleRecords,
  loadTable,
  memoryWarehouse,
  NOON,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'

/** A table of two snapshots, with a quarantined record and an ended shard. */
async function intactTable(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  const bad = { sequence: '999', arrivalMillis: NOON, data: 'bad' }
  await stage(warehouse, { a: { records: articleRecords(0, 60) } }, { recordsPerChunk: 25 })
  await runCompaction(warehouse)
  const records = articleRecords(60, 120)
  await stage(warehouse, { a: { records: articleRecords(0, 60), ended: true }, b: { records: [...records, bad] } })
  await runCompaction(warehouse)
  return warehouse
}

type Change = {
  readonly task?: (task: CompactionTask) => CompactionTask
  readonly result?: (result: CompactionTaskResult) => CompactionTaskResult
}

/** A table whose only commit was made by a faulty task. */
async function doctored({ task = (same) => same, result = (same) => same }: Change): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: articleRecords(0, 100) } })
  const { run } = inlineExecutor(warehouse.store)
  const executor = { run: async (tasks: readonly CompactionTask[]) => (await run(tasks.map(task))).map(result) }
  await runCompaction(warehouse, { executor })
  return warehouse
}

/** Its one data file described differently. */
const describedAs = (change: (file: DataFileJson) => Partial<DataFileJson>): Promise<Warehouse> =>
  doctored({
    result: (result) => ({
      ...result,
      files: result.files.map((file) => ({ ...file, dataFile: { ...file.dataFile, ...change(file.dataFile) } })),
    }),
  })

async function codesOf(warehouse: Warehouse): Promise<ProblemCode[]> {
  const table = await loadTable(warehouse).catch((error: unknown) => unreadableTable(TABLE, error))
  const { ok, problems } = 'problems' in table ? table : await verifyTable({ table, warehouse: warehouse.store })
  expect(ok).toBe(problems.length === 0)
  return [...new Set(problems.map((problem) => problem.code))].sort()
}

async function keys({ store }: Warehouse, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(prefix)) found.push(key)
  return found
}

const manifestsOf = async (warehouse: Warehouse): Promise<string[]> =>
  (await keys(warehouse, '_manifests/')).filter((key) => key.endsWith('.json'))

async function edit({ store }: Warehouse, key: string, change: (bytes: Buffer) => Uint8Array): Promise<void> {
  await store.put(key, change(Buffer.from((await store.get(key)).bytes)))
}

type Json = Record<string, unknown>

/** The current metadata file, changed in place. */
async function editMetadata(warehouse: Warehouse, change: (metadata: Json) => void): Promise<void> {
  const { location, metadataLocation } = await loadTable(warehouse)
  await edit(warehouse, `news/articles/${keyOfPath(location, metadataLocation)}`, (bytes) => {
    const metadata = parseJson(bytes.toString()) as Json
    change(metadata)
    return Buffer.from(printJson(metadata))
  })
}

async function editJsonManifest(warehouse: Warehouse, change: (manifest: Json) => void): Promise<void> {
  const id = (await loadTable(warehouse)).currentSnapshot()!.snapshotId
  await edit(warehouse, `_manifests/${TABLE}/${id}.json`, (bytes) => {
    const manifest = JSON.parse(bytes.toString()) as Json
    change(manifest)
    return Buffer.from(JSON.stringify(manifest))
  })
}

async function editManifestList(warehouse: Warehouse, change: (manifest: ManifestFile) => ManifestFile): Promise<void> {
  const table = await loadTable(warehouse)
  const snapshot = table.currentSnapshot()!
  const key = `news/articles/${keyOfPath(table.location, snapshot.manifestList!)}`
  const manifests = await readManifestList((await warehouse.store.get(key)).bytes, key)
  await warehouse.store.put(key, await writeManifestList(snapshot, manifests.map(change)))
}

const boundOf = (id: number, value: bigint): readonly [number, string] => [
  id,
  Buffer.from(encodeBound('timestamptz', value)).toString('base64'),
]

describe('verify', () => {
  it('finds nothing wrong with an intact table, and reads all of it', async () => {
    const warehouse = await intactTable()
    const result = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
    expect(result).toMatchObject({ ok: true, problems: [], skipped: [] })
    expect(result.checked).toMatchObject({
      snapshots: 2,
      manifests: 2,
      files: 2,
      rows: 120,
      json_manifests: 2,
      quarantine_objects: 1,
    })
    expect(result.checked.bytes).toBeGreaterThan(10_000)
  })

  it('finds nothing wrong with an empty table', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: [{ sequence: '1', arrivalMillis: NOON, data: 'bad' }] } })
    await runCompaction(warehouse).catch(() => {})
    expect(await codesOf(warehouse)).toEqual([])
  })

  it('checks one snapshot when asked, checksums of files of earlier runs included', async () => {
    const warehouse = await intactTable()
    const table = await loadTable(warehouse)
    const [first, second] = table.metadata.snapshots
    const verify = (id: bigint) =>
      verifyTable({ table, warehouse: warehouse.store, selector: { snapshotId: snapshotId(id) } })
    expect(await verify(first!.snapshotId)).toMatchObject({ ok: true, checked: { snapshots: 1, files: 1, rows: 60 } })
    const [file] = (await table.scan({ snapshotId: first!.snapshotId }).planFiles()).map((task) => task.file.filePath)
    const manifest = `_manifests/${TABLE}/${first!.snapshotId}.json`
    await edit(warehouse, manifest, (bytes) =>
      Buffer.from(bytes.toString().replace(/"sha256": "..../, '"sha256": "0000')),
    )
    expect((await verify(second!.snapshotId)).problems).toMatchObject([{ code: 'file-checksum', object: file }])
  })
})

describe('verify sees', () => {
  const dataKey = async (warehouse: Warehouse): Promise<string> => (await keys(warehouse, 'news/articles/data/'))[0]!
  const set = (name: string, value: string) => (metadata: Json) => {
    ;(metadata['properties'] as Record<string, string>)[name] = value
  }

  const faults: [ProblemCode, string, () => Promise<Warehouse>, ...ProblemCode[]][] = [
    [
      'file-missing',
      'a data file that is gone',
      async () => {
        const warehouse = await intactTable()
        await warehouse.store.delete(await dataKey(warehouse))
        return warehouse
      },
    ],
    [
      'file-checksum',
      'a flipped bit in a page',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, await dataKey(warehouse), (bytes) => {
          bytes[bytes.length >> 2]! ^= 0x40
          return bytes
        })
        return warehouse
      },
      'file-unreadable',
      'feature',
      'bound',
    ],
    [
      'file-checksum',
      'another digest in the JSON manifest',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          ;(manifest['added'] as Json[])[0]!['sha256'] = '0'.repeat(64)
        })
        return warehouse
      },
    ],
    [
      'file-unreadable',
      'bytes that are no Parquet',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, await dataKey(warehouse), (bytes) => bytes.fill(7))
        return warehouse
      },
      'file-checksum',
    ],
    [
      'file-size',
      'a size that is not the file',
      () => describedAs((file) => ({ fileSizeBytes: file.fileSizeBytes + 1 })),
    ],
    [
      'row-count',
      'a row count that is not in the footer',
      async () => {
        const warehouse = await doctored({
          result: (result) => ({
            ...result,
            rowsAdded: result.rowsAdded - 1,
            duplicates: 1,
            files: result.files.map((file) => ({ ...file, dataFile: { ...file.dataFile, recordCount: 99 } })),
          }),
        })
        return warehouse
      },
    ],
    [
      'null-count',
      'a wrong number of nulls',
      () =>
        describedAs((file) => ({
          nullValueCounts: file.nullValueCounts.map(([id, count]) => [id, id === 3 ? count + 1 : count]),
        })),
    ],
    [
      'value-count',
      'a wrong number of values',
      () =>
        describedAs((file) => ({
          valueCounts: file.valueCounts.map(([id, count]) => [id, id === 5 ? count - 1 : count]),
        })),
    ],
    [
      'bound',
      'a lower bound above a value',
      () =>
        describedAs((file) => ({
          lowerBounds: file.lowerBounds.map((bound) => (bound[0] === 10 ? boundOf(10, BigInt(NOON) * 1000n) : bound)),
        })),
    ],
    [
      'bound',
      'an upper bound below a value',
      () =>
        describedAs((file) => ({
          upperBounds: file.upperBounds.map((bound) =>
            bound[0] === 1 ? ([1, Buffer.from('article-00').toString('base64')] as const) : bound,
          ),
        })),
    ],
    [
      'sort-order',
      'rows in another order than the file claims',
      () =>
        doctored({
          task: (task) => {
            const order = structuredClone(task.sortOrder) as { fields: { direction: string }[] }
            for (const field of order.fields) field.direction = 'desc'
            return { ...task, sortOrder: order }
          },
        }),
    ],
    [
      'partition',
      'a file in the partition of another day',
      () => describedAs((file) => ({ partition: [Number(file.partition[0]) + 1] })),
    ],
    [
      'feature',
      'a word count that the text does not give',
      () =>
        doctored({
          task: (task) => {
            const dataset = structuredClone(task.dataset) as unknown as {
              fields: { name: string; from: { feature?: string } }[]
            }
            dataset.fields.find((field) => field.name === 'word_count')!.from.feature = 'char_count'
            return { ...task, dataset: dataset as unknown as DatasetDefinition }
          },
        }),
    ],
    [
      'compacted-at',
      'rows from the future',
      () => doctored({ task: (task) => ({ ...task, compactedAt: String(BigInt(task.compactedAt) + 1n) }) }),
    ],
    [
      'file-overlap',
      'overlapping files of one commit',
      async () => {
        const warehouse = memoryWarehouse()
        const records = articleRecords(0, 100)
        await stage(warehouse, {
          a: { records: records.filter((_, n) => n % 2 === 0) },
          b: { records: records.filter((_, n) => n % 2 === 1) },
        })
        const { run } = inlineExecutor(warehouse.store)
        const split = {
          run: async ([task]: readonly CompactionTask[]) =>
            run(
              task!.inputs.map((input, index) => ({
                ...task!,
                filePrefix: `${task!.filePrefix}-${index}`,
                inputs: [input],
              })),
            ),
        }
        await runCompaction(warehouse, { executor: split })
        return warehouse
      },
    ],
    [
      'duplicate-path',
      'a file that is live twice',
      async () => {
        const warehouse = await intactTable()
        const table = await loadTable(warehouse)
        const [task] = await table.scan().planFiles()
        await table.append([task!.file])
        return warehouse
      },
    ],
    [
      'summary-total',
      'a total that the manifests do not hold',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, (metadata) => {
          const [snapshot] = metadata['snapshots'] as { summary: Record<string, string> }[]
          snapshot!.summary['total-records'] = '61'
        })
        return warehouse
      },
    ],
    [
      'manifest-list-count',
      'a row count of a manifest that its entries do not have',
      async () => {
        const warehouse = await intactTable()
        await editManifestList(warehouse, (manifest) => ({ ...manifest, addedRowsCount: manifest.addedRowsCount! + 1 }))
        return warehouse
      },
    ],
    [
      'manifest-list-count',
      'a length that is not the manifest',
      async () => {
        const warehouse = await intactTable()
        await editManifestList(warehouse, (manifest) => ({ ...manifest, manifestLength: 1 }))
        return warehouse
      },
    ],
    [
      'manifest-partition-range',
      'a partition range that would lose files',
      async () => {
        const warehouse = await intactTable()
        await editManifestList(warehouse, (manifest) => ({
          ...manifest,
          partitions: manifest.partitions.map((summary) => ({
            ...summary,
            upperBound: encodeBound('date', 1),
            lowerBound: encodeBound('date', 0),
          })),
        }))
        return warehouse
      },
    ],
    [
      'manifest-unreadable',
      'a manifest that is gone',
      async () => {
        const warehouse = await intactTable()
        const manifests = (await keys(warehouse, 'news/articles/metadata/')).filter((key) => /-m0\.avro$/.test(key))
        await warehouse.store.delete(manifests[0]!)
        return warehouse
      },
    ],
    [
      'manifest-unreadable',
      'a manifest list that is not Avro',
      async () => {
        const warehouse = await intactTable()
        const [list] = await keys(warehouse, 'news/articles/metadata/snap-')
        await edit(warehouse, list!, (bytes) => bytes.fill(0))
        return warehouse
      },
    ],
    [
      'json-manifest-missing',
      'a JSON manifest that is gone',
      async () => {
        const warehouse = await intactTable()
        await warehouse.store.delete((await manifestsOf(warehouse))[0]!)
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'another row count in the JSON manifest',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          ;(manifest['added'] as Json[])[0]!['rows'] = 61
          ;(manifest['records'] as Json)['added'] = 61
          ;(manifest['records'] as Json)['read'] = 62
        })
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'a file that the JSON manifest lists as removed, and that is still there',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          manifest['removed'] = [(manifest['added'] as Json[])[0]!['path']]
        })
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'a file that only the JSON manifest lists',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          ;(manifest['added'] as Json[]).push({
            path: 'memory://x/y.parquet',
            rows: 0,
            bytes: 0,
            sha256: '',
            row_groups: [],
          })
        })
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'a JSON manifest that no longer lists the refused records',
      async () => {
        const warehouse = await intactTable()
        for (const key of await manifestsOf(warehouse))
          await edit(warehouse, key, (bytes) =>
            Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(bytes).toString()) as Json), quarantined: [] })),
          )
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'a JSON manifest of another run',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          manifest['run_id'] = 'other'
        })
        return warehouse
      },
    ],
    [
      'json-manifest-mismatch',
      'a JSON manifest that is no JSON',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, (await manifestsOf(warehouse))[0]!, (bytes) => bytes.subarray(1))
        return warehouse
      },
    ],
    [
      'quarantine-missing',
      'refused records that are gone',
      async () => {
        const warehouse = await intactTable()
        await warehouse.store.delete((await keys(warehouse, '_quarantine/'))[0]!)
        return warehouse
      },
    ],
    [
      'quarantine-mismatch',
      'refused records that were changed',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, (await keys(warehouse, '_quarantine/'))[0]!, (bytes) => bytes.subarray(0, 9))
        return warehouse
      },
    ],
    [
      'ref-broken',
      'a tag of a snapshot that is gone',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, (metadata) => {
          ;(metadata['refs'] as Json)['old'] = { 'snapshot-id': 12345, type: 'tag' }
        })
        return warehouse
      },
    ],
    [
      'ref-broken',
      'a snapshot log that ends elsewhere',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, (metadata) => {
          ;(metadata['snapshot-log'] as Json[]).pop()
        })
        return warehouse
      },
    ],
    [
      'metadata-corrupt',
      'metadata that is no JSON',
      async () => {
        const warehouse = await intactTable()
        const { location, metadataLocation } = await loadTable(warehouse)
        await edit(warehouse, `news/articles/${keyOfPath(location, metadataLocation)}`, (bytes) => bytes.fill(0))
        return warehouse
      },
    ],
    [
      'version-hint-stale',
      'a hint to an older version',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, 'news/articles/metadata/version-hint.text', () => Buffer.from('1'))
        return warehouse
      },
    ],
    [
      'version-hint-stale',
      'a hint with a newline, which PyIceberg cannot read',
      async () => {
        const warehouse = await intactTable()
        await edit(warehouse, 'news/articles/metadata/version-hint.text', (bytes) =>
          Buffer.concat([bytes, Buffer.from('\n')]),
        )
        return warehouse
      },
    ],
    [
      'staging-position',
      'a position beyond the end of staging',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, set('firn.positions.MyStream@7', '{"a":"60!","b":"1000"}'))
        return warehouse
      },
      'positions-history',
    ],
    [
      'staging-position',
      'a chain that is gone before its end',
      async () => {
        const warehouse = await intactTable()
        for (const key of await keys(warehouse, '_staging/MyStream@7/shards/b/')) await warehouse.store.delete(key)
        return warehouse
      },
    ],
    [
      'staging-position',
      'an end that staging does not have',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, set('firn.positions.MyStream@7', '{"a":"60!","b":"999!"}'))
        return warehouse
      },
      'positions-history',
    ],
    [
      'staging-position',
      'the chunk of the position gone',
      async () => {
        const warehouse = memoryWarehouse()
        await stage(warehouse, { a: { records: articleRecords(0, 60) } }, { recordsPerChunk: 25 })
        await runCompaction(warehouse)
        await stage(warehouse, { a: { records: articleRecords(0, 90) } }, { recordsPerChunk: 25 })
        const chunks = await keys(warehouse, '_staging/MyStream@7/shards/a/')
        for (const key of chunks.slice(0, 4)) await warehouse.store.delete(key)
        return warehouse
      },
    ],
    [
      'staging-position',
      'positions that are no positions',
      async () => {
        const warehouse = await intactTable()
        await editMetadata(warehouse, set('firn.positions.MyStream@7', '{"a":"sixty"}'))
        return warehouse
      },
    ],
    [
      'staging-chain',
      'a missing chunk among those to be read',
      async () => {
        const warehouse = await intactTable()
        const records = articleRecords(120, 200).map((record) => ({
          ...record,
          sequence: String(2000 + Number(record.sequence)),
        }))
        await stage(warehouse, { a: { records: [], ended: true }, b: { records } }, { recordsPerChunk: 20 })
        const chunks = await keys(warehouse, '_staging/MyStream@7/shards/b/')
        await warehouse.store.delete(chunks[2]!)
        return warehouse
      },
    ],
    [
      'staging-chain',
      'a chunk to be read that is damaged',
      async () => {
        const warehouse = await intactTable()
        const records = articleRecords(120, 200).map((record) => ({
          ...record,
          sequence: String(2000 + Number(record.sequence)),
        }))
        await stage(warehouse, { a: { records: [], ended: true }, b: { records } }, { recordsPerChunk: 20 })
        const chunks = await keys(warehouse, '_staging/MyStream@7/shards/b/')
        await edit(warehouse, chunks[2]!, (bytes) => bytes.fill(1, 0, 40))
        return warehouse
      },
    ],
    [
      'positions-history',
      'a run that did not begin where the one before it ended',
      async () => {
        const warehouse = await intactTable()
        await editJsonManifest(warehouse, (manifest) => {
          ;(manifest['positions'] as Json)['before'] = { 'MyStream@7': { a: '59' } }
        })
        return warehouse
      },
    ],
  ]

  it.each(faults)('%s: %s', async (code, _what, make, ...mayFollow) => {
    const codes = await codesOf(await make())
    expect(codes).toContain(code)
    expect(codes.filter((other) => other !== code && !mayFollow.includes(other))).toEqual([])
  })

  it('a manifest list that was cut', async () => {
    const warehouse = await intactTable()
    const [list] = await keys(warehouse, 'news/articles/metadata/snap-')
    await edit(warehouse, list!, (bytes) => bytes.subarray(0, bytes.length - 10))
    expect(await codesOf(warehouse)).toContain('manifest-unreadable')
  })

  it('a wrong version hint, and mends it when asked, as does the next run', async () => {
    const hint = 'news/articles/metadata/version-hint.text'
    for (const wrong of ['1', '7', '3\n', undefined]) {
      const warehouse = await intactTable()
      const breakIt = async (): Promise<void> => {
        if (wrong === undefined) await warehouse.store.delete(hint)
        else await warehouse.store.put(hint, Buffer.from(wrong))
      }
      await breakIt()
      expect(await codesOf(warehouse)).toEqual(['version-hint-stale'])
      const table = await loadTable(warehouse)
      expect(await mendVersionHint(table)).toBe(true)
      expect(await mendVersionHint(table)).toBe(false)
      expect(await verifyTable({ table })).toMatchObject({ ok: true })
      await breakIt()
      expect((await runCompaction(warehouse)).nothing_to_do).toBe(true)
      expect(await codesOf(warehouse)).toEqual([])
    }
  })

  it('a table that was opened by location as far as its own folder goes', async () => {
    const { openTableAt, subStore } = await import('../../../table/index.ts')
    const warehouse = await intactTable()
    const table = await openTableAt(subStore(warehouse.store, 'news/articles'), { clock: warehouse.clock })
    const result = await verifyTable({ table })
    expect(result).toMatchObject({ ok: true, checked: { files: 2, rows: 120, json_manifests: 0 } })
    expect(result.skipped[0]).toMatch(/opened by location/)
  })
})
