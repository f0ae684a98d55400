/** Generated rows, filters and files over every type that can be filtered, for properties of pruning. */
import { makeData, RecordBatch, Struct } from 'apache-arrow'
import fc from 'fast-check'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { arrowSchema } from '../../../table/format/arrow-schema.ts'
import { encodeBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { collectStatistics } from '../../../table/manifest/stats.ts'
import { type ColumnReference, type Expression, evaluate } from '../../../table/scan/expression.ts'
import type { PartitionSpec, PartitionTuple } from '../../../table/spec/partition.ts'
import { primitiveTypeOf, type Schema } from '../../../table/spec/schema.ts'
import { applyTransform, canApply } from '../../../table/spec/transform.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

/** A null struct makes null of its children: here `place`, of which rows have the members `place.city`, `place.zip`. */
export type Row = Readonly<Record<string, PrimitiveValue>>

const optional = (id: number, name: string, type: PrimitiveType) => ({ id, name, required: false, type }) as const

export const WIDE: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'key', required: true, type: 'string' },
    optional(2, 'flag', 'boolean'),
    optional(3, 'n', 'int'),
    optional(4, 'big', 'long'),
    optional(5, 'ratio', 'float'),
    optional(6, 'score', 'double'),
    optional(7, 'price', 'decimal(20, 2)'),
    optional(8, 'day', 'date'),
    optional(9, 'clock', 'time'),
    optional(10, 'local', 'timestamp'),
    optional(11, 'at', 'timestamptz'),
    optional(12, 'text', 'string'),
    optional(13, 'hash', 'binary'),
    optional(14, 'row', 'int'),
    {
      id: 15,
      name: 'place',
      required: false,
      type: { type: 'struct', fields: [optional(16, 'city', 'string'), optional(17, 'zip', 'int')] },
    },
  ],
}

const HOUR = 3_600_000_000n
const DAY = 24n * HOUR
const times = fc.oneof(
  fc.bigInt({ min: -800n * DAY, max: 800n * DAY }),
  fc
    .tuple(
      fc.constantFrom(-366n * DAY, -31n * DAY, -DAY, -HOUR, 0n, HOUR, DAY, 31n * DAY),
      fc.constantFrom(-1n, 0n, 1n),
    )
    .map(([edge, off]) => edge + off),
)
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    'a',
    'ab',
    'abc',
    'abd',
    'a'.repeat(20),
    '\u{10ffff}'.repeat(18),
    '\ud7ff',
    '\u{1f600}a',
    '\uffff',
    'é',
    'éa',
  ),
)

export const VALUES: Readonly<Record<string, fc.Arbitrary<PrimitiveValue>>> = {
  key: texts,
  flag: fc.boolean(),
  n: fc.oneof(fc.integer({ min: -12, max: 12 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 2 ** 31 - 6)),
  big: fc.constantFrom(
    2n ** 53n + 1n,
    2n ** 53n,
    -(2n ** 53n) - 1n,
    -(2n ** 63n),
    2n ** 63n - 1n,
    2n ** 31n,
    0n,
    -1n,
    7n,
  ),
  ratio: fc.oneof(fc.constantFrom(Number.NaN, -0, 0, 1.5, Number.NEGATIVE_INFINITY), fc.float()),
  score: fc.oneof(fc.constantFrom(Number.NaN, -0, 0, Number.POSITIVE_INFINITY, 1.5, -1.5), fc.double()),
  price: fc.oneof(fc.bigInt({ min: -1500n, max: 1500n }), fc.constantFrom(-(10n ** 20n) + 1n, 10n ** 20n - 1n)),
  day: fc.integer({ min: -800, max: 800 }),
  clock: fc.bigInt({ min: 0n, max: DAY - 1n }),
  local: times,
  at: times,
  text: texts,
  hash: fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom(Uint8Array.of(), Uint8Array.of(0xff), new Uint8Array(20).fill(0xff), Uint8Array.of(1, 2, 3, 4, 5)),
  ),
  'place.city': texts,
  'place.zip': fc.integer({ min: -5, max: 5 }),
}

export const row: fc.Arbitrary<Row> = fc
  .record({
    ...Object.fromEntries(
      Object.entries(VALUES).map(([name, values]) => [name, name === 'key' ? values : fc.option(values, { freq: 5 })]),
    ),
    hasPlace: fc.boolean(),
  })
  .map(({ hasPlace, ...values }) =>
    hasPlace ? values : { ...values, 'place.city': null, 'place.zip': null, none: true },
  )

const COLUMNS: readonly ColumnReference[] = Object.keys(VALUES).map((name) => {
  const ids: Record<string, number> = { 'place.city': 16, 'place.zip': 17 }
  const fieldId = ids[name] ?? WIDE.fields.find((field) => field.name === name)!.id
  return { fieldId, name, type: primitiveTypeOf(WIDE, fieldId) }
})

const leaf: fc.Arbitrary<Expression> = fc.constantFrom(...COLUMNS).chain((column) => {
  const value = VALUES[column.name]!
  const options: fc.Arbitrary<Expression>[] = [
    fc.constant<Expression>({ kind: 'is-null', column }),
    fc
      .array(fc.option(value, { freq: 12 }), { minLength: 1, maxLength: 3 })
      .map((values): Expression => ({ kind: 'in', column, values })),
    fc
      .tuple(fc.constantFrom('=', '!=', '<', '<=', '>', '>='), value)
      .map(
        ([operator, literal]): Expression => ({ kind: 'compare', operator: operator as '=', column, value: literal }),
      ),
  ]
  if (column.type === 'float' || column.type === 'double') options.push(fc.constant({ kind: 'is-nan', column }))
  if (column.type === 'string') {
    options.push(
      texts.map(
        (prefix): Expression => ({ kind: 'starts-with', column, prefix: Array.from(prefix).slice(0, 3).join('') }),
      ),
    )
  }
  return fc.oneof(...options)
})

export const filter: fc.Arbitrary<Expression> = fc.letrec<{ filter: Expression }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      left: tie('filter'),
      right: tie('filter'),
    }) as fc.Arbitrary<Expression>,
    fc.record({ kind: fc.constant('not'), operand: tie('filter') }) as fc.Arbitrary<Expression>,
  ),
})).filter

const TRANSFORMS = [
  'identity',
  'year',
  'month',
  'day',
  'hour',
  'bucket[1]',
  'bucket[3]',
  'truncate[1]',
  'truncate[5]',
  'void',
]
/** Every transform of every column that it applies to. */
export const TERMS: readonly (readonly [ColumnReference, string])[] = COLUMNS.flatMap((column) =>
  TRANSFORMS.filter((transform) => canApply(transform, column.type)).map((transform) => [column, transform] as const),
)

export const spec: fc.Arbitrary<PartitionSpec> = fc
  .array(fc.constantFrom(...TERMS), { minLength: 1, maxLength: 2 })
  .map((terms) => ({
    specId: 0,
    fields: terms.map(([column, transform], index) => ({
      sourceId: column.fieldId,
      fieldId: 1000 + index,
      name: `p${index}`,
      transform,
    })),
  }))

export const matches = (where: Expression, values: Row): boolean | undefined =>
  evaluate(where, (column) => values[column.name] ?? null)

/** Files as a writer makes them, one for each partition, with their rows. */
export function filesOf(rows: readonly Row[], { fields }: PartitionSpec): { file: DataFile; rows: readonly Row[] }[] {
  const groups = new Map<string, { partition: PartitionTuple; rows: Row[] }>()
  for (const values of rows) {
    const partition = fields.map(({ sourceId, transform }) => {
      const column = COLUMNS.find((one) => one.fieldId === sourceId)!
      return applyTransform(transform, column.type, values[column.name] ?? null)
    })
    const key = partition.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join('/')
    const group = groups.get(key) ?? { partition, rows: [] }
    group.rows.push(values)
    groups.set(key, group)
  }
  return Array.from(groups.values(), ({ partition, rows: members }) => ({
    file: fileOf(members, partition),
    rows: members,
  }))
}

export function batchOfRows(rows: readonly Row[]): RecordBatch {
  const children = WIDE.fields.map((field) =>
    columnFromValues(field.type, rows.map((values) => memberOf(values, field.name)) as never, field.name),
  )
  const arrow = arrowSchema(WIDE)
  const data = makeData({ type: new Struct(arrow.fields), length: rows.length, nullCount: 0, children })
  return new RecordBatch(arrow, data)
}

function fileOf(rows: readonly Row[], partition: PartitionTuple): DataFile {
  const statistics = collectStatistics(WIDE)
  statistics.add(batchOfRows(rows))
  return {
    content: 'data',
    filePath: 'memory://t/data/x.parquet',
    fileFormat: 'PARQUET',
    specId: 0,
    partition,
    recordCount: rows.length,
    fileSizeBytes: 1,
    columnSizes: new Map(),
    splitOffsets: [],
    equalityIds: [],
    ...statistics.done(),
  }
}

function memberOf(values: Row, name: string): unknown {
  if (name !== 'place') return values[name] ?? null
  return values['none'] === true ? null : { city: values['place.city'] ?? null, zip: values['place.zip'] ?? null }
}

/**
 * The file as other writers describe it: text bounds cut inside of a character, bounds as wide as before a promotion,
 * NaN for a bound, and statistics that are just not there.
 */
export function foreign(file: DataFile, seed: number): DataFile {
  const bit = (index: number): boolean => ((seed >> index) & 1) === 1
  const some = <T>(map: ReadonlyMap<number, T>, shift: number): ReadonlyMap<number, T> =>
    new Map([...map].filter(([id]) => bit((id + shift) % 20)))
  const lowerBounds = new Map(file.lowerBounds)
  const upperBounds = new Map(file.upperBounds)
  for (const bounds of [lowerBounds, upperBounds]) {
    const long = bounds.get(4)
    if (long !== undefined && decodesAsInt(long)) bounds.set(4, long.slice(0, 4))
    const double = bounds.get(6)
    if (double !== undefined && bit(3)) bounds.set(6, narrowed(double) ?? double)
  }
  for (const id of [1, 12, 13, 16]) {
    const bytes = lowerBounds.get(id)
    if (bytes !== undefined) lowerBounds.set(id, Uint8Array.from(bytes.subarray(0, 1 + (seed % 3))))
  }
  if (bit(5)) for (const bounds of [lowerBounds, upperBounds]) bounds.set(5, encodeBound('float', Number.NaN))
  return {
    ...file,
    lowerBounds: some(lowerBounds, 0),
    upperBounds: some(upperBounds, 7),
    valueCounts: some(file.valueCounts, 3),
    nullValueCounts: bit(1) ? file.nullValueCounts : some(file.nullValueCounts, 11),
    nanValueCounts: bit(2) ? file.nanValueCounts : new Map(),
  }
}

const decodesAsInt = (bytes: Uint8Array): boolean => {
  const value = Buffer.from(bytes).readBigInt64LE()
  return value === BigInt.asIntN(32, value)
}

function narrowed(bytes: Uint8Array): Uint8Array | undefined {
  const value = Buffer.from(bytes).readDoubleLE()
  return Object.is(Math.fround(value), value) ? encodeBound('float', value) : undefined
}
