/** `firn maintain <table>`: all maintenance of a table, by the policy of the settings. */
import { Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import type { MaintainOptions } from '../maintenance/maintain.ts'
import { MAINTAIN_PARTS, type MaintainPart } from '../settings/maintain.ts'
import { type ApprovalFlags, addApproval, approveAndRun, openToWrite } from './approve.ts'
import { splitNames } from './names.ts'

interface MaintainFlags extends ApprovalFlags {
  readonly only?: readonly MaintainPart[]
}

export function maintainCommand(ctx: CommandContext): Command {
  const command = new Command('maintain')
    .description('rewrite, merge manifests, expire, remove orphans, prune staging: by the policy of the settings file')
    .argument('<table>', 'namespace.name')
    .option('--only <parts>', `of ${MAINTAIN_PARTS.join(', ')}; separated by commas`, partsArgument)
    .addHelpText(
      'after',
      '\nEach part is planned again when its turn comes, on the table as it is then. One that fails keeps no other from running.\nThe policy is "maintain" in firn.config.json.\n\nExample:\n  $ firn maintain news.articles --only rewrite,expire --dry-run',
    )
    .action((name: string, flags: MaintainFlags) => maintainTable(ctx, name, flags))
  return addApproval(command)
}

async function maintainTable(ctx: CommandContext, name: string, flags: MaintainFlags): Promise<void> {
  const { maintain, previewMaintain } = await import('../maintenance/maintain.ts')
  const { clock, config, log, signal } = ctx
  await openToWrite(ctx, name)
  const store = ctx.warehouse()
  const options: MaintainOptions = {
    store,
    catalog: ctx.catalog(),
    table: name,
    config,
    only: flags.only,
    clock,
    log,
    signal,
  }
  // With --yes nobody looks at it: each part makes its own plan, and prints it with its result.
  const parts = flags.yes && !flags.dryRun ? undefined : await previewMaintain(options)
  const failed = (parts ?? []).flatMap(({ prepared }) =>
    prepared instanceof Error ? [prepared] : (prepared.failures ?? []),
  )
  const planned = {
    schema: 'firn.maintain/1',
    table: name,
    plan: (parts ?? []).map(({ part, prepared }) =>
      prepared instanceof Error ? { part, error: prepared.message } : { part, plan: prepared.plan },
    ),
    text: (parts ?? [])
      .map(
        ({ part, prepared }) =>
          `${part}\n${indented(prepared instanceof Error ? `failed: ${prepared.message}\n` : prepared.text)}`,
      )
      .join(''),
    nothingToDo:
      failed.length === 0 &&
      (parts?.every(({ prepared }) => !(prepared instanceof Error) && prepared.nothingToDo) ?? false),
    question: 'Do all of this?',
    // a run plans anew, and says what failed then
    failures: flags.dryRun ? failed : [],
  }
  await approveAndRun(ctx, flags, planned, async (runId) => {
    const { result, text, exitCode, failures } = await maintain({ ...options, runId })
    return { result, text, exitCode, failures, nothingToDo: result.nothing_to_do }
  })
}

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ')

function partsArgument(text: string): readonly MaintainPart[] {
  const names = splitNames(text)
  // without a part it would do nothing, and say that all is well
  if (names.length === 0) throw new InvalidArgumentError(`Expected some of ${MAINTAIN_PARTS.join(', ')}.`)
  return names.map((name) => {
    const part = MAINTAIN_PARTS.find((each) => each === name)
    if (part === undefined) throw new InvalidArgumentError(`Expected some of ${MAINTAIN_PARTS.join(', ')}.`)
    return part
  })
}
