/** All stories, one after another, into one warehouse. */
import { type Catalog, copyTable, openCatalog, openStore, systemClock } from '../../table/index.ts'
import type { ExpectedTable } from './expected.ts'
import { equalityDeleted, positionDeleted } from './stories-deletes.ts'
import { changedRows, refs } from './stories-rows.ts'
import { evolvedSpec, transformStories } from './stories-specs.ts'
import { everyType, evolvedSchema } from './stories-types.ts'
import { maintained } from './stories-upkeep.ts'
import type { Story } from './story.ts'

type Teller = (catalog: Catalog) => Promise<Story>

const TELLERS: readonly Teller[] = [
  (catalog) => everyType(catalog, 'stories.nested', ['uuid'], []),
  // Spark 3.5 has no type for a time of day and refuses the table
  (catalog) => everyType(catalog, 'stories.nested_times', ['time', 'uuid'], ['spark']),
  evolvedSchema,
  evolvedSpec,
  ...transformStories,
  changedRows,
  refs,
  positionDeleted,
  equalityDeleted,
  maintained,
]

/** Tables that are also read as copies. */
const COPIED = [evolvedSpec, refs, positionDeleted, maintained]

/** @param warehouse `file:` URL. */
export async function tellStories(warehouse: string): Promise<ExpectedTable[]> {
  const catalog = openCatalog(openStore(warehouse, { clock: systemClock }), { clock: systemClock })
  const expected: ExpectedTable[] = []
  for (const tell of TELLERS) {
    const story = await tell(catalog)
    expected.push(await story.expected())
    if (!COPIED.includes(tell as (typeof COPIED)[number])) continue
    const name = `${story.table.name}_copied`
    const target = openStore(`${warehouse}/${name.replace('.', '/')}`, { clock: systemClock })
    const copy = await story.copied(name, async (table) => {
      await copyTable(table, target, { clock: systemClock })
      return catalog.loadTable(name)
    })
    await copy.append(5)
    expected.push(await copy.expected())
  }
  return expected
}
