/** Tables under maintenance, each kind of it several times: what readers see stays, whatever is thrown away. */
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Catalog,
  epochMillis,
  newRunId,
  planExpire,
  planManifests,
  planOrphans,
  planRewrite,
  type RewritePlanOptions,
  runExpire,
  runManifests,
  runOrphans,
  runRewrite,
  systemClock,
  type Table,
} from '../../table/index.ts'
import { KEY, type ModelRow } from './model.ts'
import { fieldMaker } from './stories-types.ts'
import { Story, type StoryTable } from './story.ts'

/** Every file of the table's current snapshot. */
export async function rewriteAll(table: Table, options: RewritePlanOptions = {}): Promise<Table> {
  const plan = await planRewrite(table, {
    rewriteAll: true,
    minInputFiles: 1,
    targetFileSizeBytes: 1 << 20,
    ...options,
  })
  if (plan.groups.length === 0) throw new Error(`${table.name}: nothing to rewrite`)
  const spillFolder = await mkdtemp(join(tmpdir(), 'firn-interop-spill-'))
  try {
    const done = await runRewrite(table, plan, { runId: newRunId(systemClock), spillFolder })
    return done.table
  } finally {
    await rm(spillFolder, { recursive: true, force: true })
  }
}

/** Only the newest `retainLast` snapshots of a branch stay, with what they lead to. */
export const expireTo = (story: Story, retainLast: number): Promise<void> =>
  story.expire(retainLast, async (table) => {
    const rules = { olderThan: epochMillis(Date.now() + 1), retainLast, cleanExpiredMetadata: true }
    const { result, table: after } = await runExpire(
      table,
      planExpire(table, rules, systemClock),
      { graceMillis: 0 },
      systemClock,
    )
    if (result.snapshotIds.length === 0 || result.deleted.dataFiles === 0) throw new Error('expiry freed nothing')
    return after
  })

const rewriteManifests = async (table: Table): Promise<Table> => {
  const plan = await planManifests(table, { rewriteAll: true })
  if (plan.groups.length === 0) throw new Error(`${table.name}: no manifest to rewrite`)
  return (await runManifests(table, plan, {}, systemClock)).table
}

/** What nobody refers to goes, and an object that was put there for it must be part of that. */
async function removeOrphans(table: Table): Promise<Table> {
  const key = `data/orphan-${Date.now()}.parquet`
  await table.store.put(key, Buffer.from('nobody knows this file'))
  const plan = await planOrphans(
    table,
    { minAgeMillis: 0, allowYoung: 'nobody writes here' },
    { ...systemClock, nowMillis: later },
  )
  const { result } = await runOrphans(table, plan, { force: true })
  if (!plan.orphans.some((orphan) => orphan.key === key) || result.deleted === 0) throw new Error('no orphan was found')
  return table.refresh()
}
const later = (): ReturnType<typeof epochMillis> => epochMillis(Date.now() + 1_000)

/** Metadata files as if they had been written a day ago. */
async function ageMetadata(table: Table): Promise<readonly string[]> {
  const folder = fileURLToPath(`${table.location}/metadata/`)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.metadata.json'))
  const yesterday = new Date(Date.now() - 86_400_000)
  for (const name of names) await utimes(join(folder, name), yesterday, yesterday)
  return names
}

function fields(): StoryTable['fields'] {
  const { field, list, struct } = fieldMaker()
  return [
    field(KEY, 'long', true),
    field('day', 'date'),
    field('text', 'string'),
    field('number', 'int'),
    field('double', 'double'),
    field('amount', 'decimal(18, 4)'),
    field('items', list(struct(field('n', 'int'), field('tags', list('string'))))),
  ]
}

const isBelow =
  (story: Story, limit: bigint) =>
  (row: ModelRow): boolean =>
    (story.value(row, KEY) as bigint) < limit

/** Rewritten by each strategy and for a new layout, expired, cleaned, trimmed, and written to in between. */
export async function maintained(catalog: Catalog): Promise<Story> {
  const story = await Story.begin(catalog, {
    name: 'stories.maintained',
    fields: fields(),
    partition: [{ sourceId: 2, fieldId: 1000, name: 'day_year', transform: 'year' }],
    properties: { 'write.metadata.delete-after-commit.enabled': 'true', 'write.metadata.previous-versions-max': '2' },
    literals: 3,
  })
  for (let round = 0; round < 4; round++) await story.append(15)
  await story.run(rewriteAll)
  await story.tag('packed')
  await story.append(15)
  await story.run((table) => table.setSortOrder([{ column: 'text' }, { column: 'number', direction: 'desc' }]))
  await story.run((table) => rewriteAll(table, { strategy: 'sort' }))
  await story.delete('key < 10', isBelow(story, 10n))
  await story.append(10)
  await story.run((table) => rewriteAll(table, { strategy: 'zorder', zorderColumns: ['number', 'day', 'text'] }))
  await story.run(rewriteManifests)
  await expireTo(story, 3)
  await story.run(removeOrphans)
  await story.append(10)
  await story.run((table) =>
    table.updateSpec([{ drop: 'day_year' }, { add: { source: 'text', transform: 'truncate[1]' } }]),
  )
  await story.run((table) =>
    table.updateSchema([
      { promote: 'number', type: 'long' },
      { rename: 'items', to: 'things' },
    ]),
  )
  await story.append(10)
  await story.run(rewriteAll)
  await story.delete('number >= 0', (row) => ((story.value(row, 'number') ?? -1n) as bigint) >= 0n)
  await story.rollBack(story.snapshotIds().at(-2)!)
  await expireTo(story, 2)
  const old = await ageMetadata(story.table)
  await story.append(5)
  const left = await ageMetadata(story.table)
  if (left.length >= old.length) throw new Error(`${old.length} metadata files, ${left.length} after trimming`)
  await story.append(5)
  return story
}
