/** Landers that race over one store, in orders of operations chosen by fast-check: no record lost, none doubled. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fileSource, kinesisSource, type LandResult, land } from '../../../ingest/index.ts'
import { FirnError } from '../../../table/errors.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { stagedRecords } from '../staged-records.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { unavailable, unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

/** Every operation waits for its turn, before it takes effect and after. */
function scheduled(store: ObjectStore, scheduler: fc.Scheduler): ObjectStore {
  return unsteady(store, async (operation, call) => {
    await scheduler.schedule(Promise.resolve(), `before ${operation}`)
    const result = await call().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    await scheduler.schedule(Promise.resolve(), `after ${operation}`)
    if ('error' in result) throw result.error
    return result.value
  })
}

let runs = 0

test('racing landers with different chunk sizes land every record once, between them', async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.record({ records: fc.integer({ min: 0, max: 9 }), split: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.array(fc.record({ maxRecords: fc.integer({ min: 1, max: 6 }), page: fc.integer({ min: 1, max: 5 }) }), {
      minLength: 2,
      maxLength: 3,
    }),
    async (scheduler, shards, landers) => {
      const name = `race-${++runs}`
      const clock = virtualClock(runs)
      const kinesis = new MemoryKinesis({ clock })
      kinesis.createStream('raced', shards.length)
      let put = 0
      for (const [i, { records, split }] of shards.entries()) {
        const shardId = `shardId-${String(i).padStart(12, '0')}`
        for (let n = 0; n < records; n++) kinesis.putInto('raced', shardId, `r${put++}`)
        if (!split) continue
        for (const child of kinesis.splitShard('raced', shardId)) kinesis.putInto('raced', child, `r${put++}`)
      }
      clock.advance(10)
      const store = openMemoryStore(name, { clock })
      const racing = landers.map(({ maxRecords, page }): Promise<LandResult> => {
        const start = { type: 'TRIM_HORIZON' } as const
        const source = kinesisSource({ stream: 'raced', client: kinesis, start, clock, pageRecords: page })
        return land({ store: scheduled(store, scheduler), source, clock, chunkLimits: { maxBytes: 1e6, maxRecords } })
      })
      const results = await scheduler.waitFor(Promise.all(racing))
      const staged = await stagedRecords(store, 'raced')
      expect(staged.map(({ text }) => text).toSorted()).toEqual(
        Array.from({ length: put }, (_, i) => `r${i}`).toSorted(),
      )
      // Each record was added by one of them, and each of them knows what it added.
      expect(results.reduce((sum, { records }) => sum + records, 0)).toBe(put)
      dropMemoryStore(name)
    },
  )
  await fc.assert(property, { numRuns: 150 })
})

test('racing landers over a store that loses answers still land every record once', async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.constantFrom('ok', 'ok', 'ok', 'lost before', 'lost after'), { minLength: 40, maxLength: 40 }),
    async (scheduler, fates) => {
      const name = `lossy-race-${++runs}`
      const clock = virtualClock(runs)
      const kinesis = new MemoryKinesis({ clock, pageRecords: 4 })
      kinesis.createStream('raced', 2)
      for (let i = 0; i < 24; i++) kinesis.putInto('raced', `shardId-00000000000${i % 2}`, `r${i}`)
      clock.advance(10)
      const store = openMemoryStore(name, { clock })
      let puts = 0
      const lossy = unsteady(store, async (operation, call) => {
        const fate = operation === 'put' ? (fates[puts++] ?? 'ok') : 'ok'
        if (fate === 'lost before') throw unavailable()
        const result = await call()
        if (fate === 'lost after') throw unavailable()
        return result
      })
      const racing = [3, 5].map((maxRecords) => {
        const source = kinesisSource({ stream: 'raced', client: kinesis, start: { type: 'TRIM_HORIZON' }, clock })
        const chunkLimits = { maxBytes: 1e6, maxRecords }
        // A run may give up; then the next one below completes it.
        return land({ store: scheduled(lossy, scheduler), source, clock, chunkLimits }).catch((error: unknown) => {
          if (!FirnError.is(error, 'FIRN_STORE_UNAVAILABLE')) throw error
        })
      })
      await scheduler.waitFor(Promise.all(racing))
      const source = kinesisSource({ stream: 'raced', client: kinesis, start: { type: 'TRIM_HORIZON' }, clock })
      await land({ store, source, clock })
      const staged = await stagedRecords(store, 'raced')
      expect(staged.map(({ text }) => text).toSorted()).toEqual(
        Array.from({ length: 24 }, (_, i) => `r${i}`).toSorted(),
      )
      dropMemoryStore(name)
    },
  )
  await fc.assert(property, { numRuns: 100 })
})

test('racing landers of one file land every line once, and a later run trusts what they wrote', async () => {
  const folder = temporaryFolder()
  try {
    const lines = Array.from({ length: 23 }, (_, i) => JSON.stringify({ i }))
    const path = folder.write('raced.ndjson', `${lines.join('\n')}\n`)
    const property = fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 2, maxLength: 3 }),
      async (scheduler, chunkRecords) => {
        const name = `file-race-${++runs}`
        const clock = virtualClock(runs)
        const store = openMemoryStore(name, { clock })
        const landFile = (target: ObjectStore, maxRecords: number) => {
          const source = fileSource({ paths: [path], clock })
          return land({ store: target, source, clock, chunkLimits: { maxBytes: 1e6, maxRecords } })
        }
        // Reading the file is real I/O: the scheduler is drained until both landers are done.
        const racing = Promise.all(chunkRecords.map((size) => landFile(scheduled(store, scheduler), size)))
        await scheduler.waitFor(racing)
        const staged = await stagedRecords(store, 'files')
        expect(staged.map(({ text }) => text)).toEqual(lines)
        expect(await landFile(store, 100)).toMatchObject({ records: 0, chunks: 0 })
        dropMemoryStore(name)
      },
    )
    await fc.assert(property, { numRuns: 40 })
  } finally {
    folder.remove()
  }
})
