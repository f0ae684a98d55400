/** Record batches as one Arrow IPC stream. */
import { type RecordBatch, RecordBatchStreamWriter } from 'apache-arrow'
import { arrowSchema, type Schema } from '../table/index.ts'

/** Bytes of the stream; without batches it still has the schema and the end mark. */
export async function* arrowStream(schema: Schema, batches: AsyncIterable<RecordBatch>): AsyncGenerator<Uint8Array> {
  const writer = new RecordBatchStreamWriter({ autoDestroy: false })
  writer.reset(undefined, arrowSchema(schema))
  const output = writer[Symbol.asyncIterator]()
  const feed = (async () => {
    try {
      for await (const batch of batches) if (batch.numRows > 0) writer.write(batch)
      writer.finish()
      writer.close()
    } catch (error) {
      writer.abort(error)
    }
  })()
  for (let next = await output.next(); !next.done; next = await output.next()) yield next.value
  await feed
}
