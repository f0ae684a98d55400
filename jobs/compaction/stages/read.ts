/** The first stage: inputs to rows, which are held until there are too many, and refused records to quarantine. */
import { columnsOf, type DatasetDefinition, parseDataset } from '../../datasets/index.ts'
import { createEnricher, type EnrichedRows, type Enricher } from '../enrich/enrich.ts'
import { loadEnrichment } from '../enrich/enrichment.ts'
import { type Gap, type InputCounts, readInputs } from '../inputs.ts'
import { ROW_OVERHEAD_BYTES } from '../memory.ts'
import { type QuarantineObject, quarantineWriter } from '../refused/quarantine.ts'
import type { CompactionTask, TaskContext } from '../task.ts'

/** Rows with the order of their records. */
export interface CollectedRows {
  readonly rows: EnrichedRows
  /** Number of the input object of each row, and of the record in it. */
  readonly objects: Uint32Array
  readonly records: Uint32Array
  /** Of a replay, whose objects are not in the order of records, and where rows of the table are compared as well. */
  readonly origins: readonly string[] | undefined
}

export interface ReadOutcome {
  readonly kinesisRecords: number
  readonly records: number
  readonly accepted: number
  readonly gaps: readonly Gap[]
  readonly quarantined: readonly QuarantineObject[]
  /** What was not handed to `onFull`. */
  readonly rest: CollectedRows
}

/** @param onFull takes rows when they exceed what it says they may take. */
export async function readStage(
  task: CompactionTask,
  context: TaskContext,
  onFull: { limitBytes(): number; take(rows: CollectedRows): Promise<void> },
): Promise<ReadOutcome> {
  const { signal, store } = context
  const dataset = parseDataset(task.dataset, `of run ${task.runId}`)
  const collector = await openCollector(task, dataset)
  const quarantine = quarantineWriter({
    store,
    table: task.table,
    runId: task.runId,
    firstNumber: task.firstQuarantine,
    plannedMillis: Number(BigInt(task.compactedAt) / 1000n),
    signal,
  })
  const counts: InputCounts & { readonly gaps: Gap[] } = { kinesisRecords: 0, bytes: 0, gaps: [] }
  const { firstObject } = task
  let records = 0
  for await (const batch of readInputs(task.inputs, {
    store,
    signal,
    counts,
    firstObject,
    withOrigin: hasOrigin(dataset),
  })) {
    const outcomes = await collector.enricher.addBatch(batch.records, { signal })
    for (const [index, refusal] of outcomes.entries()) {
      const { bytes, origin } = batch.records[index]!
      if (refusal !== undefined) await quarantine.add(bytes, batch.originOf(index), refusal)
      else collector.placed(batch.object, batch.firstRecord + index, origin)
    }
    records += batch.records.length
    context.onProgress?.({ stage: 'read', records, bytes: counts.bytes, rows: collector.accepted })
    if (collector.heldBytes > onFull.limitBytes()) await onFull.take(collector.take())
  }
  const { kinesisRecords, gaps } = counts
  const quarantined = await quarantine.close()
  return { kinesisRecords, gaps, records, accepted: collector.accepted, quarantined, rest: collector.take() }
}

export const isReplay = ({ inputs }: CompactionTask): boolean => inputs.some(({ kind }) => kind === 'quarantine')

/** A key has one row in the whole table, not only among those of a run. */
export const isOfTable = ({ dedup }: Pick<DatasetDefinition, 'dedup'>): boolean => dedup?.scope === 'table'

export const hasOrigin = (dataset: DatasetDefinition): boolean =>
  columnsOf(dataset).some(({ from }) => from.kind === 'origin')

/** With the user's module, where the task names one. */
export async function openCollector(task: CompactionTask, dataset: DatasetDefinition): Promise<Collector> {
  const { enrichment } = task
  const options = enrichment === undefined ? {} : { module: await loadEnrichment(enrichment) }
  return new Collector(createEnricher(dataset, options), isReplay(task) || isOfTable(dataset))
}

/** Accepted rows and the order of their records. */
export class Collector {
  readonly enricher: Enricher
  #objects = new Uint32Array(1024)
  #records = new Uint32Array(1024)
  #count = 0
  #origins: string[] | undefined
  #originBytes = 0
  accepted = 0

  constructor(enricher: Enricher, keepsOrigins: boolean) {
    this.enricher = enricher
    this.#origins = keepsOrigins ? [] : undefined
  }

  get heldBytes(): number {
    return this.enricher.heldBytes + this.#originBytes + this.#count * ROW_OVERHEAD_BYTES
  }

  /** The next accepted row is that of record `record` of input object `object`. */
  placed(object: number, record: number, origin: string | undefined): void {
    if (this.#count === this.#objects.length) {
      this.#objects = grown(this.#objects)
      this.#records = grown(this.#records)
    }
    this.#objects[this.#count] = object
    this.#records[this.#count++] = record
    this.accepted++
    if (this.#origins === undefined) return
    this.#origins.push(origin!)
    this.#originBytes += origin!.length + 64
  }

  take(): CollectedRows {
    const taken = {
      rows: this.enricher.take(),
      objects: this.#objects.slice(0, this.#count),
      records: this.#records.slice(0, this.#count),
      origins: this.#origins,
    }
    this.#count = 0
    this.#originBytes = 0
    if (this.#origins !== undefined) this.#origins = []
    return taken
  }
}

function grown(values: Uint32Array): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(values.length * 2)
  next.set(values)
  return next
}
