/**
 * Record bytes to rows: decode, validate, compute the features, let the user's module add its columns. What does not
 * pass is refused with a reason and leaves no trace in the rows.
 */
import { decodeRecord } from '../../../ingest/index.ts'
import { type Clock, systemClock } from '../../../table/clock.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { DatasetDefinition } from '../../datasets/index.ts'
import { batchEnricher } from './enrich-batch.ts'
import { DEFAULT_ENRICHMENT_TIMEOUT_MILLIS, type EnrichmentModule } from './enrichment.ts'
import { type EnrichedRows, rowBuilder } from './rows.ts'
import { type CellValue, type Refusal, recordFields, recordValidator } from './validate.ts'

export type { EnrichedRows } from './rows.ts'

/** Records that are handed over at once at most; also the rows of a batch that the user's module sees. */
export const ENRICH_BATCH_RECORDS = 512

export interface RawRecord {
  readonly bytes: Uint8Array
  readonly arrivalMillis: number
  /** Order of the record over all streams (origin.ts); only when the dataset has a column from `origin`. */
  readonly origin?: string | undefined
}

export interface Enricher {
  /**
   * One outcome per record, in order: the refusal, or `undefined` when it made a row. What is more than
   * `ENRICH_BATCH_RECORDS` goes to the module in several batches.
   * @throws `signal.reason` on abort; the records of the call may then be there or not.
   */
  addBatch(records: readonly RawRecord[], options?: AbortableOptions): Promise<readonly (Refusal | undefined)[]>
  /** Rows accepted since the last take; the enricher is empty afterwards. */
  take(): EnrichedRows
  readonly rowCount: number
  /** Bytes that the held rows take, about. */
  readonly heldBytes: number
}

export interface EnricherOptions {
  /** Needed when the dataset declares columns from `enrichment`; else it is not called. */
  readonly module?: EnrichmentModule | undefined
  /** For one call of the module. */
  readonly timeoutMillis?: number | undefined
  readonly clock?: Clock | undefined
}

/** @throws {FirnError} `FIRN_ENRICHMENT_MISSING` (invalid) when the dataset declares columns from it without a module. */
export function createEnricher(dataset: DatasetDefinition, options: EnricherOptions = {}): Enricher {
  const { module, timeoutMillis = DEFAULT_ENRICHMENT_TIMEOUT_MILLIS, clock = systemClock } = options
  const validate = recordValidator(dataset)
  const cells: CellValue[] = new Array(recordFields(dataset).length).fill(null)
  const decodeOptions = { maxBytes: dataset.maxRecordBytes }
  const enrichRows = batchEnricher(dataset, module, { timeoutMillis, clock })
  let held = rowBuilder(dataset)

  /** Records to rows of `into`, without the module's columns. */
  const read = (records: readonly RawRecord[], into: typeof held): (Refusal | undefined)[] =>
    records.map((record) => {
      const decoded = decodeRecord(record.bytes, decodeOptions)
      if (!decoded.ok) return { reason: decoded.reason, message: decoded.message }
      const refusal = validate(decoded.value, cells)
      if (refusal === undefined) into.append(cells, record)
      return refusal
    })

  /** Through the module: rows go to a batch of their own first, and from there what the module has values for. */
  const addEnriched = async (
    records: readonly RawRecord[],
    { signal }: AbortableOptions,
  ): Promise<(Refusal | undefined)[]> => {
    const batch = rowBuilder(dataset)
    const outcomes = read(records, batch)
    const enriched = await enrichRows!(batch.rows, { signal })
    let row = 0
    return outcomes.map((refusal) => {
      if (refusal !== undefined) return refusal
      const outcome = enriched[row]!
      if (outcome.ok) held.appendRow(batch.rows, row, outcome.cells)
      row++
      return outcome.ok ? undefined : outcome.refusal
    })
  }

  return {
    async addBatch(records, { signal } = {}) {
      signal?.throwIfAborted()
      if (enrichRows === undefined) return read(records, held)
      const outcomes: (Refusal | undefined)[] = []
      for (let start = 0; start < records.length; start += ENRICH_BATCH_RECORDS) {
        outcomes.push(...(await addEnriched(records.slice(start, start + ENRICH_BATCH_RECORDS), { signal })))
      }
      return outcomes
    },
    take() {
      const { rows } = held
      held = rowBuilder(dataset)
      return rows
    },
    get rowCount() {
      return held.rows.rowCount
    },
    get heldBytes() {
      return held.heldBytes
    },
  }
}
