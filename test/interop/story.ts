/**
 * One table and its model, changed side by side: every operation of the table has its counterpart on plain rows, and
 * every snapshot is remembered with the rows and the schema that it must show to any reader, for as long as it exists.
 */
import { type Catalog, newUuid, parseWhere, type SnapshotId, systemClock, type Table } from '../../table/index.ts'
import { currentSchema, defaultSortOrder, defaultSpec } from '../../table/spec/metadata.ts'
import type { PartitionField } from '../../table/spec/partition.ts'
import { fieldById, type Schema } from '../../table/spec/schema.ts'
import type { SortOrder } from '../../table/spec/sort.ts'
import { applyTransform } from '../../table/spec/transform.ts'
import { isPrimitive, type NestedField, type PrimitiveType, type PrimitiveValue } from '../../table/spec/types.ts'
import { createDataFileWriter } from '../../table/write/writer.ts'
import { type Column, canonicalText, type Digests, type FlatColumn, type Row } from './digest.ts'
import { type ExpectedRef, type ExpectedTable, type Filter, filtersOf, mustEqual, ownRows } from './expected.ts'
import { digestsOf } from './faults.ts'
import { batchUnder, fieldValue, KEY, type ModelRow, modelRow, rowUnder } from './model.ts'

type Files = Parameters<Table['append']>[0]

export interface StoryTable {
  readonly name: string
  readonly fields: readonly NestedField[]
  readonly partition?: readonly PartitionField[]
  readonly sortOrder?: SortOrder
  readonly properties?: Readonly<Record<string, string>>
  /** Engines that cannot read it, whoever wrote it. */
  readonly without?: readonly string[]
  /** Literals a column that engines filter the newest snapshot by; default 2. */
  readonly literals?: number
}

interface Head {
  /** Newest last. */
  readonly ids: readonly SnapshotId[]
  readonly rows: readonly ModelRow[]
}

interface Remembered {
  readonly rows: readonly ModelRow[]
  readonly schema: Schema
}

const columnsOf = (schema: Schema): readonly Column[] => schema.fields.map(({ name, type }) => ({ name, type }))
const digestUnder = (schema: Schema, rows: readonly ModelRow[]): Digests =>
  digestsOf(
    columnsOf(schema),
    rows.map((row) => rowUnder(schema, row)),
  )
const without = (rows: readonly ModelRow[], goes: (row: ModelRow) => boolean): readonly ModelRow[] =>
  rows.filter((row) => !goes(row))

export class Story {
  table: Table
  readonly #definition: StoryTable
  readonly #heads = new Map<string, Head>([['main', { ids: [], rows: [] }]])
  readonly #tags = new Map<string, SnapshotId>()
  readonly #snapshots = new Map<SnapshotId, Remembered>()
  #nextKey = 0

  constructor(table: Table, definition: StoryTable) {
    this.table = table
    this.#definition = definition
  }

  static async begin(catalog: Catalog, definition: StoryTable): Promise<Story> {
    const { name, fields, partition = [], sortOrder = { orderId: 0, fields: [] }, properties = {} } = definition
    const schema = { schemaId: 0, fields, identifierFieldIds: [fields.find((field) => field.name === KEY)!.id] }
    const partitionSpec = { specId: 0, fields: partition }
    const table = await catalog.createTable(name, { schema, partitionSpec, sortOrder, properties })
    return new Story(table, definition)
  }

  /** The same history of a copy of the table. */
  async copied(name: string, copy: (table: Table) => Promise<Table>): Promise<Story> {
    const story = new Story(await copy(this.table), { ...this.#definition, name })
    for (const [branch, head] of this.#heads) story.#heads.set(branch, head)
    for (const [tag, id] of this.#tags) story.#tags.set(tag, id)
    for (const [id, remembered] of this.#snapshots) story.#snapshots.set(id, remembered)
    return story
  }

  get schema(): Schema {
    return currentSchema(this.table.metadata)
  }

  rows(branch = 'main'): readonly ModelRow[] {
    return this.#heads.get(branch)!.rows
  }

  snapshotIds(branch = 'main'): readonly SnapshotId[] {
    return this.#heads.get(branch)!.ids
  }

  /** The value of a top-level column. */
  value(row: ModelRow, column: string): PrimitiveValue {
    const field = this.schema.fields.find(({ name }) => name === column)!
    return rowUnder(this.schema, row)[field.name] as PrimitiveValue
  }

  /** Rows with keys that no row had. */
  fresh(count: number, options: { readonly nulls?: boolean } = {}): readonly ModelRow[] {
    return Array.from({ length: count }, () => modelRow(this.schema, this.#nextKey++, options))
  }

  /** Data files of the current schema, spec and sort order; small, so that there is more than one. */
  async write(rows: readonly ModelRow[], targetFileSizeBytes = 16_384): Promise<Files> {
    const { metadata, store, location } = this.table
    const spec = defaultSpec(metadata)
    const files: Files[number][] = []
    for (const { partition, members } of this.#byPartition(rows)) {
      const writer = createDataFileWriter({
        store,
        location,
        schema: this.schema,
        spec,
        partition,
        sortOrderId: 0,
        sortOrder: defaultSortOrder(metadata),
        properties: metadata.properties,
        fileNamePrefix: newUuid(systemClock),
        targetFileSizeBytes,
        rowGroupRows: 16,
      })
      await writer.write(batchUnder(this.schema, members))
      files.push(...(await writer.close()).map(({ dataFile }) => dataFile))
    }
    return files
  }

  async append(
    count: number,
    { branch = 'main', nulls = false }: { readonly branch?: string; readonly nulls?: boolean } = {},
  ): Promise<readonly ModelRow[]> {
    const rows = this.fresh(count, { nulls })
    const { table } = await this.table.append(await this.write(rows), { branch })
    await this.#record(table, branch, [...this.rows(branch), ...rows])
    return rows
  }

  /** Rows for which `goes` is true go, which `where` must say too. */
  async delete(
    where: string,
    goes: (row: ModelRow) => boolean,
    { branch = 'main' }: { readonly branch?: string } = {},
  ): Promise<void> {
    const { table } = await this.table.deleteWhere(parseWhere(where, this.schema), { branch })
    await this.#record(table, branch, without(this.rows(branch), goes))
  }

  async overwrite(count: number, where: string, goes: (row: ModelRow) => boolean): Promise<void> {
    const rows = this.fresh(count)
    const { table } = await this.table.overwrite(await this.write(rows), { filter: parseWhere(where, this.schema) })
    await this.#record(table, 'main', [...without(this.rows(), goes), ...rows])
  }

  /** Rows for the partitions of `rows`, of a table whose files all have the current spec. */
  async overwritePartitions(rows: readonly ModelRow[]): Promise<void> {
    const filter = 'dynamic-partitions' as const
    const { table } = await this.table.overwrite(await this.write(rows), { filter })
    const partitions = new Set(rows.map((row) => this.#partitionText(row)))
    const kept = without(this.rows(), (row) => partitions.has(this.#partitionText(row)))
    await this.#record(table, 'main', [...kept, ...rows])
  }

  /** @param rows with keys that are there, with other values, and new ones. */
  async upsert(rows: readonly ModelRow[], { branch = 'main' }: { readonly branch?: string } = {}): Promise<void> {
    const { table } = await this.table.upsert([batchUnder(this.schema, rows)], { key: [KEY], branch })
    const keys = new Set(rows.map((row) => this.value(row, KEY)))
    await this.#record(table, branch, [...without(this.rows(branch), (row) => keys.has(this.value(row, KEY))), ...rows])
  }

  /** The values of one key and the key of another. */
  changed(row: ModelRow): ModelRow {
    const key = this.schema.fields.find(({ name }) => name === KEY)!
    return { ...modelRow(this.schema, Number(this.value(row, KEY)) + 1_000_003), [key.id]: row[key.id]! }
  }

  /** Whatever changes no row: definitions, layout, properties. */
  async run(change: (table: Table) => Promise<Table>): Promise<void> {
    await this.#record(await change(this.table), 'main', this.rows())
  }

  /** A change whose rows the caller knows. */
  async commit(rows: readonly ModelRow[], change: (table: Table) => Promise<Table>, branch = 'main'): Promise<void> {
    await this.#record(await change(this.table), branch, rows)
  }

  /** A commit of several snapshots, each with rows of its own. */
  async steps(rows: readonly (readonly ModelRow[])[], change: (table: Table) => Promise<Table>): Promise<void> {
    const before = this.#snapshots.size
    await this.#record(await change(this.table), 'main', rows.at(-1)!)
    const added = [...this.#snapshots].slice(before)
    if (added.length !== rows.length) throw new Error(`${added.length} new snapshots, expected ${rows.length}`)
    added.forEach(([id, { schema }], index) => {
      this.#snapshots.set(id, { rows: rows[index]!, schema })
    })
  }

  async rollBack(id: SnapshotId): Promise<void> {
    const { rows } = this.#snapshots.get(id)!
    const ids = this.snapshotIds()
    // the new snapshot stands on the old one: what is undone is no longer part of the line
    this.#heads.set('main', { ids: ids.slice(0, ids.indexOf(id) + 1), rows })
    await this.commit(rows, async (table) => (await table.rollbackTo(id)).table)
  }

  async tag(name: string, id: SnapshotId = this.snapshotIds().at(-1)!): Promise<void> {
    this.table = await this.table.createTag(name, id)
    this.#tags.set(name, id)
  }

  async branch(name: string, id: SnapshotId = this.snapshotIds().at(-1)!): Promise<void> {
    this.table = await this.table.createBranch(name, id)
    const line = this.snapshotIds()
    this.#heads.set(name, { ids: line.slice(0, line.indexOf(id) + 1), rows: this.#snapshots.get(id)!.rows })
  }

  async removeRef(name: string): Promise<void> {
    this.table = await this.table.removeRef(name)
    this.#tags.delete(name)
    this.#heads.delete(name)
  }

  async fastForward(branch: string, to: string): Promise<void> {
    this.table = await this.table.fastForward(branch, to)
    this.#heads.set(branch, this.#heads.get(to)!)
  }

  /** Snapshots must go but the newest of each branch and what a tag names. */
  async expire(retainLast: number, change: (table: Table) => Promise<Table>): Promise<void> {
    const kept = new Set(this.#tags.values())
    for (const [name, { ids, rows }] of this.#heads) {
      const last = ids.slice(-retainLast)
      for (const id of last) kept.add(id)
      this.#heads.set(name, { ids: last, rows })
    }
    this.table = await change(this.table)
    for (const id of this.#snapshots.keys()) if (!kept.has(id)) this.#snapshots.delete(id)
  }

  /** What every engine must find. Our own reader must have found it first. @throws {Error} otherwise. */
  async expected(): Promise<ExpectedTable> {
    const { name, without: unable = [] } = this.#definition
    const ids = this.table.metadata.snapshots.map(({ snapshotId }) => snapshotId)
    const known = [...this.#snapshots.keys()]
    if (ids.join() !== known.join()) throw new Error(`${name} has the snapshots ${ids}, expected ${known}`)
    const snapshots = []
    for (const [snapshotId, { rows, schema }] of this.#snapshots) {
      const digests = digestUnder(schema, rows)
      mustEqual(`${name} at ${snapshotId}`, columnsOf(schema), await ownRows(this.table.scan({ snapshotId })), digests)
      snapshots.push({ id: String(snapshotId), columns: columnsOf(schema), digests, files: undefined })
    }
    const now = digestUnder(this.schema, this.rows())
    mustEqual(`${name} now`, columnsOf(this.schema), await ownRows(this.table.scan()), now)
    const columns = columnsOf(this.schema)
    const key: FlatColumn = { name: KEY, type: 'long' }
    const filters = this.#filters(key)
    const refs = await this.#refs()
    return { name, folder: this.table.location, columns, key, snapshots, now, refs, filters, without: unable }
  }

  async #refs(): Promise<ExpectedRef[]> {
    const refs: (readonly [string, 'branch' | 'tag', SnapshotId])[] = []
    for (const [name, id] of this.#tags) refs.push([name, 'tag', id])
    for (const [name, { ids }] of this.#heads) if (name !== 'main') refs.push([name, 'branch', ids.at(-1)!])
    const expected: ExpectedRef[] = []
    for (const [name, type, id] of refs) {
      const { rows, schema } = this.#snapshots.get(id)!
      const [columns, nowColumns] = [columnsOf(schema), columnsOf(this.schema)]
      const [digests, now] = [digestUnder(schema, rows), digestUnder(this.schema, rows)]
      const found = await ownRows(this.table.scan({ ref: name }))
      mustEqual(name, type === 'tag' ? columns : nowColumns, found, type === 'tag' ? digests : now)
      expected.push({ name, type, columns, digests, nowColumns, now })
    }
    return expected
  }

  #filters(key: FlatColumn): Filter[] {
    const flat = this.schema.fields.flatMap(({ name, type }) => (isPrimitive(type) ? [{ name, type }] : []))
    const columns = flat.filter(({ type }) => !['uuid', 'time'].includes(type))
    const rows = this.rows().map((row) => rowUnder(this.schema, row)) as Row[]
    const transforms = this.table.metadata.partitionSpecs.flatMap(({ fields }) =>
      fields.map(({ transform }) => transform),
    )
    const byTime = transforms.some((transform) => ['year', 'month', 'day', 'hour'].includes(transform))
    const byTruncatedDecimal = transforms.some((transform) => transform.startsWith('truncate'))
    return filtersOf({ columns, key, rows, byTime, byTruncatedDecimal, literals: this.#definition.literals ?? 2 })
  }

  /** Every snapshot that is new shows `rows`; the last one is the head of the branch. */
  async #record(table: Table, branch: string, rows: readonly ModelRow[]): Promise<void> {
    const added = table.metadata.snapshots.filter(({ snapshotId }) => !this.#snapshots.has(snapshotId))
    this.table = table
    const ids = [...this.snapshotIds(branch)]
    for (const { snapshotId } of added) {
      this.#snapshots.set(snapshotId, { rows, schema: this.schema })
      ids.push(snapshotId)
    }
    this.#heads.set(branch, { ids, rows })
  }

  #partitionOf(row: ModelRow): PrimitiveValue[] {
    return defaultSpec(this.table.metadata).fields.map(({ sourceId, transform }) => {
      const { type } = fieldById(this.schema, sourceId)!
      return applyTransform(transform, type as PrimitiveType, fieldValue(this.schema, row, sourceId))
    })
  }

  #partitionText(row: ModelRow): string {
    // the text of a value by what it is
    return this.#partitionOf(row)
      .map((value) => canonicalText('long', value))
      .join()
  }

  #byPartition(rows: readonly ModelRow[]): { partition: PrimitiveValue[]; members: readonly ModelRow[] }[] {
    const groups = Map.groupBy(rows, (row) => this.#partitionText(row))
    return [...groups.values()].map((members) => ({ partition: this.#partitionOf(members[0]!), members }))
  }
}
