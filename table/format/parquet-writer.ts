/**
 * Arrow batches to one Parquet file, streamed through parquet-wasm: the WebAssembly heap holds about one row group,
 * whatever the file's size (one large table in its heap is slow and capped). The only file that imports parquet-wasm.
 */
import { setImmediate } from 'node:timers/promises'
import { type RecordBatch, RecordBatchStreamWriter } from 'apache-arrow'
import type * as ParquetWasm from 'parquet-wasm'
import type { RecordBatch as WasmRecordBatch, WriterProperties } from 'parquet-wasm'
import { FirnError } from '../errors.ts'

export interface ParquetWriterOptions {
  /** Rows of a row group; the last one may have fewer. */
  readonly rowGroupRows: number
  /** Columns whose values are long and rarely repeat: no dictionary is tried for them. */
  readonly plainColumns: readonly string[]
  /** Top-level columns of which the footer says no minimum and maximum. */
  readonly unboundedColumns?: readonly string[]
}

/** One file being written. Bytes come out through `onBytes` while rows go in. */
export interface ParquetFileWriter {
  /** Bytes that came out so far; lags behind what went in by about one row group. */
  readonly bytesOut: number
  write(batch: RecordBatch): Promise<void>
  /** Writes the footer. */
  close(): Promise<void>
}

type Wasm = typeof ParquetWasm

/** Only what writes files needs its megabytes of code. */
const loadWasm = (): Promise<Wasm> => import('parquet-wasm')

export function createParquetFile(
  options: ParquetWriterOptions,
  onBytes: (bytes: Uint8Array) => void,
): ParquetFileWriter {
  const handoff = new Handoff<WasmRecordBatch>()
  const loading = loadWasm()
  let bytesOut = 0
  let failure: unknown
  const drained = (async (): Promise<void> => {
    const wasm = await loading
    const output = await wasm.transformParquetStream(ReadableStream.from(handoff), writerProperties(wasm, options))
    for await (const bytes of output as ReadableStream<Uint8Array>) {
      bytesOut += bytes.length
      onBytes(bytes)
    }
  })().catch((cause: unknown) => {
    failure = encoderFailed(cause)
    handoff.abandon()
  })
  /** `step` needs the encoder. Where that is dead, it would wait for ever. */
  const guard = async (step: Promise<void>): Promise<void> => {
    let done = false
    const settled = step.finally(() => {
      done = true
    })
    await Promise.race([settled, stalled(() => done)])
    if (!done && failure === undefined) failure = encoderFailed(undefined)
    if (failure !== undefined) throw failure
  }
  return {
    get bytesOut() {
      return bytesOut
    },
    async write(batch) {
      for (const part of toWasm(await loading, batch)) await guard(handoff.push(part))
    },
    async close() {
      handoff.end()
      await loading
      await guard(drained)
    },
  }
}

/**
 * The encoder works on this thread and waits for nobody else, so it moves within a turn or two of the event loop. It
 * has been seen to fail without a word, leaving its input and output open.
 */
const STALLED_TURNS = 1_000

async function stalled(isDone: () => boolean): Promise<void> {
  for (let turn = 0; turn < STALLED_TURNS && !isDone(); turn++) await setImmediate()
}

const encoderFailed = (cause: unknown): FirnError =>
  new FirnError('failed', 'FIRN_PARQUET_WRITE_FAILED', 'the Parquet encoder failed', { cause })

function writerProperties(wasm: Wasm, options: ParquetWriterOptions): WriterProperties {
  let builder = new wasm.WriterPropertiesBuilder()
    .setCompression(wasm.Compression.ZSTD)
    .setMaxRowGroupSize(options.rowGroupRows)
    .setWriterVersion(wasm.WriterVersion.V1)
    .setCreatedBy('firnlake')
  for (const column of options.plainColumns) builder = builder.setColumnDictionaryEnabled(column, false)
  for (const column of options.unboundedColumns ?? []) {
    builder = builder.setColumnStatisticsEnabled(column, wasm.EnabledStatistics.None)
  }
  return builder.build()
}

function toWasm(wasm: Wasm, batch: RecordBatch): readonly WasmRecordBatch[] {
  const writer = new RecordBatchStreamWriter()
  writer.reset(undefined, batch.schema)
  writer.write(batch)
  writer.finish()
  const table = wasm.Table.fromIPCStream(writer.toUint8Array(true))
  const batches = table.recordBatches()
  // its share of the buffers would live until the collector runs, which does not see this heap grow
  table.free()
  return batches
}

/** A queue of one: `push` resolves when the item was taken, so the producer never runs ahead of the encoder. */
class Handoff<T> implements AsyncIterable<T> {
  #item: { readonly value: T; readonly taken: () => void } | undefined
  #ended = false
  #wake: () => void = () => {}

  push(value: T): Promise<void> {
    if (this.#ended) return Promise.resolve()
    return new Promise((taken) => {
      this.#item = { value, taken }
      this.#wake()
    })
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** The consumer is gone: whoever waits goes on and finds out why. */
  abandon(): void {
    this.#ended = true
    this.#item?.taken()
    this.#item = undefined
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#item
      if (item !== undefined) {
        this.#item = undefined
        item.taken()
        yield item.value
      } else if (this.#ended) return
      else {
        await new Promise<void>((wake) => {
          this.#wake = wake
        })
      }
    }
  }
}
