/**
 * The pointer of one table in a REST catalog. Spec: REST catalog, "updateTable".
 *
 * - 409: a requirement did not hold; ours is not in the table.
 * - 5xx with or without a body, a time-out, a reset, a success that cannot be read: nobody knows. The commit loop then
 *   loads the table and looks for our snapshot, and nothing is ever deleted meanwhile.
 * - A second try on the same base is safe: both assert the same refs, so that at most one of them takes effect.
 */
import type { Clock } from '../../clock.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { Proposal, SwapOutcome, TableOperations, TableState } from '../catalog.ts'
import { type Answer, failureOf, mayHaveArrived, saysNothing } from './errors.ts'
import { type RestClient, type RestRequest, waitMillis } from './http.ts'
import { assertionsOf, isRuledOut } from './requirements.ts'
import { parseTableState, printCommit } from './wire.ts'

export interface RestTableOptions {
  readonly client: RestClient
  /** `news.articles`, for messages. */
  readonly name: string
  /** Of the table below the catalog's URI, encoded. */
  readonly path: string
  readonly clock: Clock
  load(options: AbortableOptions): Promise<TableState>
}

export function restTableOperations(table: RestTableOptions): TableOperations {
  return {
    table: table.name,
    load: (options = {}) => table.load(options),
    commit: (base, proposal, options = {}) => commit(table, base, proposal, options),
    isSettled: (base, { requirements, updates }, current) =>
      isRuledOut(current.metadata, assertionsOf(base.metadata, requirements, updates), updates),
  }
}

/** From the request on nothing is aborted: what was begun is brought to an answer, or to the request's time limit. */
async function commit(
  table: RestTableOptions,
  base: TableState,
  { requirements, updates }: Proposal,
  options: AbortableOptions,
): Promise<SwapOutcome> {
  const { client, name, path } = table
  const assertions = assertionsOf(base.metadata, requirements, updates)
  const request: RestRequest = {
    method: 'POST',
    path,
    body: printCommit(assertions, updates),
    what: `committing to table ${name}`,
    reads: false,
  }
  options.signal?.throwIfAborted()
  let answer: Answer
  try {
    answer = await client.exchange(request, {})
  } catch (cause) {
    if (!mayHaveArrived(cause, client.uri)) throw cause
    return { kind: 'unknown', cause }
  }
  const { status } = answer
  if (status >= 200 && status < 300) return committed(answer, name)
  if (status === 409) return { kind: 'conflict' }
  const failure = failureOf(client.asked(request), answer)
  if (saysNothing(status)) {
    // it says when it wants to be asked again
    if (answer.retryAfterMillis !== undefined) {
      await table.clock
        .sleep(waitMillis(table.clock, 0, answer.retryAfterMillis), options.signal)
        .catch(() => undefined)
    }
    return { kind: 'unknown', cause: failure }
  }
  if (status !== 400) throw failure
  const moved = await hasMovedOn(table, base, { requirements, updates }).catch(() => undefined)
  // a lost race and a wrong request look alike until the table can be seen
  if (moved === undefined) return { kind: 'unknown', cause: failure }
  if (moved) return { kind: 'conflict' }
  throw failure
}

function committed({ json }: Answer, name: string): SwapOutcome {
  try {
    return { kind: 'committed', state: parseTableState(json, `table ${name}`) }
  } catch (cause) {
    return { kind: 'unknown', cause }
  }
}

/** Some catalogs answer 400 when a snapshot's sequence number was taken meanwhile: a lost race all the same. */
async function hasMovedOn(
  table: RestTableOptions,
  base: TableState,
  { requirements, updates }: Pick<Proposal, 'requirements' | 'updates'>,
): Promise<boolean> {
  const current = await table.load({})
  if (current.metadataLocation === base.metadataLocation) return false
  return isRuledOut(current.metadata, assertionsOf(base.metadata, requirements, updates), updates)
}
