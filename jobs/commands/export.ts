/** `firn export <table> --for ENGINE`: the snippet that opens this table there. */
import { Command, Option } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { Config } from '../config.ts'
import { type CommandContext, parseTableTarget } from '../context.ts'
import { ENGINES, type Engine } from '../export/engines.ts'
import type { ExportSubject, RestAccess } from '../export/subject.ts'

export function exportCommand(ctx: CommandContext): Command {
  return new Command('export')
    .description('print how to open this table in another engine')
    .argument('<table>', 'namespace.name, or the URL of a table')
    .addOption(new Option('--for <engine>', 'duckdb, spark, pyiceberg, trino or athena').makeOptionMandatory())
    .addHelpText('after', '\nExample:\n  $ firn export news.articles --for duckdb | duckdb')
    .action((name: string, flags: { readonly for: string }) => printSnippet(ctx, name, engineOf(flags.for)))
}

async function printSnippet(ctx: CommandContext, name: string, engine: Engine): Promise<void> {
  const [{ currentSchema }, { cautionFor, snippet }] = await Promise.all([
    import('../../table/index.ts'),
    import('../export/index.ts'),
  ])
  const table = await ctx.openTable(name)
  const { metadataLocation, location } = table
  const subject: ExportSubject = {
    name,
    metadataLocation,
    location,
    ...s3Of(ctx.config, metadataLocation),
    columns: currentSchema(table.metadata).fields,
    rest: parseTableTarget(name).kind === 'name' ? restOf(ctx.config) : undefined,
  }
  const text = snippet(engine, subject)
  const caution = cautionFor(engine, subject)
  // also for those who pipe the text into the engine, which does not show comments
  if (caution !== undefined) ctx.log.warn({ table: name, location }, caution)
  ctx.print({
    json: {
      schema: 'firn.export/1',
      table: name,
      engine,
      metadata_location: metadataLocation,
      caution: caution ?? null,
      snippet: text,
    },
    text,
  })
}

function engineOf(text: string): Engine {
  const found = ENGINES.find((engine) => engine === text)
  if (found !== undefined) return found
  throw new FirnError('invalid', 'FIRN_ENGINE_UNKNOWN', `${JSON.stringify(text)} is not an engine firn knows`, {
    help: `use --for ${ENGINES.join(', ')}; any engine that reads Iceberg v2 can open the current metadata file`,
  })
}

function s3Of(config: Config, url: string): Pick<ExportSubject, 'endpoint' | 'region'> {
  if (!/^s3[an]?:\/\//.test(url)) return { endpoint: undefined, region: undefined }
  return { endpoint: config.s3.endpoint, region: config.s3.region }
}

/** Everything but the secrets: each engine takes them from the environment. */
function restOf({ catalog }: Config): RestAccess | undefined {
  if (catalog === undefined) return undefined
  const { uri, warehouse, prefix, scope, oauth2ServerUri, token, credential, signingName, signingRegion } = catalog
  const signs = catalog.sigv4 || signingName !== undefined || signingRegion !== undefined
  const auth = signs ? 'sigv4' : credential !== undefined ? 'credential' : token !== undefined ? 'token' : 'none'
  return { uri, warehouse, prefix, scope, oauth2ServerUri, auth, signingName, signingRegion }
}
