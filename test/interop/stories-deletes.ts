/** Tables with delete files. This package writes none: the tests make them, and it reads, rewrites and carries them. */
import type { Catalog, DataFile } from '../../table/index.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from '../table/scan/delete-tables.ts'
import { KEY, type ModelRow } from './model.ts'
import { fieldMaker } from './stories-types.ts'
import { rewriteAll } from './stories-upkeep.ts'
import { Story, type StoryTable } from './story.ts'

function fields(): StoryTable['fields'] {
  const { field, list } = fieldMaker()
  return [
    field(KEY, 'long', true),
    field('text', 'string'),
    field('number', 'int'),
    field('day', 'date'),
    field('tags', list('string')),
  ]
}

/** Rows of one file in the order of the rows. */
async function appendFile(story: Story, count: number): Promise<{ file: DataFile; rows: readonly ModelRow[] }> {
  const rows = story.fresh(count)
  const [file, ...more] = await story.write(rows, 1 << 20)
  if (file === undefined || more.length > 0) throw new Error('expected one file')
  await story.commit([...story.rows(), ...rows], async (table) => (await table.append([file])).table)
  return { file, rows }
}

async function deletePositions(
  story: Story,
  { file, rows }: { file: DataFile; rows: readonly ModelRow[] },
  positions: readonly number[],
): Promise<void> {
  const gone = new Set(positions.map((position) => rows[position]!))
  await story.commit(
    story.rows().filter((row) => !gone.has(row)),
    async (table) => {
      const deletes = await positionDeletes(
        table,
        positions.map((position) => [file.filePath, position]),
      )
      return commitFiles(table, [deletes])
    },
  )
}

export async function positionDeleted(catalog: Catalog): Promise<Story> {
  const story = await Story.begin(catalog, { name: 'stories.position_deletes', fields: fields() })
  const first = await appendFile(story, 20)
  await deletePositions(story, first, [0, 3, 4, 19])
  const second = await appendFile(story, 20)
  await deletePositions(story, second, [1, 2])
  await deletePositions(story, first, [5])
  await story.append(5)
  await story.delete('key >= 30', (row) => (story.value(row, KEY) as bigint) >= 30n)
  await story.append(5)
  await story.run(rewriteAll)
  return story
}

/** PyIceberg 0.12 refuses tables with equality deletes. */
export async function equalityDeleted(catalog: Catalog): Promise<Story> {
  const name = 'stories.equality_deletes'
  const story = await Story.begin(catalog, { name, fields: fields(), without: ['pyiceberg'] })
  const remove = async (
    names: readonly string[],
    values: readonly Parameters<typeof equalityDeletes>[2][number][],
  ): Promise<void> => {
    const goes = (row: ModelRow): boolean =>
      values.some((value) => names.every((each) => story.value(row, each) === value[each]))
    await story.commit(
      story.rows().filter((row) => !goes(row)),
      async (table) => commitFiles(table, [await equalityDeletes(table, column(story.schema, ...names), values)]),
    )
  }
  await story.append(30)
  // a null equals a null
  await remove(['text'], [{ text: 'plain' }, { text: null }])
  await story.append(20)
  await remove(
    ['number', 'text'],
    [
      { text: '', number: 0 },
      { text: 'plainer', number: null },
      { text: null, number: 34 },
    ],
  )
  await remove([KEY], [{ [KEY]: 40n }, { [KEY]: 41n }, { [KEY]: 999n }])
  await story.append(10)
  await story.run((table) =>
    table.updateSchema([{ rename: 'text', to: 'words' }, { add: { name: 'more', type: 'int' } }]),
  )
  await story.append(10)
  await story.delete('key < 5', (row) => (story.value(row, KEY) as bigint) < 5n)
  await story.append(5)
  await story.run(rewriteAll)
  return story
}
