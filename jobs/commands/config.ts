/** `firn config show`: the settings that hold, and where each comes from. */
import { Command } from 'commander'
import type { CommandContext } from '../context.ts'

export function configCommand(ctx: CommandContext): Command {
  const show = new Command('show')
    .description('print every setting that holds and where it comes from; secrets are replaced')
    .addHelpText('after', '\nExample:\n  $ firn config show --warehouse s3://bucket/lake')
    .action(() => {
      const settings = ctx.explainConfig()
      const rows = settings.map(({ setting, value, source }) => ({ setting, value: textOf(value), source }))
      ctx.print({ json: { schema: 'firn.config/1', settings }, rows })
    })
  return new Command('config').description('settings').addCommand(show)
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
