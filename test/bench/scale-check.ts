/** Prints what a table holds, `scale-check.ts <warehouse>`: rows, digest of their content, overlap depth, files. */
import { openCatalog, openStore, planRewrite, systemClock } from '../../table/index.ts'
import { collectDigest } from '../../table/maintenance/rewrite/digest.ts'

export interface TableCheck {
  readonly rows: number
  /** Of all columns but the run's time; does not depend on the order of rows. */
  readonly digest: string
  /** Files that one value of the sort key meets in its partition at most; 1: none overlap. */
  readonly overlapDepth: number | null
  readonly fileBytes: readonly number[]
}

const store = openStore(process.argv[2]!, { clock: systemClock })
const table = await openCatalog(store, { clock: systemClock }).loadTable('bench.articles')
const columns = table.schemaFor().fields.flatMap(({ name }) => (name === 'compacted_at' ? [] : [name]))
const digest = collectDigest()
for await (const batch of table.scan({ columns }).batches()) digest.add(batch)
const { rows, hash } = digest.digest()
const files = await table.scan().planFiles()
const check: TableCheck = {
  rows,
  digest: hash,
  overlapDepth: (await planRewrite(table, {})).overlapDepth,
  fileBytes: files.map(({ file }) => file.fileSizeBytes),
}
process.stdout.write(JSON.stringify(check))
