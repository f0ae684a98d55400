/** Datasets by name or file. */
import { readFile } from 'node:fs/promises'
import { FirnError } from '../../table/errors.ts'
import { articles } from './articles.ts'
import { type DatasetDefinition, parseDataset } from './definition.ts'

export { articles } from './articles.ts'
export type {
  ColumnSource,
  DatasetColumn,
  DatasetDedup,
  DatasetDefinition,
  DatasetField,
  FeatureGroup,
  FeatureName,
  FieldSource,
  FieldType,
} from './definition.ts'
export { columnsOf, DEFAULT_DEDUP, parseDataset } from './definition.ts'
export { datasetDifferences } from './difference.ts'
export { FEATURE_VERSION } from './feature-groups.ts'
export {
  createTableFor,
  DATASET_PROPERTY,
  DEFAULT_ROW_GROUP_ROWS,
  DEFAULT_TARGET_FILE_SIZE_BYTES,
  datasetOfProperties,
  layoutOf,
  ROW_GROUP_ROWS_PROPERTY,
  sizeProperty,
  TARGET_FILE_SIZE_PROPERTY,
  type TableLayout,
} from './table-layout.ts'

const BUILT_IN: ReadonlyMap<string, DatasetDefinition> = new Map([[articles.name, articles]])

/**
 * A built-in dataset by its name, else the definition in the JSON file of that path.
 * @throws {FirnError} `FIRN_DATASET_NOT_FOUND` (not-found), `FIRN_DATASET_INVALID` (invalid).
 */
export async function resolveDataset(
  nameOrFile: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<DatasetDefinition> {
  const builtIn = BUILT_IN.get(nameOrFile)
  if (builtIn !== undefined) return builtIn
  let text: string
  try {
    text = await readFile(nameOrFile, {
      encoding: 'utf8',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  } catch (cause) {
    options.signal?.throwIfAborted()
    const known = [...BUILT_IN.keys()].join(', ')
    throw new FirnError('not-found', 'FIRN_DATASET_NOT_FOUND', `no dataset and no readable file "${nameOrFile}"`, {
      cause,
      help: `use one of ${known}, or the path of a dataset definition in JSON`,
    })
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_INVALID',
      `dataset definition ${nameOrFile} is not JSON: ${(cause as Error).message}`,
      {
        cause,
        help: 'correct the file',
      },
    )
  }
  return parseDataset(json, nameOrFile)
}
