/**
 * Options from the environment: `--dry-run` of any command is `FIRN_DRY_RUN`, `--max-age` is `FIRN_MAX_AGE`. A flag
 * beats its variable. The parser's own binding is not used for the values: it takes `FIRN_DRY_RUN=0` for a yes and
 * knows no lists.
 *
 * What a command destroys is not taken from the environment: a variable that was set for one command would reach
 * another.
 */
import { type Command, InvalidArgumentError, type Option } from 'commander'
import { FirnError } from '../table/errors.ts'
import { splitNames } from './commands/names.ts'
import { type Environment, environmentName, switchOf } from './variables.ts'

/** The parser answers these itself; `FIRN_VERSION` is a name that deployments use for their own ends. */
const NOT_BOUND: ReadonlySet<string> = new Set(['version', 'help'])

/** By command: options that say what is to go, or that it may go on all the same. `--yes` says neither. */
const FLAG_ONLY: Readonly<Record<string, ReadonlySet<string>>> = {
  branch: new Set(['delete']),
  compact: new Set(['accept-clock']),
  delete: new Set(['where', 'branch']),
  land: new Set(['accept-gap']),
  expire: new Set(['older-than', 'retain-last', 'snapshot', 'clean-metadata']),
  maintain: new Set(['only']),
  orphans: new Set(['older-than', 'allow-young', 'force']),
  prune: new Set(['stream', 'older-than']),
  rollback: new Set(['to', 'reprocess']),
  tag: new Set(['delete']),
  verify: new Set(['drop-file']),
}

/** Whether `option` of `command` is given by its flag only. */
export const isFlagOnly = (command: Command, option: Option): boolean =>
  FLAG_ONLY[command.name()]?.has(option.name()) === true

/**
 * Options of `run` for which there is a setting of their own. Its variable says more exactly what is meant and wins
 * over the short one, which other commands share.
 */
const RUN_SETTINGS: Readonly<Record<string, string>> = {
  stream: 'run.land.streams',
  start: 'run.land.start',
  'land-cron': 'run.land.cron',
  table: 'run.compact.tables',
  'compact-cron': 'run.compact.cron',
  'maintain-cron': 'run.maintain.cron',
  'lease-ttl': 'run.leaseTtl',
}

export const variableOf = (option: Option): string => environmentName(option.name())

/**
 * Let every option of `command` that is not given by its flag only take its value from `env` when no flag gives one.
 * Values are parsed, and refused, only when this command runs. Lists are separated by commas; an empty variable is none.
 */
export function bindVariables(command: Command, env: Environment): void {
  for (const option of command.options) {
    if (NOT_BOUND.has(option.name()) || isFlagOnly(command, option)) continue
    const variable = variableOf(option)
    // for `--help`, and so that the parser announces the variable after the flags and before it misses an option
    option.env(variable)
    command.on(`optionEnv:${option.name()}`, () => {
      const text = env[variable] ?? ''
      const setting = command.name() === 'run' ? RUN_SETTINGS[option.name()] : undefined
      const said = setting === undefined ? '' : (env[environmentName(setting)] ?? '')
      if (text === '' || said !== '') return
      command.setOptionValueWithSource(option.attributeName(), parsed(option, variable, text), 'env')
    })
  }
}

/** @throws {FirnError} `FIRN_CONFIG_INVALID` (invalid). */
function parsed(option: Option, variable: string, text: string): unknown {
  if (!option.required && !option.optional) return switchOf(variable, text)
  const { parseArg } = option
  try {
    if (!option.variadic) return parseArg === undefined ? text : parseArg<unknown>(text, undefined)
    const items = splitNames(text)
    return parseArg === undefined ? items : items.reduce<unknown>((all, item) => parseArg(item, all), undefined)
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `${variable} is ${JSON.stringify(text)}. ${error.message}`, {
      cause: error,
      help: `correct or unset ${variable}, or give ${option.long ?? option.flags}`,
    })
  }
}
