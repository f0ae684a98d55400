/** Tables whose partitioning changes while rows are there, and every transform of every type. */
import type { Catalog, IcebergType } from '../../table/index.ts'
import { canApply } from '../../table/spec/transform.ts'
import { KEY, type ModelRow } from './model.ts'
import { fieldMaker } from './stories-types.ts'
import { Story } from './story.ts'

const isBelow =
  (story: Story, limit: bigint) =>
  (row: ModelRow): boolean =>
    (story.value(row, KEY) as bigint) < limit

/** Unpartitioned, by day, by day and bucket, by truncated text, by hour, by month and void, by year, unpartitioned. */
export async function evolvedSpec(catalog: Catalog): Promise<Story> {
  const { field, struct } = fieldMaker()
  const story = await Story.begin(catalog, {
    name: 'stories.evolved_spec',
    fields: [
      field(KEY, 'long', true),
      field('at', 'timestamptz'),
      field('local', 'timestamp'),
      field('day', 'date'),
      field('text', 'string'),
      field('number', 'int'),
      field('amount', 'decimal(9, 2)'),
      // never null: of files partitioned by a member, Spark 3.5 shows a null struct as one whose members are null
      field('place', struct(field('city', 'string'), field('zone', 'int')), true),
    ],
    literals: 4,
  })
  const partition = (...changes: Parameters<Story['table']['updateSpec']>[0]): Promise<void> =>
    story.run((table) => table.updateSpec(changes))
  const sort = (...columns: Parameters<Story['table']['setSortOrder']>[0]): Promise<void> =>
    story.run((table) => table.setSortOrder(columns))
  await story.append(20)
  await partition({ add: { source: 'at', transform: 'day' } })
  await sort({ column: 'text' }, { column: KEY, direction: 'desc' })
  await story.append(20)
  await partition({ add: { source: KEY, transform: 'bucket[4]' } })
  await story.append(20)
  await partition({ drop: 'at_day' }, { add: { source: 'text', transform: 'truncate[3]' } })
  await story.append(15)
  await story.delete('key < 10', isBelow(story, 10n))
  await partition({ drop: 'text_trunc_3' }, { drop: 'key_bucket_4' }, { add: { source: 'local', transform: 'hour' } })
  await sort({ column: 'at', transform: 'day', direction: 'desc' }, { column: 'place.zone' })
  await story.append(15)
  await story.run((table) =>
    table.updateSchema([
      { rename: 'local', to: 'here' },
      { promote: 'number', type: 'long' },
    ]),
  )
  await partition(
    { add: { source: 'day', transform: 'month', name: 'm' } },
    { add: { source: 'number', transform: 'void' } },
  )
  await story.append(15)
  await partition(
    { drop: 'local_hour' },
    { drop: 'm' },
    { drop: 'number_null' },
    { add: { source: 'place.city', transform: 'identity' } },
  )
  await story.append(15)
  await partition(
    { drop: 'place.city' },
    { add: { source: 'day', transform: 'year' } },
    { add: { source: 'amount', transform: 'truncate[100]' } },
  )
  await story.append(15)
  await story.overwrite(5, 'key >= 20 and key < 45', (row) => !isBelow(story, 20n)(row) && isBelow(story, 45n)(row))
  await partition({ drop: 'day_year' }, { drop: 'amount_trunc_100' })
  await sort()
  await story.append(10)
  return story
}

const SOURCES: readonly IcebergType[] = [
  'boolean',
  'int',
  'long',
  'date',
  'timestamp',
  'timestamptz',
  'string',
  'binary',
  'decimal(9, 2)',
  'decimal(38, 10)',
]
const TRANSFORMS = ['identity', 'year', 'month', 'day', 'hour', 'bucket[5]', 'truncate[4]', 'void'] as const

/** A table for each transform, partitioned by it of every type that has it. */
export const transformStories: readonly ((catalog: Catalog) => Promise<Story>)[] = TRANSFORMS.map((transform) => {
  return async (catalog) => {
    const { field } = fieldMaker()
    const types = SOURCES.filter((type) => canApply(transform, type as 'int'))
    const fields = [field(KEY, 'long', true), ...types.map((type, index) => field(`c${index}`, type))]
    const story = await Story.begin(catalog, {
      name: `stories.by_${transform.replace(/\W/g, '')}`,
      fields,
      partition: fields.slice(1).map(({ id, name }, index) => ({
        sourceId: id,
        fieldId: 1000 + index,
        name: transform === 'identity' ? name : `${name}_part`,
        transform,
      })),
      literals: 3,
    })
    await story.append(24)
    await story.append(6, { nulls: true })
    await story.delete('key >= 4 and key < 12', (row) => !isBelow(story, 4n)(row) && isBelow(story, 12n)(row))
    return story
  }
})
