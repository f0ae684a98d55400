/** Rows of a batch through the user's module, so that one bad row does not take the others with it. */
import { FirnError } from '../../../table/errors.ts'
import { epochMicros } from '../../../table/ids.ts'
import { arrowSchema } from '../../../table/index.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import { columnsOf, type DatasetDefinition, layoutOf } from '../../datasets/index.ts'
import { gatherer } from '../gather.ts'
import { callEnrichment, type EnrichmentCallOptions, type EnrichmentModule } from './enrichment.ts'
import { type EnrichedRows, enrichmentFields } from './rows.ts'
import type { CellValue, Refusal } from './validate.ts'

/** The values of a row for the declared columns, or why there are none. */
export type RowOutcome =
  | { readonly ok: true; readonly cells: readonly CellValue[] }
  | { readonly ok: false; readonly refusal: Refusal }

/** One outcome per row, in order. */
export type BatchEnricher = (rows: EnrichedRows, options: AbortableOptions) => Promise<readonly RowOutcome[]>

/** After so many rows of a batch that overran alone, the module is taken for stuck: the rest is not tried. */
export const MAX_OVERRUNS_ALONE = 3

/**
 * A module that fails for a batch is called again for each of its rows; the rows that fail alone are refused.
 * @returns `undefined` when the dataset declares no columns from `enrichment`.
 * @throws {FirnError} `FIRN_ENRICHMENT_MISSING` (invalid).
 */
export function batchEnricher(
  dataset: DatasetDefinition,
  module: EnrichmentModule | undefined,
  limits: Pick<EnrichmentCallOptions, 'clock' | 'timeoutMillis'>,
): BatchEnricher | undefined {
  const fields = enrichmentFields(dataset)
  if (fields.length === 0) return undefined
  if (module === undefined) throw missing(dataset, fields[0]!.name)
  const schema = arrowSchema(visibleSchema(dataset))
  return async (rows, { signal }) => {
    if (rows.rowCount === 0) return []
    const gather = gatherer(rows, schema, epochMicros(0n))
    const order = Uint32Array.from({ length: rows.rowCount }, (_, row) => row)
    const call = async (start: number, end: number): Promise<RowOutcome[]> => {
      const outcome = await callEnrichment(module, gather(order, start, end), { fields, signal, ...limits })
      return Array.from({ length: end - start }, (_, row) =>
        outcome.ok ? { ok: true, cells: outcome.cells.map((column) => column[row]!) } : outcome,
      )
    }
    const together = await call(0, rows.rowCount)
    if (together[0]!.ok || rows.rowCount === 1) return together
    const outcomes: RowOutcome[] = []
    let overruns = 0
    for (let row = 0; row < rows.rowCount; row++) {
      const [outcome] = overruns < MAX_OVERRUNS_ALONE ? await call(row, row + 1) : [NOT_TRIED]
      if (!outcome!.ok && outcome!.refusal.reason === 'enrich.timeout') overruns++
      outcomes.push(outcome!)
    }
    return outcomes
  }
}

const NOT_TRIED: RowOutcome = {
  ok: false,
  refusal: {
    reason: 'enrich.timeout',
    message: `not tried after ${MAX_OVERRUNS_ALONE} records of its batch overran the enrichment's time`,
  },
}

/** What the module sees: all columns but its own and the time of the run. */
function visibleSchema(dataset: DatasetDefinition): ReturnType<typeof layoutOf>['schema'] {
  const hidden = new Set(
    columnsOf(dataset)
      .filter(({ from }) => from.kind === 'enrichment' || from.kind === 'compacted_at')
      .map(({ name }) => name),
  )
  const { schema } = layoutOf(dataset)
  return { ...schema, fields: schema.fields.filter(({ name }) => !hidden.has(name)) }
}

const missing = ({ name }: DatasetDefinition, column: string): FirnError =>
  new FirnError(
    'invalid',
    'FIRN_ENRICHMENT_MISSING',
    `dataset ${name} has column ${column} from the operator's enrichment, and no module is given`,
    { help: 'give the module: --enrichment FILE, FIRN_ENRICHMENT or "enrichment" in the configuration' },
  )
