/**
 * Every computed column that has its text beside it is computed again: the features, and the groups but for
 * `segmentation`, whose numbers depend on the ICU version. Values of a user's enrichment are not known here.
 */
import { bytesAt, isValidAt, type PrimitiveType, type PrimitiveValue, type Schema, valueAt } from '../../table/index.ts'
import { textMeasurer } from '../compaction/enrich/features/groups.ts'
import { measureText, sha256Hex } from '../compaction/enrich/features.ts'
import { columnsOf, type DatasetDefinition, FEATURE_VERSION, type FeatureGroup } from '../datasets/index.ts'
import type { BatchCheck } from './columns.ts'
import type { RowFaults } from './problems.ts'

export function featureChecks(
  schema: Schema,
  dataset: DatasetDefinition | undefined,
  faults: RowFaults,
): readonly BatchCheck[] {
  if (dataset === undefined) return []
  const places: ReadonlyMap<string, number> = new Map(schema.fields.map(({ name }, index) => [name, index]))
  return [...singleChecks(dataset, places, faults), ...groupChecks(dataset, places, faults)]
}

type Places = ReadonlyMap<string, number>

function singleChecks(dataset: DatasetDefinition, places: Places, faults: RowFaults): readonly BatchCheck[] {
  return dataset.fields.flatMap(({ name, from }): BatchCheck[] => {
    if (from.kind !== 'feature') return []
    const [at, of] = [places.get(name), places.get(from.of)]
    if (at === undefined || of === undefined) return []
    const measured = { words: 0, chars: 0, sentences: 0 }
    const compute = (text: Uint8Array): PrimitiveValue => {
      if (from.feature === 'content_sha256') return sha256Hex(text)
      measureText(text, 0, text.length, measured)
      if (from.feature === 'word_count') return measured.words
      return from.feature === 'char_count' ? measured.chars : measured.sentences
    }
    const type = from.feature === 'content_sha256' ? 'string' : 'int'
    return [
      (columns, rows, firstRow) => {
        const source = columns[of]!
        const column = columns[at]!
        for (let row = 0; row < rows; row++) {
          const expected = isValidAt(source, row) ? compute(bytesAt(source, row)) : null
          if (valueAt(type, column, row) !== expected)
            faults.add('feature', name, firstRow + row, `${name} is not what ${from.of} gives`)
        }
      },
    ]
  })
}

interface GroupCell {
  readonly name: string
  readonly at: number
  readonly type: PrimitiveType
  /** Which group of the source, and which of its values. */
  readonly group: number
  readonly value: string
}

function groupChecks(dataset: DatasetDefinition, places: Places, faults: RowFaults): readonly BatchCheck[] {
  const declared = columnsOf(dataset)
  const versionAt = places.get(declared.find(({ from }) => from.kind === 'feature_version')?.name ?? '')
  const groups = (dataset.features ?? []).filter(({ group }) => group !== 'segmentation')
  const sources = [...new Set(groups.map(({ of }) => of))]
  return sources.flatMap((source): BatchCheck[] => {
    const of = places.get(source)
    if (of === undefined || versionAt === undefined) return []
    const ofSource: readonly FeatureGroup[] = groups.filter((group) => group.of === source)
    const measure = textMeasurer(ofSource)
    const cells = declared.flatMap(({ name, type, from }): GroupCell[] => {
      const at = places.get(name)
      if (from.kind !== 'group' || at === undefined || !ofSource.includes(from.group)) return []
      return [{ name, at, type, group: ofSource.indexOf(from.group), value: from.value }]
    })
    return [
      (columns, rows, firstRow) => {
        for (let row = 0; row < rows; row++) {
          // other versions define the same columns otherwise
          if (valueAt('int', columns[versionAt]!, row) !== FEATURE_VERSION) continue
          const text = isValidAt(columns[of]!, row) ? Buffer.from(bytesAt(columns[of]!, row)).toString('utf8') : null
          const values = text === null ? [] : measure(text)
          for (const { name, at, type, group, value } of cells) {
            if (valueAt(type, columns[at]!, row) !== (values[group]?.[value] ?? null))
              faults.add('feature', name, firstRow + row, `${name} is not what ${source} gives`)
          }
        }
      },
    ]
  })
}
