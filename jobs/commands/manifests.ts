/** `firn manifests <table>`: list the same files in fewer manifests, sorted by partition. */
import { Command } from 'commander'
import type { ManifestPlan } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, plural, renderTable } from '../render.ts'
import { sizeArgument } from '../sizes.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'

interface ManifestFlags extends ApprovalFlags {
  readonly targetSize?: number
  readonly branch?: string
  readonly rewriteAll: boolean
}

export function manifestsCommand(ctx: CommandContext): Command {
  const command = new Command('manifests')
    .description('rewrite manifests: the same files in fewer of them, sorted by partition, so that plans read less')
    .argument('<table>', 'namespace.name')
    .option('--target-size <size>', "like 8MiB (default: the table's commit.manifest.target-size-bytes)", sizeArgument)
    .option('--branch <name>', 'of this branch (default: main)')
    .option('--rewrite-all', 'rewrite every manifest, whatever its state', false)
    .addHelpText('after', '\nExample:\n  $ firn manifests news.articles --yes')
    .action((name: string, flags: ManifestFlags) => manifests(ctx, name, flags))
  return addApproval(command)
}

async function manifests(ctx: CommandContext, name: string, flags: ManifestFlags): Promise<void> {
  const [{ planManifests, runManifests }, { documentOf }] = await Promise.all([
    import('../../table/index.ts'),
    import('../maintenance/document.ts'),
  ])
  const { clock, signal } = ctx
  const table = await openToWrite(ctx, name)
  const { targetSize: targetSizeBytes, branch, rewriteAll } = flags
  const plan = await planManifests(table, { targetSizeBytes, branch, rewriteAll, signal })
  const planned = {
    schema: 'firn.manifests/1',
    table: name,
    plan: documentOf(plan),
    text: planText(name, plan),
    nothingToDo: plan.groups.length === 0,
    question: 'Rewrite them?',
  }
  await approveAndRun(ctx, flags, planned, async () => {
    const { result } = await runManifests(table, plan, { signal }, clock)
    const { replaced, created, kept, bytesBefore, bytesAfter, conflicts } = result
    const lost = conflicts === 0 ? '' : `${plural(conflicts, 'group')} left as another writer made them meanwhile\n`
    const sizes = `${formatBytes(bytesBefore)} to ${formatBytes(bytesAfter)}`
    return {
      result: documentOf(result),
      text: `${name}: ${plural(replaced, 'manifest')} into ${created}, ${kept} kept, ${sizes}\n${lost}`,
      exitCode: replaced === 0 && conflicts > 0 ? 3 : 0,
    }
  })
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
