/** `firn summarize --model DIR`: a title for the text on standard input. */
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { CommandContext } from '../context.ts'
import type { Backend } from '../train/backend.ts'

interface SummarizeFlags {
  readonly model: string
  readonly backend: Backend | 'auto'
}

export function summarizeCommand(ctx: CommandContext): Command {
  return new Command('summarize')
    .description('write a title for the article on standard input')
    .requiredOption('--model <folder>', 'folder of firn train')
    .addOption(
      new Option('--backend <name>', 'of TensorFlow.js; auto: the fastest that is installed')
        .choices(['auto', 'tensorflow', 'wasm', 'cpu'])
        .default('auto'),
    )
    .addHelpText('after', '\nExample:\n  $ firn summarize --model ./titles < article.txt')
    .action(async (flags: SummarizeFlags) => {
      const text = await ctx.readInput()
      if (text.trim() === '') {
        throw new FirnError('invalid', 'FIRN_USAGE', 'there is no text on standard input', {
          help: 'give it one: firn summarize --model DIR < article.txt',
        })
      }
      const [{ openBackend }, { hasModel, loadModel }, { newestCheckpoint }, { summarize }] = await Promise.all([
        import('../train/backend.ts'),
        import('../train/model-files.ts'),
        import('../train/checkpoint.ts'),
        import('../train/evaluate.ts'),
      ])
      const named = resolve(flags.model)
      // of a training that did not end yet, what there is
      const folder = (await hasModel(named)) ? named : ((await newestCheckpoint(named)) ?? named)
      const { tf } = await openBackend(flags.backend)
      const { summarizer, tokenizer } = await loadModel(tf, folder)
      const [title] = await summarize(summarizer, tokenizer, [text], { signal: ctx.signal })
      ctx.print({ json: { schema: 'firn.summarize/1', title: title! }, text: title! })
    })
}
