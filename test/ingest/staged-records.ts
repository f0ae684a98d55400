import { type ChunkMeta, listChunks, listIncarnations, readChunk } from '../../ingest/index.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'

export interface StagedRecord {
  readonly shardId: string
  readonly sequence: string
  readonly partitionKey: string
  readonly text: string
}

/** Every record staged under a stream, all incarnations, by walking the chains link by link as a consumer does. */
export async function stagedRecords(store: ObjectStore, stream: string): Promise<StagedRecord[]> {
  const records: StagedRecord[] = []
  for (const incarnation of await listIncarnations(store, { stream })) {
    const position = new Map<string, string>()
    for (const ref of await listChunks(store, incarnation)) {
      const chunk = await readChunk(store, ref)
      if (chunk.meta.after !== (position.get(ref.shardId) ?? '0')) throw new Error(`missing link before ${ref.key}`)
      position.set(ref.shardId, chunk.meta.last)
      for (let row = 0; row < chunk.meta.count; row++) {
        const text = Buffer.from(chunk.data(row)).toString()
        const [sequence, partitionKey] = [chunk.sequenceNumber(row), chunk.partitionKey(row)]
        records.push({ shardId: ref.shardId, sequence, partitionKey, text })
      }
    }
  }
  return records
}

export async function stagedMetas(store: ObjectStore, stream: string): Promise<ChunkMeta[]> {
  const metas: ChunkMeta[] = []
  for (const incarnation of await listIncarnations(store, { stream })) {
    for (const ref of await listChunks(store, incarnation)) metas.push((await readChunk(store, ref)).meta)
  }
  return metas
}
