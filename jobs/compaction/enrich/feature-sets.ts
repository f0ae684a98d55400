/** The features of a row, from its text columns to its other columns. */
import type { DatasetColumn, FeatureGroup, FeatureName } from '../../datasets/index.ts'
import { appendCell, type Column, type Int32Column, type Utf8Column } from './columns.ts'
import { textMeasurer } from './features/groups.ts'
import { measureText, sha256Hex, type TextFeatures } from './features.ts'

/** Features of one text column, computed together: the counts share one pass, and so do the groups. */
export interface FeatureSet {
  /** The text of `row` is there; its features are appended. */
  append(row: number): void
}

export function featureSetsOf(
  declared: readonly DatasetColumn[],
  columns: ReadonlyMap<string, Column>,
): readonly FeatureSet[] {
  const bySource = new Map<string, [FeatureName, Column][]>()
  const groupsBySource = new Map<string, GroupTarget[]>()
  for (const { name, from } of declared) {
    const column = columns.get(name)!
    if (from.kind === 'feature') entryOf(bySource, from.of).push([from.feature, column])
    if (from.kind === 'group') entryOf(groupsBySource, from.group.of).push({ ...from, column })
  }
  const source = (of: string): Utf8Column => columns.get(of) as Utf8Column
  return [
    ...[...bySource].map(([of, targets]) => featureSet(source(of), targets)),
    ...[...groupsBySource].map(([of, targets]) => groupSet(source(of), targets)),
  ]
}

function entryOf<T>(map: Map<string, T[]>, key: string): T[] {
  const entry = map.get(key) ?? []
  map.set(key, entry)
  return entry
}

function featureSet(source: Utf8Column, targets: readonly [FeatureName, Column][]): FeatureSet {
  const measured: TextFeatures = { words: 0, chars: 0, sentences: 0 }
  const counted = targets.some(([feature]) => feature !== 'content_sha256')
  const appenders = targets.map(([feature, column]): ((row: number) => void) => {
    if (feature === 'content_sha256') {
      return (row) => (column as Utf8Column).append(sha256Hex(source.bytes(row)))
    }
    const part = COUNT_OF[feature]
    return () => (column as Int32Column).append(measured[part])
  })
  return {
    append(row) {
      if (source.nulls.has(row)) {
        for (const [, column] of targets) appendCell(column, null)
        return
      }
      const start = source.startOf(row)
      if (counted) measureText(source.chunkOf(row), start, start + source.byteLength(row), measured)
      for (const append of appenders) append(row)
    },
  }
}

const COUNT_OF: Readonly<Record<Exclude<FeatureName, 'content_sha256'>, keyof TextFeatures>> = {
  word_count: 'words',
  char_count: 'chars',
  sentence_count: 'sentences',
}

interface GroupTarget {
  readonly group: FeatureGroup
  readonly value: string
  readonly column: Column
}

function groupSet(source: Utf8Column, targets: readonly GroupTarget[]): FeatureSet {
  const groups = [...new Set(targets.map(({ group }) => group))]
  const measure = textMeasurer(groups)
  const places = targets.map(({ group, value, column }) => ({ group: groups.indexOf(group), value, column }))
  return {
    append(row) {
      const text = source.text(row)
      const values = text === null ? [] : measure(text)
      for (const { group, value, column } of places) appendCell(column, values[group]?.[value] ?? null)
    },
  }
}
