/** Rows by key: those that are there are replaced, the others are added. Copy-on-write, file by file. */
import type { RecordBatch } from 'apache-arrow'
import type { TableState } from '../catalog/catalog.ts'
import { FirnError } from '../errors.ts'
import type { DataFile } from '../manifest/data-file.ts'
import type { ColumnReference, Expression } from '../scan/expression.ts'
import { planFiles } from '../scan/plan.ts'
import { compareValues } from '../spec/compare.ts'
import { currentSchema } from '../spec/metadata.ts'
import { fieldByName, type Schema } from '../spec/schema.ts'
import { isPrimitive, type PrimitiveValue } from '../spec/types.ts'
import { columnReader } from './column-reader.ts'
import type { PlannedChange, WriteContext } from './context.ts'
import { type RowSelection, takeOut } from './copy-on-write.ts'
import { partitionedWriter } from './partitioned-writer.ts'
import { type ProduceOptions, produceSnapshot } from './produce.ts'
import { headOf } from './snapshot-options.ts'

export interface UpsertOptions extends ProduceOptions {
  /** Top-level columns that identify a row. */
  readonly key: readonly string[]
}

export interface Upsert {
  /** @returns `undefined` when there is no row and no property to be set. */
  plan(state: TableState): Promise<PlannedChange | undefined>
}

/**
 * Reads the input once and writes it to new data files; what it replaces is looked up by each plan. Memory holds the
 * keys of the input, one row group, and what `partitionedWriter` holds.
 * @throws {FirnError} `FIRN_UPSERT_KEY_INVALID` (invalid): a null key, or one that comes twice.
 */
export async function prepareUpsert(
  context: WriteContext,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
  { key, ...options }: UpsertOptions,
): Promise<Upsert> {
  const { metadata } = context.state
  const schema = currentSchema(metadata)
  const columns = keyColumns(schema, key)
  const keys = keyCollector(columns)
  const writer = partitionedWriter(context, metadata, { signal: options.signal })
  for await (const batch of batches) {
    keys.add(schema, batch)
    await writer.write(batch)
  }
  const added = await writer.close()
  return {
    plan: async (state) => {
      if (added.length === 0 && options.setProperties === undefined) return undefined
      return planUpsert(context, state, added, keys, options)
    },
  }
}

async function planUpsert(
  context: WriteContext,
  { metadata }: TableState,
  added: readonly DataFile[],
  keys: KeySet,
  options: ProduceOptions,
): Promise<PlannedChange> {
  const head = headOf(metadata, options.branch)
  const schema = currentSchema(metadata)
  const abort = { signal: options.signal }
  const columns = keys.columnsOf(schema)
  const filter = keys.filter(columns)
  const tasks =
    filter === undefined
      ? []
      : await planFiles(context.store, metadata, head, filter, {
          schema,
          tableName: context.operations.table,
          clock: context.clock,
          ...abort,
        })
  const rewrite = await takeOut(context, metadata, tasks, keys.selection(columns), abort)
  const operation = rewrite.removed.length === 0 ? 'append' : 'overwrite'
  const validation = {
    startSnapshotId: head?.snapshotId ?? ('empty' as const),
    filter,
    deletes: true,
    ignoreEqualityDeletes: false,
  }
  const change = { operation, added: [...added, ...rewrite.added], removed: rewrite.removed, validation } as const
  return produceSnapshot(context.store, metadata, change, context.clock, options)
}

/** Up to so many keys are looked for one by one in the bounds of files; more are by their range. */
const MAX_LISTED_KEYS = 1_000

interface KeySet {
  add(schema: Schema, batch: RecordBatch): void
  /**
   * The key's columns as they are called and typed now.
   * @throws {FirnError} `FIRN_UPSERT_KEY_INVALID` (invalid) when one was dropped.
   */
  columnsOf(schema: Schema): readonly ColumnReference[]
  /** True for every row with one of the keys; `undefined` without a key. */
  filter(columns: readonly ColumnReference[]): Expression | undefined
  selection(columns: readonly ColumnReference[]): RowSelection
}

function keyColumns(schema: Schema, names: readonly string[]): readonly ColumnReference[] {
  if (names.length === 0) throw invalidKey('an upsert needs at least one key column')
  return names.map((name) => {
    const { id, type } = fieldByName(schema, name)
    if (!isPrimitive(type) || type === 'float' || type === 'double') {
      throw invalidKey(`column ${name} cannot be a key: keys are of types with exact equality`)
    }
    return { fieldId: id, name, type }
  })
}

function keyCollector(columns: readonly ColumnReference[]): KeySet {
  const keys = new Set<string>()
  // Of the first column; complete only while there are few.
  const listed: PrimitiveValue[] = []
  const bounds: { lower: PrimitiveValue; upper: PrimitiveValue }[] = columns.map(() => ({ lower: null, upper: null }))
  const widen = (index: number, value: PrimitiveValue): void => {
    const bound = bounds[index]!
    const { type } = columns[index]!
    if (bound.lower === null || compareValues(type, value, bound.lower) < 0) bound.lower = value
    if (bound.upper === null || compareValues(type, value, bound.upper) > 0) bound.upper = value
  }
  return {
    add: (schema, batch) => {
      const read = columnReader(schema, batch)
      for (let row = 0; row < batch.numRows; row++) {
        const values = columns.map((column) => read(column, row))
        if (values.includes(null)) {
          const names = columns.map((column) => column.name).join(', ')
          throw invalidKey(`a row to upsert has no value in its key (${names})`)
        }
        const text = keyText(values)
        if (keys.has(text)) throw invalidKey('two rows to upsert have the same key')
        keys.add(text)
        if (listed.length < MAX_LISTED_KEYS) listed.push(values[0]!)
        values.forEach((value, index) => {
          widen(index, value)
        })
      }
    },
    columnsOf: (schema) =>
      columns.map(({ fieldId, name }) => {
        const field = schema.fields.find(({ id }) => id === fieldId)
        if (field === undefined || !isPrimitive(field.type))
          throw invalidKey(`key column ${name} was dropped meanwhile`)
        return { fieldId, name: field.name, type: field.type }
      }),
    filter: (now) => {
      if (keys.size === 0) return undefined
      const [column] = now
      if (now.length === 1 && listed.length === keys.size) {
        return { kind: 'in', column: column!, values: listed.map((value) => promoted(column!, value)) }
      }
      const parts = now.flatMap((column, index): Expression[] => [
        { kind: 'compare', operator: '>=', column, value: promoted(column, bounds[index]!.lower) },
        { kind: 'compare', operator: '<=', column, value: promoted(column, bounds[index]!.upper) },
      ])
      return parts.reduce((left, right) => ({ kind: 'and', left, right }))
    },
    selection: (now) => ({
      columns: now.map((column) => column.name),
      of: (schema, batch) => {
        const read = columnReader(schema, batch)
        return (row) => keys.has(keyText(now.map((column) => read(column, row))))
      },
    }),
  }
}

/** An `int` may have become a `long` since the rows came. */
const promoted = ({ type }: ColumnReference, value: PrimitiveValue): PrimitiveValue =>
  type === 'long' && typeof value === 'number' ? BigInt(value) : value

/** Equal exactly for equal keys of the same columns, also where one was promoted. */
const keyText = (values: readonly PrimitiveValue[]): string =>
  JSON.stringify(
    values.map((value) => {
      if (typeof value === 'bigint' || typeof value === 'number') return value.toString()
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
    }),
  )

const invalidKey = (message: string): FirnError =>
  new FirnError('invalid', 'FIRN_UPSERT_KEY_INVALID', message, {
    help: 'Give every row one key of its own, e.g. keep the latest version of each.',
  })
