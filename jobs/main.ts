/** The command line: wiring, signals, exit codes. `bin.ts` calls `main` once the Node version is known to be right. */
import { Command, CommanderError, Option } from 'commander'
import { averagesCommand } from './commands/averages.ts'
import { branchCommand } from './commands/branch.ts'
import { changesCommand } from './commands/changes.ts'
import { compactCommand } from './commands/compact.ts'
import { configCommand } from './commands/config.ts'
import { copyCommand } from './commands/copy.ts'
import { deleteCommand } from './commands/delete.ts'
import { doctorCommand } from './commands/doctor.ts'
import { expireCommand } from './commands/expire.ts'
import { exportCommand } from './commands/export.ts'
import { checkFormat } from './commands/formats.ts'
import { initCommand } from './commands/init.ts'
import { inspectCommand } from './commands/inspect.ts'
import { landCommand } from './commands/land.ts'
import { maintainCommand } from './commands/maintain.ts'
import { manifestsCommand } from './commands/manifests.ts'
import { orphansCommand } from './commands/orphans.ts'
import { replayCommand } from './commands/replay.ts'
import { rewriteCommand } from './commands/rewrite.ts'
import { rollbackCommand } from './commands/rollback.ts'
import { runCommand } from './commands/run.ts'
import { sampleCommand } from './commands/sample.ts'
import { scanCommand } from './commands/scan.ts'
import { stagingCommand } from './commands/staging.ts'
import { summarizeCommand } from './commands/summarize.ts'
import { tagCommand } from './commands/tag.ts'
import { taskCommand } from './commands/task.ts'
import { trainCommand } from './commands/train.ts'
import { verifyCommand } from './commands/verify.ts'
import { explainConfig, loadConfig, loadEnvironment, settingNames } from './config.ts'
import { type CommandContext, type ContextHandle, createContext } from './context.ts'
import { describeError, describeInterruption, exitCodeAfter, exitCodeOf } from './exit.ts'
import { bindVariables, isFlagOnly, variableOf } from './option-variables.ts'
import { resolveSecrets } from './settings/secrets.ts'
import { interruptible } from './signals.ts'
import { type Environment, isTruthy, refuseUnknownVariables } from './variables.ts'
import { version } from './version.ts'

const COMMANDS: readonly ((ctx: CommandContext) => Command)[] = [
  initCommand,
  landCommand,
  compactCommand,
  replayCommand,
  inspectCommand,
  scanCommand,
  sampleCommand,
  averagesCommand,
  verifyCommand,
  changesCommand,
  tagCommand,
  taskCommand,
  branchCommand,
  rollbackCommand,
  deleteCommand,
  rewriteCommand,
  expireCommand,
  orphansCommand,
  manifestsCommand,
  maintainCommand,
  stagingCommand,
  trainCommand,
  summarizeCommand,
  runCommand,
  doctorCommand,
  exportCommand,
  copyCommand,
  configCommand,
]

/** Run one command line and end the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const { stdin, stdout, stderr } = process
  // `firn scan … | head` closes our pipe early: that is the reader's choice, not an error.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const interrupt = interruptible()
  const exitCode = await execute(argv, { stdin, stdout, stderr, cwd: process.cwd(), signal: interrupt.signal })
  await Promise.all([flushed(stdout), flushed(stderr)])
  process.exit(exitCodeAfter(interrupt.exitCode, exitCode))
}

export interface Execution {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  /** A terminal is asked before anything is deleted or rewritten. */
  readonly stdin?: (NodeJS.ReadableStream & { readonly isTTY?: boolean }) | undefined
  /** Where `.env`, `firn.config.json` and the default warehouse are. */
  readonly cwd: string
  readonly signal: AbortSignal
}

/** Run one command line in this process. Never throws. @returns the exit code. */
export async function execute(
  argv: readonly string[],
  { stdin, stdout, stderr, cwd, signal }: Execution,
): Promise<number> {
  let verbose = argv.includes('-v') || argv.includes('--verbose')
  let handle: ContextHandle | undefined
  try {
    const env = loadEnvironment(cwd)
    verbose ||= isTruthy(env['FIRN_VERBOSE'])
    handle = createContext({ signal, stdin, stdout, stderr })
    await buildProgram(handle, { env, cwd, stdout, stderr }).parseAsync([...argv], { from: 'user' })
    return handle.exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      // No command at all: commander has printed the help.
      if (error.code === 'commander.help') return 2
    }
    stderr.write(signal.aborted ? describeInterruption(error, verbose) : describeError(error, verbose))
    return exitCodeOf(error)
  } finally {
    await handle?.close()
  }
}

interface ProgramOptions {
  readonly env: Environment
  readonly cwd: string
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

/** The whole command tree. Every option of every command can also come from the environment. */
export function buildProgram(handle: ContextHandle, { env, cwd, stdout, stderr }: ProgramOptions): Command {
  const program = new Command('firn')
    .description('Kinesis to an Apache Iceberg table on S3, and shuffled Arrow batches to train on.')
    .version(version, '--version', 'print the version')
    .option('--warehouse <url>', 's3://bucket/prefix or file:///folder (default: file://$PWD/.firn/warehouse)')
    .option('--catalog <uri>', 'Iceberg REST catalog that has the tables (default: the folders of the warehouse)')
    .option('--config <file>', 'settings file (default: firn.config.json of the current folder)')
    .addOption(
      new Option('--output <format>', 'how results are printed').choices(['table', 'json', 'jsonl', 'csv', 'arrow']),
    )
    .option('-v, --verbose', 'more log lines; stack traces of unexpected errors')
    .option('--quiet', 'only errors on standard error')
    .addOption(new Option('--log-format <format>', 'log lines on standard error').choices(['text', 'json']))
    .option('--metrics-file <file>', 'write the metrics of this command there when it ends (Prometheus text)')
    .option('--lineage <target>', 'send OpenLineage events of runs to an http(s) URL or a file')
    .addHelpText('after', HELP_AFTER)
    .showSuggestionAfterError()
  for (const command of COMMANDS) program.addCommand(command(handle.context))
  const known = new Set<string>(settingNames)
  const flagOnly = new Set<string>()
  for (const command of walk(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => {}, // reported in our own form
    })
    for (const option of command.options) (isFlagOnly(command, option) ? flagOnly : known).add(variableOf(option))
    // the program's own options are settings, which `loadConfig` takes from the environment
    if (command !== program) bindVariables(command, env)
  }
  refuseUnknownVariables(env, known, flagOnly)
  program.hook('preAction', async (_program, command) => {
    const flags = program.opts<Record<string, unknown>>()
    const { config: configFile, version: _version, ...rest } = flags
    const sources = { flags: rest, env, cwd, configFile: configFile as string | undefined }
    const config = loadConfig(sources)
    checkFormat(command, config.output)
    const { signal } = handle.context
    // settings are shown as they are written, and also where a secret cannot be read
    const isShown = command.parent?.name() === 'config'
    // a part of a run, told by its parent how stores are opened: the parent counts, tells, and needs the secrets
    const isPart = command.parent?.name() === 'task' && command.opts()['channel'] === true
    const own = isPart ? { ...config, metricsFile: undefined, lineage: undefined } : config
    await handle.activate(isShown || isPart ? own : await resolveSecrets(own, { signal }), () => explainConfig(sources))
  })
  return program
}

const HELP_AFTER = `
Every option is also read from the environment: --warehouse is FIRN_WAREHOUSE, --dry-run is FIRN_DRY_RUN=1 (0: not),
lists are separated by commas, nested settings are joined by __. A flag beats its variable.
Tables of a REST catalog: --catalog URI, and from the environment or the settings file only: FIRN_CATALOG_WAREHOUSE,
FIRN_CATALOG_TOKEN or FIRN_CATALOG_CREDENTIAL (id:secret), or FIRN_CATALOG_SIGV4=1 for AWS Glue and S3 Tables.
AWS is found by the usual chain and variables: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_KINESIS, …

Exit codes: 0 done or nothing to do, 1 failed, 2 usage or configuration, 3 try again later,
            4 commit state unknown (run firn verify), 130/143 interrupted.

Example:
  $ firn land --stream MyStream && firn compact news.articles && firn sample news.articles`

function* walk(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* walk(child)
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0) resolve()
    else stream.write('', () => resolve())
  })
