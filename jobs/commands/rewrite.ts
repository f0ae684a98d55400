/** `firn rewrite <table>`: small files together, sorted ones into each other, deletes applied. Rows stay as they are. */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { RewriteStrategy } from '../../table/index.ts'
import type { CommandContext } from '../context.ts'
import { sizeArgument } from '../sizes.ts'
import { integerArgument } from '../times.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'
import { namingFlags } from './flag-names.ts'

interface RewriteFlags extends ApprovalFlags {
  readonly strategy?: RewriteStrategy
  readonly sortBy?: string
  readonly where?: string
  readonly targetFileSize?: number
  readonly minFileSize?: number
  readonly maxFileSize?: number
  readonly minInputFiles?: number
  readonly rewriteAll: boolean
  readonly deleteFileThreshold?: number
  readonly deleteRatioThreshold?: number
  readonly maxFiles?: number
  readonly maxGroups?: number
  readonly maxGroupSize?: number
  readonly maxCommits?: number
  readonly memoryLimit?: number
  readonly spillFolder?: string
}

export function rewriteCommand(ctx: CommandContext): Command {
  const command = new Command('rewrite')
    .description('rewrite data files: small ones together, in sort order, deletes applied; rows stay as they are')
    .argument('<table>', 'namespace.name')
    .addOption(
      new Option('--strategy <name>', 'how rows are laid out (default: sort when the table has a sort order)').choices([
        'binpack',
        'sort',
        'zorder',
      ]),
    )
    .option('--sort-by <columns>', 'like "publish_date desc nulls-last, author"; for zorder: the columns of the curve')
    .option('--where <filter>', 'only files that may hold matching rows')
    .option(
      '--target-file-size <size>',
      "like 128MiB (default: the table's write.target-file-size-bytes)",
      sizeArgument,
    )
    .option('--min-file-size <size>', 'smaller files are rewritten (default: 0.75 of the target)', sizeArgument)
    .option('--max-file-size <size>', 'larger files are rewritten (default: 1.8 of the target)', sizeArgument)
    .option('--min-input-files <count>', 'small files that make a group worth it (default: 5)', integerArgument(1))
    .option('--rewrite-all', 'rewrite every file, whatever its state', false)
    .option('--delete-file-threshold <count>', 'delete files that make a file worth a rewrite', integerArgument(0))
    .option('--delete-ratio-threshold <share>', 'deleted share of its rows that does (default: 0.3)', shareArgument)
    .option('--max-files <count>', 'rewrite at most this many files', integerArgument(1))
    .option('--max-groups <count>', 'rewrite at most this many groups', integerArgument(1))
    .option('--max-group-size <size>', 'bytes of a group (default: 100GiB)', sizeArgument)
    .option(
      '--max-commits <count>',
      'commit groups together, in so many snapshots (default: each by itself)',
      integerArgument(1),
    )
    .option('--memory-limit <size>', 'default: 1GiB', sizeArgument)
    .option('--spill-folder <path>', "where rows that memory does not hold are sorted (default: the machine's)")
    .addHelpText(
      'after',
      '\nExamples:\n  $ firn rewrite news.articles --dry-run\n  $ firn rewrite news.articles --strategy zorder --sort-by author,publish_date --yes',
    )
    .action((name: string, flags: RewriteFlags) => rewrite(ctx, name, flags))
  return addApproval(command)
}

async function rewrite(ctx: CommandContext, name: string, flags: RewriteFlags): Promise<void> {
  const [{ parseWhere }, work] = await Promise.all([
    import('../../table/index.ts'),
    import('../maintenance/rewrite.ts'),
  ])
  const { clock, signal, log } = ctx
  const table = await openToWrite(ctx, name)
  const { sortBy, where } = flags
  const columns = sortBy === undefined ? undefined : work.parseSortColumns(sortBy)
  const isZorder = flags.strategy === 'zorder'
  const options = {
    rewriteAll: flags.rewriteAll,
    where: where === undefined ? undefined : parseWhere(where, table.schemaFor()),
    ...defined({
      strategy: flags.strategy ?? (columns === undefined ? undefined : ('sort' as const)),
      sortOrder: columns === undefined || isZorder ? undefined : work.sortFields(table.metadata, columns),
      zorderColumns: isZorder ? columns?.map(({ column }) => column) : undefined,
      targetFileSizeBytes: flags.targetFileSize,
      minFileSizeBytes: flags.minFileSize,
      maxFileSizeBytes: flags.maxFileSize,
      minInputFiles: flags.minInputFiles,
      deleteFileThreshold: flags.deleteFileThreshold,
      deleteRatioThreshold: flags.deleteRatioThreshold,
      maxFilesToRewrite: flags.maxFiles,
      maxFileGroupSizeBytes: flags.maxGroupSize,
    }),
  }
  const { maxGroups, memoryLimit: memoryLimitBytes, maxCommits, spillFolder } = flags
  const prepared = await namingFlags('rewrite', FLAGS, () =>
    work.prepareRewrite({ store: ctx.warehouse(), table, tableName: name, clock, log, signal }, options, {
      maxGroups,
      memoryLimitBytes,
      maxCommits,
      spillFolder,
    }),
  )
  await approveAndRun(ctx, flags, prepared, prepared.run)
}

/** Of the library's options. */
const FLAGS: Readonly<Record<string, string>> = {
  sortOrder: '--sort-by',
  zorderColumns: '--sort-by',
  targetFileSizeBytes: '--target-file-size',
  minFileSizeBytes: '--min-file-size',
  maxFileSizeBytes: '--max-file-size',
  minInputFiles: '--min-input-files',
  deleteFileThreshold: '--delete-file-threshold',
  deleteRatioThreshold: '--delete-ratio-threshold',
  maxFilesToRewrite: '--max-files',
  maxFileGroupSizeBytes: '--max-group-size',
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(options: T): Defined<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>
}

function shareArgument(text: string): number {
  const share = Number(text)
  if (text.trim() === '' || !(share > 0 && share <= 1)) throw new InvalidArgumentError('Expected a share like 0.3.')
  return share
}
