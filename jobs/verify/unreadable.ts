/** A table whose metadata does not load: that is a finding, not a failure of the check. */
import { FirnError } from '../../table/errors.ts'
import type { VerifyResult } from './index.ts'
import { nothingChecked } from './problems.ts'

/**
 * @param error why the table `name` cannot be opened; rethrown unless its metadata is damaged.
 * @returns the one problem that hides all others.
 */
export function unreadableTable(name: string, error: unknown): VerifyResult {
  if (!FirnError.is(error) || error.kind !== 'corrupt') throw error
  const { where, ref } = error.detail
  const problem = {
    code: ref === undefined ? ('metadata-corrupt' as const) : ('ref-broken' as const),
    object: where === undefined ? name : String(where),
    message: error.message,
  }
  return {
    ok: false,
    problems: [problem],
    checked: nothingChecked(),
    skipped: ['everything else: the table does not load'],
    repaired: [],
  }
}
