/** Tables of every type, at every depth, and of columns that change while rows are there. */
import { type Catalog, type IcebergType, type NestedField, parseWhere } from '../../table/index.ts'
import { KEY } from './model.ts'
import { Story } from './story.ts'

/** Field ids count up as they are asked for, from 1. */
export function fieldMaker(): {
  readonly field: (name: string, type: IcebergType, required?: boolean) => NestedField
  readonly struct: (...fields: readonly NestedField[]) => IcebergType
  readonly list: (element: IcebergType, elementRequired?: boolean) => IcebergType
  readonly map: (key: IcebergType, value: IcebergType, valueRequired?: boolean) => IcebergType
} {
  let last = 0
  return {
    field: (name, type, required = false) => ({ id: ++last, name, required, type }),
    struct: (...fields) => ({ type: 'struct', fields }),
    list: (element, elementRequired = false) => ({ type: 'list', elementId: ++last, elementRequired, element }),
    map: (key, value, valueRequired = false) => ({
      type: 'map',
      keyId: ++last,
      key,
      valueId: ++last,
      valueRequired,
      value,
    }),
  }
}

const FLAT: readonly IcebergType[] = [
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'timestamp',
  'timestamptz',
  'string',
  'binary',
  'fixed[5]',
  'decimal(9, 2)',
  'decimal(18, 4)',
  'decimal(38, 10)',
]

export interface TypeFields {
  readonly fields: readonly NestedField[]
}

/** Every type flat and inside of structs, lists and maps, three levels deep; `more` flat types beside them. */
export function everyTypeFields(more: readonly IcebergType[]): readonly NestedField[] {
  const { field, struct, list, map } = fieldMaker()
  const all = [...FLAT, ...more]
  const members = (): readonly NestedField[] => all.map((type, index) => field(`m${index}`, type))
  return [
    field(KEY, 'long', true),
    ...all.map((type, index) => field(`c${index}`, type)),
    field('members', struct(...members())),
    field('needed', struct(field('a', 'int', true), field('b', 'string')), true),
    field('lists', struct(...all.map((type, index) => field(`l${index}`, list(type))))),
    field(
      'maps',
      struct(...all.map((type, index) => field(`v${index}`, map(index % 2 === 0 ? 'string' : 'int', type)))),
    ),
    field('list_of_structs', list(struct(field('x', 'int'), field('inner', struct(field('y', 'string')))))),
    field('list_of_lists', list(list(list('long'), true))),
    field('map_of_structs', map('string', struct(field('at', 'timestamptz'), field('tags', list('string'))))),
    field('map_of_maps', map('int', map('string', list('double')), true)),
    field('deep', struct(field('l', list(struct(field('m', map('string', struct(field('z', 'decimal(9, 2)'))))))))),
  ]
}

export async function everyType(
  catalog: Catalog,
  name: string,
  more: readonly IcebergType[],
  unable: readonly string[],
): Promise<Story> {
  const fields = everyTypeFields(more)
  const story = await Story.begin(catalog, { name, fields, without: unable })
  await story.append(30)
  await story.append(10, { nulls: true })
  await story.append(0)
  await story.append(25)
  await story.delete('key < 5', (row) => (story.value(row, KEY) as bigint) < 5n)
  return story
}

/** Every change of columns that there is, flat and nested, with rows before and after each. */
export async function evolvedSchema(catalog: Catalog): Promise<Story> {
  const { field, struct, list, map } = fieldMaker()
  const story = await Story.begin(catalog, {
    name: 'stories.evolved_schema',
    fields: [
      field(KEY, 'long', true),
      field('small', 'int'),
      field('single', 'float'),
      field('amount', 'decimal(9, 2)'),
      field('text', 'string'),
      field('sure', 'int', true),
      field('person', struct(field('name', 'string'), field('age', 'int'), field('height', 'float'))),
      field('items', list(struct(field('n', 'int'), field('label', 'string')))),
      field('props', map('string', struct(field('v', 'int'), field('w', 'string')))),
      field('numbers', list('int')),
      field('scores', map('string', 'float')),
      field('gone', 'string'),
    ],
    literals: 3,
  })
  const change = (...changes: Parameters<Story['table']['updateSchema']>[0]): Promise<void> =>
    story.run((table) => table.updateSchema(changes))
  await story.append(20)
  await change(
    { add: { name: 'added', type: 'timestamptz', doc: 'since the second append' } },
    { add: { parent: 'person', name: 'email', type: 'string' } },
    { add: { parent: 'items.element', name: 'price', type: 'decimal(18, 4)' } },
    { add: { parent: 'props.value', name: 'since', type: 'date' } },
    { add: { name: 'more', type: struct(field('a', 'int'), field('b', list('string'))) } },
  )
  await story.append(20)
  await change(
    { rename: 'text', to: 'words' },
    { rename: 'person.name', to: 'full_name' },
    { rename: 'items.element.n', to: 'count' },
    { rename: 'props.value.v', to: 'value' },
    { rename: 'person', to: 'who' },
  )
  await story.append(15)
  await change(
    { move: 'words', first: true },
    { move: 'who.email', first: true },
    { move: 'items.element.label', before: 'items.element.count' },
    { move: 'amount', after: 'gone' },
  )
  await story.append(15)
  await change(
    { promote: 'small', type: 'long' },
    { promote: 'single', type: 'double' },
    { promote: 'amount', type: 'decimal(20, 2)' },
    { promote: 'who.age', type: 'long' },
    { promote: 'who.height', type: 'double' },
    { promote: 'items.element.count', type: 'long' },
    { promote: 'numbers.element', type: 'long' },
    { promote: 'scores.value', type: 'double' },
    { makeOptional: 'sure' },
  )
  await story.append(15)
  await change(
    { drop: 'gone' },
    { drop: 'who.full_name' },
    { drop: 'items.element.label' },
    { add: { name: 'gone', type: 'int' } },
    { add: { parent: 'who', name: 'full_name', type: 'int' } },
  )
  await story.append(15)
  const some = 'small >= 0 and words is not null'
  const goes = (row: Parameters<Story['value']>[0]): boolean =>
    story.value(row, 'words') !== null &&
    story.value(row, 'small') !== null &&
    (story.value(row, 'small') as bigint) >= 0n
  // files of every older schema are written anew with the current one
  await story.commit(
    story.rows().filter((row) => !goes(row)),
    async (table) => (await table.deleteWhere(parseWhere(some, story.schema))).table,
  )
  await change({ drop: 'more' }, { drop: 'scores' })
  await story.append(5)
  return story
}
