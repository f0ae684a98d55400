/**
 * A module of the user's that turns the columns that were read into those of the batches, in the thread that decodes.
 * Its columns come as typed arrays and leave as Arrow columns without nulls.
 */
import {
  type Schema as ArrowSchema,
  type Data,
  type DataType,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint8,
} from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'

export type TransformValues = Int32Array | Float32Array | Uint8Array

/**
 * A column of a transform's result, with `rows` the rows of the batch that it was given:
 * - `{ values, width }`: `width` values for every row, `rows * width` in all; default 1, plain numbers;
 * - `{ values, offsets }`: row `r` has the values `[offsets[r], offsets[r + 1])`; `rows + 1` offsets, the first one 0;
 * - the name of a column that was read, which is passed on as it is.
 *
 * The arrays are copied: the transform may use them again.
 */
export type TransformColumn =
  | { readonly values: TransformValues; readonly width?: number | undefined; readonly offsets?: undefined }
  | { readonly values: TransformValues; readonly offsets: Int32Array; readonly width?: undefined }
  | string

/**
 * Called with some rows, in no order that it could rely on, and once with none, to learn the columns. What it gives for
 * a row must follow from that row alone: which rows come together changes with the epoch. A `FirnError` that it throws
 * reaches the reader as it is.
 */
export type Transform = (batch: RecordBatch) => Readonly<Record<string, TransformColumn>>

/** The default export of a transform module. `schema`: of the batches that the transform is given. */
export type TransformFactory = (
  options: unknown,
  context: { readonly schema: ArrowSchema },
) => Transform | Promise<Transform>

/** Plain data. */
export interface TransformModule {
  /** What `import()` takes. */
  readonly module: string
  readonly options?: unknown
}

export type RunTransform = (batch: RecordBatch) => RecordBatch

/**
 * Columns that the transform makes of batches of `schema`.
 * @throws {FirnError} `FIRN_TRANSFORM_FAILED` (failed), naming the module and the column.
 */
export async function transformedSchema(spec: TransformModule, schema: ArrowSchema): Promise<ArrowSchema> {
  return (await prepare(spec, schema)).output
}

/**
 * The transform, ready to run.
 * @throws {FirnError} `FIRN_TRANSFORM_FAILED` (failed), now and from every run.
 */
export async function loadTransform(spec: TransformModule, schema: ArrowSchema): Promise<RunTransform> {
  const { transform, output } = await prepare(spec, schema)
  return (batch) => run(spec.module, transform, batch, output)
}

async function prepare(
  spec: TransformModule,
  schema: ArrowSchema,
): Promise<{ readonly transform: Transform; readonly output: ArrowSchema }> {
  const transform = await makeTransform(spec, schema)
  return { transform, output: run(spec.module, transform, emptyBatch(schema), undefined).schema }
}

async function makeTransform({ module, options }: TransformModule, schema: ArrowSchema): Promise<Transform> {
  let factory: unknown
  try {
    factory = ((await import(/* @vite-ignore */ module)) as { readonly default?: unknown }).default
  } catch (cause) {
    throw failed(module, `cannot be loaded: ${textOf(cause)}`, { cause })
  }
  if (typeof factory !== 'function') throw failed(module, 'has no function as its default export')
  let transform: unknown
  try {
    transform = await (factory as TransformFactory)(options, { schema })
  } catch (cause) {
    if (FirnError.is(cause)) throw cause
    throw failed(module, `cannot be set up: ${textOf(cause)}`, { cause })
  }
  if (typeof transform !== 'function') throw failed(module, 'gave no function to run')
  return transform as Transform
}

/** @param expected learned from an empty batch; `undefined`: this is that batch. */
function run(module: string, transform: Transform, batch: RecordBatch, expected: ArrowSchema | undefined): RecordBatch {
  let result: unknown
  try {
    result = transform(batch)
  } catch (cause) {
    if (FirnError.is(cause)) throw cause
    throw failed(module, `failed with ${batch.numRows} rows: ${textOf(cause)}`, { cause })
  }
  if (typeof result !== 'object' || result === null) throw failed(module, 'gave no columns')
  if (result instanceof Promise) {
    result.catch(() => {})
    throw failed(module, 'gave a promise, but has to be synchronous')
  }
  const columns = Object.entries(result as Record<string, TransformColumn>)
  if (columns.length === 0) throw failed(module, 'gave no columns')
  if (expected !== undefined) checkNames(module, columns, expected)
  const fields: Field[] = []
  const children: Data[] = []
  for (const [name, column] of columns) {
    const { data, nullable } = columnOf(module, name, column, batch)
    const known = expected?.fields[fields.length]
    if (known !== undefined && String(known.type) !== String(data.type)) {
      throw failed(module, `gave ${String(data.type)}, before it was ${String(known.type)}`, { column: name })
    }
    fields.push(known ?? new Field(name, data.type, nullable))
    children.push(data)
  }
  const schema = expected ?? new Schema(fields)
  const type = new Struct(schema.fields)
  return new RecordBatch(schema, makeData({ type, length: batch.numRows, nullCount: 0, children }))
}

function checkNames(module: string, columns: readonly [string, unknown][], expected: ArrowSchema): void {
  const names = columns.map(([name]) => name)
  const wanted = expected.fields.map((field) => field.name)
  if (names.length === wanted.length && names.every((name, index) => name === wanted[index])) return
  throw failed(module, `gave the columns ${names.join(', ')}, before they were ${wanted.join(', ')}`)
}

function columnOf(
  module: string,
  name: string,
  column: TransformColumn,
  batch: RecordBatch,
): { readonly data: Data; readonly nullable: boolean } {
  const fail = (message: string): never => {
    throw failed(module, message, { column: name })
  }
  if (typeof column === 'string') {
    const index = batch.schema.fields.findIndex((field) => field.name === column)
    if (index < 0) return fail(`passes on the column ${column}, which was not read`)
    return { data: batch.data.children[index] as Data, nullable: batch.schema.fields[index]!.nullable }
  }
  const type = elementType(column?.values) ?? fail('gave no Int32Array, Float32Array or Uint8Array')
  const { offsets, width = 1 } = column
  const rows = batch.numRows
  const values = copyOf(column.values)
  if (offsets !== undefined) {
    checkOffsets(offsets, rows, values.length, fail)
    const child = makeData({ type, length: values.length, nullCount: 0, data: values } as never)
    const list = new List(new Field('item', type, false))
    return {
      data: makeData({ type: list, length: rows, nullCount: 0, valueOffsets: offsets.slice(), child }),
      nullable: false,
    }
  }
  if (!Number.isInteger(width) || width < 1) return fail(`gave the width ${String(width)}, expected an integer from 1`)
  if (values.length !== rows * width) {
    return fail(`gave ${values.length} values for ${rows} rows of ${width}, expected ${rows * width}`)
  }
  const flat = makeData({ type, length: values.length, nullCount: 0, data: values } as never) as Data
  if (width === 1) return { data: flat, nullable: false }
  const fixed = new FixedSizeList(width, new Field('item', type, false))
  return { data: makeData({ type: fixed, length: rows, nullCount: 0, child: flat }), nullable: false }
}

/** Not `slice`: a `Buffer` is a `Uint8Array` too, and its `slice` is a view. */
function copyOf(values: TransformValues): TransformValues {
  if (values instanceof Int32Array) return new Int32Array(values)
  return values instanceof Float32Array ? new Float32Array(values) : new Uint8Array(values)
}

function elementType(values: unknown): DataType | undefined {
  if (values instanceof Int32Array) return new Int32()
  if (values instanceof Float32Array) return new Float32()
  return values instanceof Uint8Array ? new Uint8() : undefined
}

function checkOffsets(offsets: unknown, rows: number, values: number, fail: (message: string) => never): void {
  if (!(offsets instanceof Int32Array)) fail('gave offsets that are no Int32Array')
  const given = offsets as Int32Array
  if (given.length !== rows + 1) fail(`gave ${given.length} offsets for ${rows} rows, expected ${rows + 1}`)
  if (given[0] !== 0) fail(`gave offsets that begin with ${given[0]}, expected 0`)
  for (let row = 0; row < rows; row++) {
    if (given[row + 1]! < given[row]!) fail(`gave offsets that fall from ${given[row]} to ${given[row + 1]}`)
  }
  if (given[rows] !== values) fail(`gave ${values} values, the last offset is ${given[rows]}`)
}

/** A batch of `schema` without rows. */
function emptyBatch(schema: ArrowSchema): RecordBatch {
  const type = new Struct(schema.fields)
  const children = schema.fields.map((field) => emptyColumn(field.type))
  return new RecordBatch(schema, makeData({ type, length: 0, nullCount: 0, children }))
}

function emptyColumn(type: DataType): Data {
  const children = ((type.children ?? []) as Field[]).map((child) => emptyColumn(child.type))
  const [child] = children
  // `makeData` picks its overload by a type that is only known at run time here.
  return makeData({ type, length: 0, nullCount: 0, children, ...(child && { child }) } as never)
}

function failed(
  module: string,
  message: string,
  { column, cause }: { readonly column?: string; readonly cause?: unknown } = {},
): FirnError {
  const where = column === undefined ? module : `${module}, column ${column}`
  return new FirnError('failed', 'FIRN_TRANSFORM_FAILED', `the transform ${where}: ${message}`, {
    cause,
    detail: { module, ...(column === undefined ? {} : { column }) },
    help: 'Correct the transform module, and open the dataset again.',
  })
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
