/**
 * What the loader does beside the peers, in a process of its own:
 * `node firn.ts strings|bytes|tokens|none <warehouse> time|digest <workers> [tokenizer.json]`.
 * `strings`, `bytes`: shuffled batches of title and content; `tokens`: of their token ids; `none`: open only, for the
 * memory of a process that reads nothing.
 */
import type { RecordBatch, Utf8, Vector } from 'apache-arrow'
import { builtLoader } from './built.ts'
import { addRow, emptyDigest } from './digest.ts'
import type { PeerReport } from './peers.ts'
import { TABLE } from './tables.ts'

const { openDataset, tokenize } = await builtLoader()

const [kind = '', warehouse = '', mode = '', workers = '1', tokenizer = ''] = process.argv.slice(2)

const digest = emptyDigest()

/** Every text as a string of JavaScript: what a tokenizer of one's own would start from. */
function readStrings(batch: RecordBatch): void {
  const [titles, contents] = [textsOf(batch, 'title'), textsOf(batch, 'content')]
  if (mode === 'digest') for (const [row, title] of titles.entries()) addRow(digest, title, contents[row]!)
}

function textsOf(batch: RecordBatch, name: string): string[] {
  const { values, valueOffsets: offsets } = (batch.getChild(name) as Vector<Utf8>).data[0]!
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  return Array.from({ length: batch.numRows }, (_, row) => bytes.toString('utf8', offsets[row]!, offsets[row + 1]!))
}

const started = performance.now()
const dataset = await openDataset({
  warehouse,
  table: TABLE,
  columns: ['title', 'content'],
  shuffle: { seed: 1 },
  batch: { size: 64 },
  numWorkers: Number(workers),
  prefetchBatches: 8,
  ...(kind === 'tokens'
    ? {
        transform: tokenize({
          tokenizer,
          columns: {
            content: { to: 'input_ids', maxTokens: 512, pad: true },
            title: { to: 'labels', maxTokens: 32, pad: true },
          },
        }),
      }
    : {}),
})
let firstBatchMillis = 0
if (kind !== 'none') {
  for await (const batch of dataset.epoch(0)) {
    if (firstBatchMillis === 0) firstBatchMillis = performance.now() - started
    if (kind === 'strings') readStrings(batch)
    if (mode !== 'digest' || kind !== 'strings') digest.rows += batch.numRows
  }
}
const report: PeerReport = { ...digest, firstBatchMillis, millis: performance.now() - started }
await dataset[Symbol.asyncDispose]()
process.stdout.write(JSON.stringify(report))
