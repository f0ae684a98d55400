/** `firn init <table> --dataset articles|FILE`: create a table from a dataset definition. */
import { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'

interface InitOptions {
  readonly dataset?: string
  readonly dryRun: boolean
}

export function initCommand(ctx: CommandContext): Command {
  return new Command('init')
    .description('create a table from a dataset definition')
    .argument('<table>', 'namespace.name')
    .option('--dataset <name>', 'articles, or the path of a dataset definition')
    .option('--dry-run', 'print what would be created; create nothing', false)
    .addHelpText('after', '\nExample:\n  $ firn init news.articles --dataset articles')
    .action((table: string, options: InitOptions) => init(ctx, table, options))
}

async function init(ctx: CommandContext, table: string, options: InitOptions): Promise<void> {
  const [{ createTableFor, layoutOf, resolveDataset }, { printPartitionSpec, printSchema, printSortOrder }] =
    await Promise.all([import('../datasets/index.ts'), import('../../table/index.ts')])
  const { signal } = ctx
  const dataset = await resolveDataset(datasetName(ctx, options), { signal })
  const layout = layoutOf(dataset)
  const described = {
    dataset: dataset.name,
    columns: printSchema(layout.schema),
    partition_spec: printPartitionSpec(layout.partitionSpec),
    sort_order: printSortOrder(layout.sortOrder),
  }
  if (options.dryRun) {
    const exists = (await ctx.catalog().listTables({ signal })).includes(table)
    if (exists) throw tableExists(table)
    const text = `would create ${table} in ${ctx.warehouse().url} from the dataset ${dataset.name}`
    ctx.print({
      json: { schema: 'firn.init/1', dry_run: true, table, location: null, snapshot_id: null, ...described },
      text,
    })
    return
  }
  try {
    const { location } = await createTableFor(ctx.catalog(), table, dataset, { signal })
    ctx.print({
      json: { schema: 'firn.init/1', table, location, snapshot_id: null, ...described },
      text: `created ${table} at ${location}`,
    })
  } catch (error) {
    throw FirnError.is(error, 'FIRN_TABLE_EXISTS') ? tableExists(table, error) : error
  }
}

function datasetName(ctx: CommandContext, options: InitOptions): string {
  const name = options.dataset ?? ctx.config.dataset
  if (name !== undefined) return name
  throw new FirnError('invalid', 'FIRN_USAGE', 'init needs a dataset', {
    help: 'add --dataset articles, or the path of a dataset definition',
  })
}

// For someone who asked for a new table, "there is one" is a wrong request, not something to repeat later.
const tableExists = (table: string, cause?: unknown): FirnError =>
  new FirnError('invalid', 'FIRN_TABLE_EXISTS', `the table ${table} exists already`, {
    cause,
    help: `use it as it is (firn inspect snapshots ${table}), or choose another name`,
  })
