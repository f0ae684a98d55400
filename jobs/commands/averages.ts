/** `firn averages <table>`: mean word count of a snapshot: all rows, by hour and by day of the event time. */
import { Command } from 'commander'
import type { Averages } from '../compaction/averages.ts'
import type { CommandContext } from '../context.ts'
import { formatCount, plural, renderTable } from '../render.ts'
import { printsRows } from './formats.ts'
import { addSelectors, type SelectorOptions, selectorOf } from './selectors.ts'

export function averagesCommand(ctx: CommandContext): Command {
  const command = new Command('averages')
    .description('average word count of a table: all rows, by hour, by day')
    .argument('<table>', 'namespace.name, or the URL of a table')
  return addSelectors(printsRows(command)).action(async (name: string, flags: SelectorOptions) => {
    const { tableAverages } = await import('../table-averages.ts')
    const table = await ctx.openTable(name)
    const averages = await tableAverages(table, selectorOf(flags), { signal: ctx.signal })
    ctx.print({ json: averagesJson(averages), rows: [...averages.daily], text: averagesText(averages) })
  })
}

function averagesJson({ articles, run, hourly, daily, without_event_time }: Averages): Record<string, unknown> {
  return { schema: 'firn.averages/1', articles, average_word_count: run, hourly, daily, without_event_time }
}

/** The terminal shows this many of the newest hours and days; JSON has all. */
const SHOWN_HOURS = 24
const SHOWN_DAYS = 30

/** The averages as a person reads them, newest hours and days that have data. */
export function averagesText({ articles, run, hourly, daily, without_event_time }: Averages): string {
  if (articles === 0) return 'no articles\n'
  const head = `average word count ${mean(run)} over ${plural(articles, 'article')}\n`
  const none =
    without_event_time.articles === 0
      ? ''
      : `${plural(without_event_time.articles, 'article')} without event time: in the average, in no hour and no day\n`
  return head + none + newest('hour', hourly, SHOWN_HOURS) + newest('day', daily, SHOWN_DAYS)
}

type Group = { readonly average_word_count: number; readonly articles: number }

function newest(
  unit: 'hour' | 'day',
  groups: readonly (Group & { readonly [key in typeof unit]?: string })[],
  limit: number,
): string {
  if (groups.length === 0) return ''
  const shown = groups.slice(-limit).reverse()
  const rows = shown.map((group) => ({
    [unit]: group[unit],
    average_word_count: mean(group.average_word_count),
    articles: group.articles,
  }))
  const more = groups.length > shown.length ? `and ${formatCount(groups.length - shown.length)} older ${unit}s\n` : ''
  return `\n${renderTable(rows)}${more}`
}

const mean = (value: number | null): string => (value === null ? '-' : value.toFixed(2))
