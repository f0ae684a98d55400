/**
 * One compaction task: what one machine does. Input and output are plain JSON; everything else goes through the
 * store. `runCompactionTask` is what every executor calls, wherever it runs.
 */
import { type ChunkRef, comparePositions, readChunk, type StagedChunk } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import { epochMicros } from '../../table/ids.ts'
import {
  applyTransform,
  arrowSchema,
  createDataFileWriter,
  type DataFileJson,
  dataFileToJson,
  normaliseLocation,
  type PartitionSpec,
  type PrimitiveType,
  type PrimitiveValue,
  parsePartitionSpec,
  parseSchema,
  parseSortOrder,
  type Schema,
  type SortOrder,
} from '../../table/index.ts'
import { type AbortableOptions, type ObjectStore, subStore } from '../../table/io/object-store.ts'
import { type DatasetDefinition, parseDataset } from '../datasets/index.ts'
import { AveragesBuilder, type AveragesState } from './averages.ts'
import { type Column, cellAt, type Int32Column, type Int64Column } from './columns.ts'
import { createEnricher, ENRICH_BATCH_RECORDS, type EnrichedRows, type Enricher, type RawRecord } from './enrich.ts'
import { gatherer } from './gather.ts'
import { latestOfEachKey, type PartitionKey, partitionAndSort, type SortKey } from './order.ts'
import { originText } from './origin.ts'
import type { PlannedChain } from './plan.ts'
import { type Incarnation, incarnationName } from './positions.ts'
import { type QuarantineObject, type QuarantineWriter, quarantineWriter } from './quarantine.ts'
import type { CellValue } from './validate.ts'

/** Wire form of one task. Readers refuse another `schema`. */
export interface CompactionTask {
  readonly schema: 'firn.compaction-task/1'
  readonly runId: string
  /** `namespace.name`. */
  readonly table: string
  /** URL of the table's folder. */
  readonly location: string
  /** The catalog says where the table lies; else it lies below the warehouse. */
  readonly ownStore?: true
  readonly dataset: DatasetDefinition
  /** Iceberg JSON of the schema, partition spec and sort order to write with. */
  readonly tableSchema: unknown
  readonly partitionSpec: unknown
  readonly sortOrder: unknown
  /** Those properties of the table that say what is recorded of each column. */
  readonly metricsProperties: Readonly<Record<string, string>>
  readonly targetFileSizeBytes: number
  readonly rowGroupRows: number
  /** Microseconds since the epoch, decimal. */
  readonly compactedAt: string
  /** Data files are named after it; unique among all tasks of all runs. */
  readonly filePrefix: string
  /** Number of the first quarantine object. */
  readonly firstQuarantine: number
  /** Write no data files when more than this share of the records is bad; null when the task cannot tell alone. */
  readonly maxBadRatio: number | null
  readonly inputs: readonly PlannedChain[]
}

/** A chunk before which records were lost. */
export interface Gap extends Incarnation {
  readonly shardId: string
  readonly after: string
}

export interface WrittenFileJson {
  readonly dataFile: DataFileJson
  readonly sha256: string
  readonly rowGroups: readonly { readonly rows: number; readonly bytes: number }[]
}

export interface CompactionTaskResult {
  readonly schema: 'firn.compaction-result/1'
  /** Records of the stream. */
  readonly kinesisRecords: number
  /** Records after aggregates are opened. */
  readonly recordsRead: number
  readonly rowsAdded: number
  readonly duplicates: number
  readonly quarantined: readonly QuarantineObject[]
  readonly gaps: readonly Gap[]
  readonly averages: AveragesState
  readonly files: readonly WrittenFileJson[]
  /** The task wrote no data files because of `maxBadRatio`. */
  readonly refused: boolean
}

export interface TaskContext extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  /** The store of a table elsewhere, for tasks that say so. */
  readonly openTableStore?: ((location: string) => ObjectStore) | undefined
}

/**
 * @throws {FirnError} `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT` (corrupt); what the store throws. Objects that were
 *   written before stay; nothing refers to them.
 */
export async function runCompactionTask(task: CompactionTask, context: TaskContext): Promise<CompactionTaskResult> {
  if (task.schema !== 'firn.compaction-task/1') {
    throw new FirnError(
      'invalid',
      'FIRN_TASK_UNSUPPORTED',
      `task of version ${String(task.schema)}, expected firn.compaction-task/1`,
    )
  }
  const enricher = createEnricher(parseDataset(task.dataset, `of run ${task.runId}`))
  const quarantine = quarantineWriter({
    store: context.store,
    table: task.table,
    runId: task.runId,
    firstNumber: task.firstQuarantine,
    plannedMillis: Number(BigInt(task.compactedAt) / 1000n),
    signal: context.signal,
  })
  const read = await readInputs(task, enricher, quarantine, context)
  const quarantined = await quarantine.close()
  const rows = enricher.take()
  const bad = read.records - rows.rowCount
  const refused = task.maxBadRatio !== null && bad > task.maxBadRatio * read.records
  const survivors = latestOfEachKey(rows)
  return {
    schema: 'firn.compaction-result/1',
    kinesisRecords: read.records,
    recordsRead: read.records,
    rowsAdded: survivors.length,
    duplicates: rows.rowCount - survivors.length,
    quarantined,
    gaps: read.gaps,
    averages: averageRows(rows, survivors),
    files: refused ? [] : await writeRows(task, rows, survivors, context),
    refused,
  }
}

interface ReadResult {
  readonly records: number
  readonly gaps: readonly Gap[]
}

async function readInputs(
  { inputs, dataset }: CompactionTask,
  enricher: Enricher,
  quarantine: QuarantineWriter,
  context: TaskContext,
): Promise<ReadResult> {
  const withOrigin = dataset.fields.some(({ from }) => from.kind === 'origin')
  const gaps: Gap[] = []
  let records = 0
  for await (const { chunk, input } of chunksOf(inputs, context)) {
    const { stream, created, shardId } = input
    const resumed = comparePositions(input.from, chunk.meta.after) > 0
    if (chunk.meta.gap && !resumed) gaps.push({ stream, created, shardId, after: chunk.meta.after })
    const rows: number[] = []
    for (let row = 0; row < chunk.meta.count; row++) {
      if (!resumed || comparePositions(chunk.sequenceNumber(row), input.from) > 0) rows.push(row)
    }
    records += rows.length
    for (let start = 0; start < rows.length; start += ENRICH_BATCH_RECORDS) {
      const batch = rows.slice(start, start + ENRICH_BATCH_RECORDS)
      const outcomes = await enricher.addBatch(
        batch.map((row) => rawRecord(chunk, row, withOrigin ? input : undefined)),
        { signal: context.signal },
      )
      for (const [index, refusal] of outcomes.entries()) {
        if (refusal === undefined) continue
        const row = batch[index]!
        const [sequenceNumber, partitionKey] = [chunk.sequenceNumber(row), chunk.partitionKey(row)]
        const arrivalMillis = chunk.arrivalMillis(row)
        const origin = { stream, created, shardId, sequenceNumber, partitionKey, arrivalMillis }
        await quarantine.add(chunk.data(row), origin, refusal)
      }
    }
  }
  return { records, gaps }
}

function rawRecord(chunk: StagedChunk, row: number, source: PlannedChain | undefined): RawRecord {
  const raw = { bytes: chunk.data(row), arrivalMillis: chunk.arrivalMillis(row) }
  if (source === undefined) return raw
  const { stream, created, shardId } = source
  const { arrivalMillis } = raw
  const sequenceNumber = chunk.sequenceNumber(row)
  return { ...raw, origin: originText({ arrivalMillis, stream, created, shardId, sequenceNumber }) }
}

/** Every planned chunk in order; the next one is fetched while the caller works. Checks that the chain has no hole. */
async function* chunksOf(
  inputs: readonly PlannedChain[],
  context: TaskContext,
): AsyncGenerator<{ chunk: StagedChunk; input: PlannedChain }, void, undefined> {
  const planned = inputs.flatMap((input) =>
    input.chunks.map((chunk, index) => ({
      input,
      ref: refOf(input, chunk),
      to: input.chunks[index + 1]?.after ?? input.to,
    })),
  )
  const fetchAt = (index: number): Promise<StagedChunk> | undefined => {
    const item = planned[index]
    if (item === undefined) return undefined
    const pending = readChunk(context.store, item.ref, { signal: context.signal })
    pending.catch(() => {}) // reported when its turn comes
    return pending
  }
  let pending = fetchAt(0)
  for (let index = 0; index < planned.length; index++) {
    const chunk = await pending!
    pending = fetchAt(index + 1)
    context.signal?.throwIfAborted()
    const { input, to } = planned[index]!
    if (chunk.meta.last !== to) throw brokenChain(input, chunk, to)
    yield { chunk, input }
  }
}

const refOf = (input: PlannedChain, chunk: PlannedChain['chunks'][number]): ChunkRef => ({
  stream: input.stream,
  created: input.created,
  shardId: input.shardId,
  ...chunk,
})

const brokenChain = (input: PlannedChain, chunk: StagedChunk, to: string): FirnError =>
  new FirnError(
    'corrupt',
    'FIRN_CHAIN_BROKEN',
    `staging of ${incarnationName(input)}, shard ${input.shardId}: ${chunk.ref.key} ends at ${chunk.meta.last}, the chain goes on after ${to}`,
    {
      detail: { stream: incarnationName(input), shardId: input.shardId, key: chunk.ref.key },
      help: 'restore the missing chunk below _staging/ from a backup or a bucket version; nothing was compacted',
    },
  )

function averageRows(rows: EnrichedRows, survivors: Uint32Array): AveragesState {
  const values = rows.columns.get(rows.dataset.averageOf) as Int32Column
  const { eventTime } = rows.dataset
  const times = eventTime === undefined ? undefined : (rows.columns.get(eventTime) as Int64Column)
  const builder = new AveragesBuilder()
  for (const row of survivors) {
    if (values.nulls.has(row)) continue
    builder.add(values.at(row), times === undefined || times.nulls.has(row) ? null : times.at(row))
  }
  return builder.state()
}

async function writeRows(
  task: CompactionTask,
  rows: EnrichedRows,
  survivors: Uint32Array,
  context: TaskContext,
): Promise<readonly WrittenFileJson[]> {
  const schema = parseSchema(task.tableSchema)
  const spec = parsePartitionSpec(task.partitionSpec)
  const sortOrder = parseSortOrder(task.sortOrder)
  const store = storeOf(task, context)
  const gather = gatherer(rows, arrowSchema(schema), epochMicros(BigInt(task.compactedAt)))
  const keys = partitionKeys(rows, schema, spec, BigInt(task.compactedAt))
  const partitions = partitionAndSort(survivors, keys, sortKeys(rows, schema, sortOrder))
  const written: WrittenFileJson[] = []
  for (const [index, { tuple, rows: order }] of partitions.entries()) {
    const writer = createDataFileWriter({
      store,
      location: task.location,
      schema,
      spec,
      partition: tuple as readonly PrimitiveValue[],
      sortOrderId: sortOrder.orderId,
      sortOrder,
      properties: task.metricsProperties,
      fileNamePrefix: `${task.filePrefix}-${index}`,
      targetFileSizeBytes: task.targetFileSizeBytes,
      rowGroupRows: task.rowGroupRows,
    })
    for (let start = 0; start < order.length; start += task.rowGroupRows) {
      const batch = gather(order, start, Math.min(start + task.rowGroupRows, order.length))
      await writer.write(batch, { signal: context.signal })
    }
    for (const file of await writer.close({ signal: context.signal })) {
      written.push({ dataFile: dataFileToJson(file.dataFile), sha256: file.sha256, rowGroups: file.rowGroups })
    }
  }
  return written
}

function storeOf({ location, ownStore }: CompactionTask, { store, openTableStore }: TaskContext): ObjectStore {
  const inside = normaliseLocation(location).startsWith(`${store.url}/`)
  if (ownStore !== true || inside || openTableStore === undefined) return tableStore(store, normaliseLocation(location))
  return openTableStore(normaliseLocation(location))
}

/** The table's folder as a store of its own. */
export function tableStore(warehouse: ObjectStore, location: string): ObjectStore {
  const root = `${warehouse.url}/`
  if (location.startsWith(root)) return subStore(warehouse, location.slice(root.length))
  throw new FirnError(
    'invalid',
    'FIRN_TABLE_OUTSIDE_WAREHOUSE',
    `the table at ${location} is not in the warehouse ${warehouse.url}`,
    {
      help: 'give the warehouse that holds the table',
    },
  )
}

function partitionKeys(
  rows: EnrichedRows,
  schema: Schema,
  spec: PartitionSpec,
  compactedAtMicros: bigint,
): readonly PartitionKey[] {
  return spec.fields.map((field) => {
    const transform = (type: PrimitiveType, value: CellValue): CellValue =>
      applyTransform(field.transform, type, value) as CellValue
    if (isTimeOfRun(rows, schema, field.sourceId)) {
      const value = transform('timestamptz', compactedAtMicros)
      return () => value
    }
    const { column, type } = columnOf(rows, schema, field.sourceId)
    const partitionOf = memoized((value) => transform(type, value))
    return (row) => partitionOf(cellAt(column, row))
  })
}

/** The column that has one value in all rows of a run. */
function isTimeOfRun({ dataset }: EnrichedRows, schema: Schema, fieldId: number): boolean {
  const name = schema.fields.find((field) => field.id === fieldId)?.name
  return dataset.fields.some((field) => field.name === name && field.from.kind === 'compacted_at')
}

/** Neighbouring rows mostly hold the same day; computing it costs big-integer arithmetic. */
function memoized(transform: (value: CellValue) => CellValue): (value: CellValue) => CellValue {
  let lastValue: CellValue | undefined
  let lastResult: CellValue = null
  return (value) => {
    if (value !== lastValue) {
      lastResult = transform(value)
      lastValue = value
    }
    return lastResult
  }
}

function sortKeys(rows: EnrichedRows, schema: Schema, order: SortOrder): readonly SortKey[] {
  return order.fields.flatMap((field) => {
    if (field.transform !== 'identity') {
      throw new FirnError(
        'invalid',
        'FIRN_TRANSFORM_UNSUPPORTED',
        `cannot sort by ${field.transform}; only by columns themselves`,
      )
    }
    if (isTimeOfRun(rows, schema, field.sourceId)) return []
    const { column } = columnOf(rows, schema, field.sourceId)
    return [{ column, direction: field.direction, nullOrder: field.nullOrder }]
  })
}

function columnOf(rows: EnrichedRows, schema: Schema, fieldId: number): { column: Column; type: PrimitiveType } {
  const field = schema.fields.find((candidate) => candidate.id === fieldId)
  const column = field === undefined ? undefined : rows.columns.get(field.name)
  if (field !== undefined && column !== undefined) return { column, type: field.type as PrimitiveType }
  throw new FirnError(
    'invalid',
    'FIRN_DATASET_MISMATCH',
    `the table is partitioned or sorted by ${field?.name ?? `field ${fieldId}`}, which dataset ${rows.dataset.name} does not read from records`,
  )
}
