/** Tables whose rows change: overwritten, deleted, upserted, in transactions, with manifests merged all the time. */
import { type Catalog, parseWhere } from '../../table/index.ts'
import { KEY, type ModelRow } from './model.ts'
import { fieldMaker } from './stories-types.ts'
import { Story, type StoryTable } from './story.ts'

const between =
  (story: Story, from: bigint, to: bigint) =>
  (row: ModelRow): boolean => {
    const key = story.value(row, KEY) as bigint
    return key >= from && key < to
  }

function fields(): StoryTable['fields'] {
  const { field, struct, list } = fieldMaker()
  return [
    field(KEY, 'long', true),
    field('flag', 'boolean'),
    field('day', 'date'),
    field('text', 'string'),
    field('amount', 'decimal(18, 4)'),
    field('double', 'double'),
    field('items', list(struct(field('n', 'int'), field('label', 'string')))),
  ]
}

export async function changedRows(catalog: Catalog): Promise<Story> {
  const story = await Story.begin(catalog, {
    name: 'stories.changed_rows',
    fields: fields(),
    partition: [{ sourceId: 2, fieldId: 1000, name: 'flag', transform: 'identity' }],
    properties: { 'commit.manifest.min-count-to-merge': '2' },
    literals: 3,
  })
  await story.append(30)
  await story.append(30)
  await story.overwrite(4, 'key >= 10 and key < 20', between(story, 10n, 20n))
  // a null is neither equal nor unequal: those rows stay
  await story.delete("text != 'plain'", (row) => ![null, 'plain'].includes(story.value(row, 'text') as null))
  await story.append(20)
  await story.upsert([
    ...story
      .rows()
      .filter((_, index) => index % 3 === 0)
      .map((row) => story.changed(row)),
    ...story.fresh(3),
  ])
  await story.overwritePartitions(story.fresh(12).filter((row) => story.value(row, 'flag') !== null))
  const [kept, later] = [story.fresh(8), story.fresh(5)]
  const before = story.rows().filter((row) => !between(story, 0n, 30n)(row))
  const files = [await story.write(kept), await story.write(later)] as const
  const where = parseWhere('key < 30', story.schema)
  // the first of the snapshots is seen by nobody before the whole is there, but stays in the history
  await story.steps(
    [
      [...story.rows(), ...kept],
      [...before, ...kept],
      [...before, ...kept, ...later],
    ],
    async (table) => (await table.transaction().append(files[0]).deleteWhere(where).append(files[1]).commit()).table,
  )
  await story.delete('flag is null', (row) => story.value(row, 'flag') === null)
  await story.append(0)
  return story
}

/** Branches and tags, written to, moved and removed, with columns that change between; roll back and cherry-pick. */
export async function refs(catalog: Catalog): Promise<Story> {
  const story = await Story.begin(catalog, {
    name: 'stories.refs',
    fields: fields(),
    partition: [{ sourceId: 3, fieldId: 1000, name: 'day_month', transform: 'month' }],
  })
  await story.append(20)
  await story.tag('first')
  await story.append(20)
  await story.branch('side')
  await story.branch('stale')
  await story.append(10, { branch: 'side' })
  await story.append(10)
  await story.tag('before columns changed')
  await story.run((table) =>
    table.updateSchema([{ rename: 'text', to: 'words' }, { add: { name: 'text', type: 'int' } }, { drop: 'double' }]),
  )
  await story.delete('key < 15', between(story, 0n, 15n), { branch: 'side' })
  const picked = await story.append(6, { branch: 'side' })
  const id = story.snapshotIds('side').at(-1)!
  await story.append(5)
  await story.commit([...story.rows(), ...picked], async (table) => (await table.cherryPick(id)).table)
  await story.rollBack(story.snapshotIds()[1]!)
  await story.append(5)
  await story.upsert(
    [
      ...story
        .rows()
        .slice(0, 4)
        .map((row) => story.changed(row)),
      ...story.fresh(2),
    ],
    { branch: 'side' },
  )
  await story.fastForward('stale', 'main')
  await story.branch('gone')
  await story.append(4, { branch: 'gone' })
  await story.removeRef('gone')
  return story
}
