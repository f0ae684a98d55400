/** `firn manifests` beyond its flags: the plan and the result for people, and the run. */
import { type ManifestPlan, planManifests, runManifests } from '../../table/index.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { documentOf } from './document.ts'
import type { PreparedWork, TableWork } from './prepared.ts'

export interface ManifestWorkOptions {
  readonly targetSizeBytes?: number | undefined
  readonly branch?: string | undefined
  readonly rewriteAll: boolean
}

/** @throws {FirnError} as `planManifests`. */
export async function prepareManifests(
  { table, tableName, clock, signal, commitSignal }: TableWork,
  options: ManifestWorkOptions,
): Promise<PreparedWork> {
  const plan = await planManifests(table, { ...options, signal })
  return {
    schema: 'firn.manifests/1',
    table: tableName,
    plan: documentOf(plan),
    text: planText(tableName, plan),
    nothingToDo: plan.groups.length === 0,
    question: 'Rewrite them?',
    run: async () => {
      signal?.throwIfAborted()
      const { result } = await runManifests(table, plan, { signal: commitSignal ?? signal }, clock)
      const { replaced, created, kept, bytesBefore, bytesAfter, conflicts } = result
      const lost = conflicts === 0 ? '' : `${plural(conflicts, 'group')} left as another writer made them meanwhile\n`
      const sizes = `${formatBytes(bytesBefore)} to ${formatBytes(bytesAfter)}`
      return {
        result: documentOf(result),
        text: `${tableName}: ${plural(replaced, 'manifest')} into ${created}, ${kept} kept, ${sizes}\n${lost}`,
        exitCode: replaced === 0 && conflicts > 0 ? 3 : 0,
      }
    },
  }
}

function planText(table: string, { groups, totals }: ManifestPlan): string {
  if (groups.length === 0)
    return `nothing to do: ${plural(totals.manifests, 'manifest')} of ${table}, none worth a rewrite\n`
  const rows = groups.map((group) => ({
    content: group.content,
    spec_id: group.specId,
    why: group.reasons.join(', '),
    manifests: group.inputs.length,
    files: group.files,
    size: formatBytes(group.bytes),
    becomes: group.outputs,
  }))
  return `${renderTable(rows)}would rewrite ${totals.inputs} of ${plural(totals.manifests, 'manifest')} of ${table} into ${totals.outputs}\n`
}
