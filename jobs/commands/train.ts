/** `firn train <table>`: a summarization model from the articles and titles of a pinned snapshot. */
import { resolve } from 'node:path'
import { Command, InvalidArgumentError, Option, type Command as Parser } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { Table } from '../../table/index.ts'
import { type CommandContext, parseTableTarget } from '../context.ts'
import { formatCount, plural } from '../render.ts'
import { integerArgument } from '../times.ts'
import type { Backend } from '../train/backend.ts'
import type { SessionResult, TrainingRequest } from '../train/session.ts'
import { pointId } from './point.ts'
import { addSelectors, type SelectorOptions, selectorOf } from './selectors.ts'

interface TrainFlags extends SelectorOptions {
  readonly model: string
  readonly resume?: boolean
  readonly since?: string
  readonly replay: number
  readonly content: string
  readonly title: string
  readonly key?: string
  readonly validation: number
  readonly validationRows: number
  readonly leadWords?: number
  readonly steps?: number
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
  readonly vocabulary: number
  readonly articleTokens: number
  readonly titleTokens: number
  readonly width: number
  readonly encoderLayers: number
  readonly seed: number
  readonly backend: Backend | 'auto'
  readonly workers?: number
  readonly checkpointSteps: number
  readonly run?: string
}

/** Options that a checkpoint has its own of, in camel case. */
const FIXED: readonly (keyof TrainFlags)[] = [
  'snapshot',
  'asOf',
  'ref',
  'since',
  'replay',
  'content',
  'title',
  'key',
  'validation',
  'steps',
  'epochs',
  'batchSize',
  'learningRate',
  'vocabulary',
  'articleTokens',
  'titleTokens',
  'width',
  'encoderLayers',
  'seed',
  'run',
]

export function trainCommand(ctx: CommandContext): Command {
  const command = new Command('train')
    .description('train a small model that writes titles for articles')
    .argument('<table>', 'namespace.name, or the URL of a table')
    .requiredOption('--model <folder>', 'where the model and its checkpoints go')
  addSelectors(command)
    .option('--resume', 'go on where the newest checkpoint of the folder is')
    .option('--since <snapshot>', 'train the model of the folder further, on rows added after it: an id, tag or time')
    .option('--replay <share>', 'share of older rows among those of --since', shareArgument, 0.2)
    .option('--content <column>', 'column of the articles', 'content')
    .option('--title <column>', 'column of the titles', 'title')
    .option('--key <column>', "column that decides what is for validation (default: the table's key)")
    .option('--validation <percent>', 'of the keys, kept for validation', integerArgument(0, 50), 5)
    .option('--validation-rows <rows>', 'scored at the end, at most', integerArgument(0), 1000)
    .option('--lead-words <count>', 'words of the baseline (default: as many as titles have)', integerArgument(1))
    .option('--epochs <count>', 'times that every row is seen', integerArgument(1), 3)
    .option('--steps <count>', 'batches to train on, in the place of --epochs', integerArgument(1))
    .option('--batch-size <rows>', 'rows of a batch', integerArgument(1, 65_536), 32)
    .option('--learning-rate <rate>', 'the highest; it rises at first and falls later', rateArgument, 0.003)
    .option('--vocabulary <count>', 'tokens, at most', integerArgument(300, 262_144), 4000)
    .option('--article-tokens <count>', 'of an article, the rest is cut', integerArgument(1, 65_536), 256)
    .option('--title-tokens <count>', 'of a title, the rest is cut', integerArgument(2, 1024), 24)
    .option('--width <count>', 'numbers that stand for a token', integerArgument(4, 4096), 64)
    .option('--encoder-layers <count>', 'each sees two more tokens to either side', integerArgument(1, 16), 1)
    .option('--seed <number>', 'of the first weights and the order of rows', integerArgument(0), 0)
    .addOption(
      new Option('--backend <name>', 'of TensorFlow.js; auto: the fastest that is installed')
        .choices(['auto', 'tensorflow', 'wasm', 'cpu'])
        .default('auto'),
    )
    .option('--workers <count>', 'threads that read and tokenize (default: 1)', integerArgument(0, 64))
    .option('--checkpoint-steps <count>', 'steps between checkpoints', integerArgument(1), 500)
    .option('--run <name>', 'name of the run, in the tag train/<run> (default: one that is new)', runArgument)
    .addHelpText(
      'after',
      '\nExamples:\n  $ firn train news.articles --model ./titles\n  $ firn train news.articles --model ./titles --resume\n  $ firn train news.articles --model ./titles --since train/monday --replay 0.2',
    )
    .action((name: string, flags: TrainFlags) => train(ctx, command, name, flags))
  return command
}

async function train(ctx: CommandContext, command: Parser, name: string, flags: TrainFlags): Promise<void> {
  if (flags.resume === true) refuseFixed(command)
  const [{ trainModel }, { stepText }, { tellTraining }] = await Promise.all([
    import('../train/session.ts'),
    import('../train/report.ts'),
    import('../telemetry/training-channel.ts'),
  ])
  const table = await ctx.openTable(name)
  const { clock, signal, log } = ctx
  const byName = parseTableTarget(name).kind === 'name'
  // before hours of training, not after them
  if (byName && flags.run !== undefined) refuseTakenName(table, name, flags.run)
  const source = byName ? { catalog: ctx.catalog(), table: name } : { table: name }
  const keep = byName ? snapshotKeeper(table) : undefined
  let firstStep: number | undefined
  const result = await trainModel({
    modelFolder: resolve(flags.model),
    backend: flags.backend,
    access: {
      source: { ...source, storeOptions: ctx.storeOptions },
      numWorkers: flags.workers,
      clock,
      signal,
    },
    table: name,
    request: flags.resume === true ? undefined : requestOf(table, name, flags),
    validationRows: flags.validationRows,
    leadWords: flags.leadWords,
    run: flags.run,
    checkpointSteps: flags.checkpointSteps,
    onStep: (report) => {
      firstStep ??= report.step - 1
      const done = report.step - firstStep
      const total = report.steps - firstStep
      tellTraining({ phase: 'step', table: name, text: stepText(report), done, total })
    },
    onCheckpoint: async ({ folder, step, run, snapshotId }) => {
      log.debug({ folder, step }, 'checkpoint')
      // an interrupted training can be gone on with as long as its snapshot is there
      await keep?.(run, snapshotId).catch((error: unknown) => log.warn({ err: error }, 'the snapshot has no tag yet'))
    },
  }).finally(() => tellTraining({ phase: 'end', table: name }))
  // The model is there: what may not be written, or cannot be reached by now, takes neither it nor its scores away.
  const tag =
    keep !== undefined && result.steps > 0
      ? await keep(result.run, result.settings.snapshotId).catch((error: unknown) => {
          if (!FirnError.is(error)) throw error
          log.warn({ err: error }, `the snapshot has no tag train/${result.run}: expiry may take it`)
          return null
        })
      : null
  ctx.print({ json: documentOf(name, resolve(flags.model), tag, result), text: textOf(flags.model, tag, result) })
}

/** @throws {FirnError} `FIRN_SNAPSHOT_NOT_FOUND` (not-found), `FIRN_COLUMN_NOT_FOUND`, `FIRN_USAGE` (invalid). */
function requestOf(table: Table, name: string, flags: TrainFlags): TrainingRequest {
  const snapshot = table.snapshotFor(selectorOf(flags))
  if (snapshot === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `table ${name} has no snapshot to read yet`, {
      help: `add rows to it first: firn compact ${name}`,
    })
  }
  const since = flags.since === undefined ? undefined : pointId(table, flags.since, '--since')
  const { content, title, replay, batchSize, learningRate, seed, steps, epochs } = flags
  const { vocabulary, articleTokens, titleTokens, width, encoderLayers } = flags
  if (content === title) {
    throw new FirnError('invalid', 'FIRN_USAGE', `--content and --title both name the column ${content}`, {
      help: 'name two columns of text',
    })
  }
  return {
    table: name,
    snapshotId: String(snapshot.snapshotId),
    since: since === undefined ? null : String(since),
    replay: since === undefined ? 0 : replay,
    content,
    title,
    key: flags.key ?? keyOf(table, flags.validation),
    validationBuckets: flags.validation,
    batchSize,
    learningRate,
    seed,
    steps,
    epochs,
    sizes: { vocabulary, articleTokens, titleTokens, width, encoderLayers, seed },
  }
}

function keyOf(table: Table, validation: number): string {
  const { identifierFieldIds, fields } = table.schemaFor()
  const key = fields.find(({ id }) => identifierFieldIds.includes(id))
  if (key !== undefined) return key.name
  const common = fields.find(({ name }) => name === 'article_id' || name === 'id')
  if (common !== undefined || validation === 0) return common?.name ?? ''
  throw new FirnError('invalid', 'FIRN_USAGE', 'the table says no key, so no rows can be kept for validation', {
    help: 'name a column of different values with --key, or give --validation 0',
  })
}

/**
 * What is trained on stays readable, and is found under the run's name. Once per process, and not ended by the signal
 * that ends the training.
 */
function snapshotKeeper(table: Table): (run: string, id: string) => Promise<string> {
  let kept: string | undefined
  return async (run, id) => {
    const tag = `train/${run}`
    if (kept === tag) return tag
    const { snapshotId } = await import('../../table/ids.ts')
    const current = await table.refresh()
    const wanted = snapshotId(BigInt(id))
    // of before the interruption
    if (current.metadata.refs[tag]?.snapshotId !== wanted) await current.createTag(tag, wanted)
    kept = tag
    return tag
  }
}

function documentOf(table: string, model: string, tag: string | null, result: SessionResult): Record<string, unknown> {
  const { run, backend, settings, steps, loss, rows, tokens, evaluation, seconds } = result
  return {
    schema: 'firn.train/1',
    table,
    nothing_to_do: steps === 0,
    run,
    snapshot_id: settings.snapshotId,
    since_snapshot_id: settings.since,
    backend,
    steps,
    loss,
    rows,
    tokens,
    seconds,
    rouge: evaluation?.rouge ?? null,
    baseline: evaluation?.baseline ?? null,
    lead_words: evaluation?.leadWords ?? null,
    validation_rows: evaluation?.rows ?? 0,
    model,
    tag,
  }
}

function textOf(model: string, tag: string | null, result: SessionResult): string {
  const { steps, rows, loss, evaluation, settings } = result
  if (steps === 0) return `no rows are newer than snapshot ${settings.since}: nothing to train on`
  const lines = [
    `trained ${plural(steps, 'step')} on ${formatCount(rows)} rows of snapshot ${settings.snapshotId}${loss === null ? '' : `, loss ${loss.toFixed(4)}`}`,
  ]
  if (evaluation !== undefined) {
    const { rouge, baseline, leadWords } = evaluation
    const scores = ({ rouge1, rouge2, rougeL }: typeof rouge): string =>
      `ROUGE-1 ${rouge1.toFixed(3)}  ROUGE-2 ${rouge2.toFixed(3)}  ROUGE-L ${rougeL.toFixed(3)}`
    lines.push(`${plural(evaluation.rows, 'article')} for validation`, `  titles written    ${scores(rouge)}`)
    lines.push(`  first ${plural(leadWords, 'word')}`.padEnd(20) + scores(baseline))
  }
  lines.push(`model ${model}${tag === null ? '' : `, tag ${tag}`}`)
  return lines.join('\n')
}

function refuseTakenName({ metadata }: Table, name: string, run: string): void {
  if (!Object.hasOwn(metadata.refs, `train/${run}`)) return
  throw new FirnError('invalid', 'FIRN_USAGE', `table ${name} has a tag train/${run} already`, {
    help: 'give the run another name with --run, or leave it out',
  })
}

function refuseFixed(command: Parser): void {
  const given = FIXED.filter((option) => command.getOptionValueSource(option) === 'cli')
  if (given.length === 0) return
  const flags = given.map((name) => command.options.find((option) => option.attributeName() === name)?.long ?? name)
  throw new FirnError('invalid', 'FIRN_USAGE', `--resume goes on as the training began: no ${flags.join(', ')}`, {
    help: 'leave them out, or begin another training in another folder',
  })
}

function shareArgument(text: string): number {
  const share = Number(text)
  if (text.trim() === '' || !(share >= 0 && share < 1)) throw new InvalidArgumentError('Expected a share like 0.2.')
  return share
}

function rateArgument(text: string): number {
  const rate = Number(text)
  if (text.trim() === '' || !(rate > 0 && rate < 10)) throw new InvalidArgumentError('Expected a rate like 0.003.')
  return rate
}

function runArgument(text: string): string {
  if (!/^[\w.-]{1,100}$/.test(text)) throw new InvalidArgumentError('Expected letters, digits, ".", "_" and "-".')
  return text
}
