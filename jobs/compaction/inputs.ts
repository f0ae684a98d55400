/**
 * What a run reads, record by record: chunks of staging with their aggregates opened, or records that were refused
 * before. In the order of the plan, in batches that do not cross an object.
 */
import { type ChunkRef, comparePositions, readChunk, type StagedChunk, userRecords } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { ENRICH_BATCH_RECORDS, type RawRecord } from './enrich/enrich.ts'
import { originText } from './enrich/origin.ts'
import type { ListedChunk, PlannedChain, PlannedInput, PlannedQuarantine } from './plan.ts'
import { type Incarnation, incarnationName } from './positions.ts'
import type { QuarantinedRecord, RecordOrigin } from './refused/quarantine.ts'
import { readQuarantine } from './refused/read-quarantine.ts'

/** A chunk before which records were lost. */
export interface Gap extends Incarnation {
  readonly shardId: string
  readonly after: string
}

export interface InputBatch {
  /** Number of its object among all that the run reads: with `firstRecord` the order of records over the whole run. */
  readonly object: number
  /** Number of the first record in its object. */
  readonly firstRecord: number
  readonly records: readonly RawRecord[]
  /** Where record `index` of the batch came from. */
  originOf(index: number): RecordOrigin
}

/** What was seen besides records; grows while batches are read. */
export interface InputCounts {
  /** Records of streams, before aggregates are opened. */
  kinesisRecords: number
  /** Bytes of the records as they came. */
  bytes: number
  readonly gaps: Gap[]
}

export interface ReadInputsOptions extends AbortableOptions {
  readonly store: ObjectStore
  /** Give every record its origin as text. */
  readonly withOrigin: boolean
  readonly counts: InputCounts
  /** Number of the first object. Default 0. */
  readonly firstObject?: number | undefined
}

/** One object of the plan. */
export type InputObject =
  | { readonly kind: 'chunk'; readonly input: PlannedChain; readonly ref: ChunkRef; readonly to: string }
  | { readonly kind: 'quarantine'; readonly input: PlannedQuarantine }

/** A batch ends where its records exceed this, so that one of giant records is small. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024

/** The objects of a plan in its order. */
export function inputObjects(inputs: readonly PlannedInput[]): readonly InputObject[] {
  return inputs.flatMap((input): readonly InputObject[] =>
    input.kind === 'quarantine'
      ? [{ kind: 'quarantine', input }]
      : input.chunks.map((chunk, index) => ({
          kind: 'chunk',
          input,
          ref: refOf(input, chunk),
          to: input.chunks[index + 1]?.after ?? input.to,
        })),
  )
}

const refOf = (input: PlannedChain, { after, key, sizeBytes }: ListedChunk): ChunkRef => ({
  stream: input.stream,
  created: input.created,
  shardId: input.shardId,
  after,
  key,
  sizeBytes,
})

/**
 * The next object is fetched while the caller works.
 * @throws {FirnError} `FIRN_CHAIN_BROKEN`, `FIRN_CHUNK_CORRUPT` (corrupt); what the store throws.
 */
export async function* readInputs(
  inputs: readonly PlannedInput[],
  options: ReadInputsOptions,
): AsyncGenerator<InputBatch, void, undefined> {
  const { store, signal, firstObject = 0 } = options
  const objects = inputObjects(inputs)
  const fetchAt = (index: number): Promise<StagedChunk> | undefined => {
    const item = objects[index]
    if (item?.kind !== 'chunk') return undefined
    const pending = readChunk(store, item.ref, { signal })
    pending.catch(() => {}) // reported when its turn comes
    return pending
  }
  let pending = fetchAt(0)
  for (const [index, item] of objects.entries()) {
    const chunk = await pending
    pending = fetchAt(index + 1)
    signal?.throwIfAborted()
    if (item.kind === 'quarantine') yield* quarantineBatches(item.input, firstObject + index, options)
    else {
      if (chunk!.meta.last !== item.to) throw brokenChain(item.input, chunk!, item.to)
      yield* chunkBatches(item.input, chunk!, firstObject + index, options)
    }
  }
}

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

function* chunkBatches(
  input: PlannedChain,
  chunk: StagedChunk,
  object: number,
  { counts, withOrigin }: ReadInputsOptions,
): Generator<InputBatch, void, undefined> {
  const { stream, created, shardId } = input
  const resumed = comparePositions(input.from, chunk.meta.after) > 0
  if (chunk.meta.gap && !resumed) counts.gaps.push({ stream, created, shardId, after: chunk.meta.after })
  const batch = new BatchBuilder(object)
  for (let row = 0; row < chunk.meta.count; row++) {
    if (resumed && comparePositions(chunk.sequenceNumber(row), input.from) <= 0) continue
    counts.kinesisRecords++
    const arrivalMillis = chunk.arrivalMillis(row)
    const data = chunk.data(row)
    counts.bytes += data.byteLength
    const place = (subSequenceNumber: number, partitionKey: string): RecordOrigin => {
      const sequenceNumber = chunk.sequenceNumber(row)
      return { stream, created, shardId, sequenceNumber, subSequenceNumber, partitionKey, arrivalMillis }
    }
    if (!mayBeAggregate(data)) {
      const origin = withOrigin ? originText(place(0, '')) : undefined
      batch.add({ bytes: data, arrivalMillis, origin }, () => place(0, chunk.partitionKey(row)))
      if (batch.full) yield batch.take()
      continue
    }
    for (const { data: bytes, partitionKey, subSequenceNumber } of userRecords(data, chunk.partitionKey(row))) {
      const origin = withOrigin ? originText(place(subSequenceNumber, partitionKey)) : undefined
      batch.add({ bytes, arrivalMillis, origin }, () => place(subSequenceNumber, partitionKey))
      if (batch.full) yield batch.take()
    }
  }
  if (batch.size > 0) yield batch.take()
}

/** Text never begins like this; what does is judged by `userRecords`. */
const mayBeAggregate = (data: Uint8Array): boolean => data[0] === 0xf3 && data[1] === 0x89

async function* quarantineBatches(
  { path, rows }: PlannedQuarantine,
  object: number,
  { store, signal, counts }: ReadInputsOptions,
): AsyncGenerator<InputBatch, void, undefined> {
  const batch = new BatchBuilder(object)
  for await (const record of readQuarantine(store, path, { rows, signal })) {
    const bytes = Buffer.from(record.rawData, 'base64')
    counts.bytes += bytes.byteLength
    const place = originOfRefused(record)
    batch.add({ bytes, arrivalMillis: record.arrivalTimestamp, origin: originText(place) }, () => place)
    if (batch.full) yield batch.take()
  }
  if (batch.size > 0) yield batch.take()
}

const originOfRefused = (record: QuarantinedRecord): RecordOrigin => ({
  stream: record.stream,
  created: record.streamCreated,
  shardId: record.shardId,
  sequenceNumber: record.sequenceNumber,
  subSequenceNumber: record.subSequenceNumber,
  partitionKey: record.partitionKey,
  arrivalMillis: record.arrivalTimestamp,
  attempts: record.attemptsMade,
})

class BatchBuilder {
  readonly #object: number
  #taken = 0
  #bytes = 0
  #records: RawRecord[] = []
  #origins: (() => RecordOrigin)[] = []

  constructor(object: number) {
    this.#object = object
  }

  get size(): number {
    return this.#records.length
  }

  get full(): boolean {
    return this.#records.length >= ENRICH_BATCH_RECORDS || this.#bytes >= MAX_BATCH_BYTES
  }

  add(record: RawRecord, origin: () => RecordOrigin): void {
    this.#records.push(record)
    this.#origins.push(origin)
    this.#bytes += record.bytes.byteLength
  }

  take(): InputBatch {
    const records = this.#records
    const origins = this.#origins
    const firstRecord = this.#taken
    this.#taken += records.length
    this.#records = []
    this.#origins = []
    this.#bytes = 0
    return { object: this.#object, firstRecord, records, originOf: (index) => origins[index]!() }
  }
}
