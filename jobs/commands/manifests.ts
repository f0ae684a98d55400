/** `firn manifests <table>`: list the same files in fewer manifests, sorted by partition. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
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
  const { prepareManifests } = await import('../maintenance/manifests.ts')
  const { clock, signal, log } = ctx
  const table = await openToWrite(ctx, name)
  const { targetSize: targetSizeBytes, branch, rewriteAll } = flags
  const prepared = await prepareManifests(
    { store: ctx.warehouse(), table, tableName: name, clock, log, signal },
    { targetSizeBytes, branch, rewriteAll },
  )
  await approveAndRun(ctx, flags, prepared, prepared.run)
}
