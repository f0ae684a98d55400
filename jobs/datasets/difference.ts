/** How two dataset definitions differ, for people. */
import type { DatasetDefinition, DatasetField } from './definition.ts'

/**
 * One line for each thing that `given` says otherwise than `stored`; none when both make the same tables and rows.
 * Documentation texts do not count.
 */
export function datasetDifferences(stored: DatasetDefinition, given: DatasetDefinition): readonly string[] {
  return [
    ...fieldDifferences(stored.fields, given.fields),
    ...memberDifferences('', plainParts(stored), plainParts(given)),
  ]
}

function fieldDifferences(stored: readonly DatasetField[], given: readonly DatasetField[]): string[] {
  const before = new Map(stored.map((field) => [field.name, field]))
  const after = new Map(given.map((field) => [field.name, field]))
  const lines = stored.filter(({ name }) => !after.has(name)).map(({ name }) => `field ${name} is left out`)
  for (const [name, field] of after) {
    const old = before.get(name)
    if (old === undefined) lines.push(`field ${name} is new`)
    else lines.push(...memberDifferences(`field ${name}: `, withoutDoc(old), withoutDoc(field)))
  }
  if (lines.length === 0 && String([...before.keys()]) !== String([...after.keys()])) {
    lines.push('the fields are in another order')
  }
  return lines
}

const withoutDoc = ({ doc: _doc, ...field }: DatasetField): object => field
const plainParts = ({ fields: _fields, ...parts }: DatasetDefinition): object => parts

function memberDifferences(prefix: string, stored: object, given: object): string[] {
  const [before, after] = [
    new Map<string, unknown>(Object.entries(stored)),
    new Map<string, unknown>(Object.entries(given)),
  ]
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => ({ name, is: text(after.get(name)), was: text(before.get(name)) }))
    .filter(({ is, was }) => is !== was)
    .map(({ name, is, was }) => `${prefix}${name} is ${is}, the table has ${was}`)
}

/** Members in one order, whatever the order in the file. */
const text = (value: unknown): string =>
  value === undefined
    ? 'not given'
    : JSON.stringify(value, (_key, item: unknown) =>
        typeof item === 'object' && item !== null && !Array.isArray(item)
          ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
          : item,
      )
