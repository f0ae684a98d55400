/** Options that exclude each other, with flags still beating the environment. */
import type { Command } from 'commander'
import { FirnError } from '../../table/errors.ts'

/**
 * Of `groups` (option names in camel case), only one may be given. A group from a flag silences those that come from
 * the environment: `FIRN_STREAM` of a container must not forbid `land --from`.
 */
export function exclusiveOptions(command: Command, ...groups: readonly (readonly string[])[]): Command {
  return command.hook('preAction', (_hooked, acting) => {
    const isGiven = (name: string): boolean => acting.getOptionValue(name) !== undefined
    const isFlag = (name: string): boolean => isGiven(name) && acting.getOptionValueSource(name) === 'cli'
    const given = groups.filter((group) => group.some(isGiven))
    const byFlag = given.filter((group) => group.some(isFlag))
    const clash = byFlag.length > 1 ? byFlag : byFlag.length === 0 && given.length > 1 ? given : undefined
    if (clash !== undefined) {
      const names = clash.map((group) => flagOf(acting, group.find(isGiven)!))
      throw new FirnError('invalid', 'FIRN_USAGE', `${names.join(' and ')} exclude each other`, {
        help: 'give one of them',
      })
    }
    for (const group of given) {
      if (!byFlag.includes(group) && byFlag.length > 0) for (const name of group) acting.setOptionValue(name, undefined)
    }
  })
}

const flagOf = (command: Command, name: string): string =>
  command.options.find((option) => option.attributeName() === name)?.long ?? name
