/** Columns that were renamed in the table: by name they would look dropped, and their values would go missing. */
import { FirnError } from '../../table/errors.ts'
import { currentSchema, type TableMetadata } from '../../table/index.ts'
import { columnsOf, type DatasetDefinition } from '../datasets/index.ts'

/**
 * A column of `dataset` that the table does not have any more may have been dropped: then nothing is written. One
 * that goes on under another name has to be renamed in the definition too.
 * @throws {FirnError} `FIRN_DATASET_MISMATCH` (invalid).
 */
export function refuseRenamedColumns(dataset: DatasetDefinition, metadata: TableMetadata, table: string): void {
  const { fields } = currentSchema(metadata)
  const present = new Set(fields.map(({ name }) => name))
  for (const { name } of columnsOf(dataset)) {
    if (present.has(name)) continue
    const ids = new Set(
      metadata.schemas.flatMap((schema) => schema.fields.flatMap((f) => (f.name === name ? [f.id] : []))),
    )
    const renamed = fields.find(({ id }) => ids.has(id))
    if (renamed === undefined) continue
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_MISMATCH',
      `column ${name} of dataset ${dataset.name} is called ${renamed.name} in ${table}: its values would be lost`,
      {
        detail: { table, column: name, now: renamed.name },
        help: `rename it in the table's property firn.dataset as well (a record's member can keep its name: "from": {"kind": "record", "member": "${name}"}), or back in the table`,
      },
    )
  }
}
