/**
 * Record bytes to rows: decode, validate, compute the features, let the user's module add its columns. What does not
 * pass is refused with a reason and leaves no trace in the rows.
 */
import { decodeRecord } from '../../ingest/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
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
   * One outcome per record, in order: the refusal, or `undefined` when it made a row.
   * @param records at most `ENRICH_BATCH_RECORDS` should be given: the module sees them as one batch.
   * @throws `signal.reason` on abort; the records of the call may then be there or not.
   */
  addBatch(records: readonly RawRecord[], options?: AbortableOptions): Promise<readonly (Refusal | undefined)[]>
  /** Rows accepted since the last take; the enricher is empty afterwards. */
  take(): EnrichedRows
  readonly rowCount: number
  /** Bytes that the held rows take, about. */
  readonly heldBytes: number
}

export function createEnricher(dataset: DatasetDefinition): Enricher {
  const validate = recordValidator(dataset)
  const cells: CellValue[] = new Array(recordFields(dataset).length).fill(null)
  const decodeOptions = { maxBytes: dataset.maxRecordBytes }
  let held = rowBuilder(dataset)
  const add = (record: RawRecord): Refusal | undefined => {
    const decoded = decodeRecord(record.bytes, decodeOptions)
    if (!decoded.ok) return { reason: decoded.reason, message: decoded.message }
    const refusal = validate(decoded.value, cells)
    if (refusal === undefined) held.append(cells, record)
    return refusal
  }
  return {
    async addBatch(records, { signal } = {}) {
      signal?.throwIfAborted()
      return records.map(add)
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
