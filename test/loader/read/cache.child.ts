/** Fills a cache until it is killed, or until all of its ranges are there: `node cache.child.ts DIR LIMIT FROM TO`. */
import { diskCache } from '../../../loader/read/cache.ts'
import { noCounters } from '../../../loader/read/counters.ts'
import { systemClock } from '../../../table/clock.ts'
import type { ObjectStore } from '../../../table/index.ts'
import { contentOf, RANGE_BYTES } from './cache-content.ts'

const [dir = '', limit, from, to] = process.argv.slice(2)
const base = {
  url: 'memory://of-the-cache-test',
  get: async (_key: string, { range }: { range: { start: number; end: number } }) => ({
    bytes: contentOf(range.start, range.end),
    etag: '"etag"',
  }),
} as unknown as ObjectStore

const cache = diskCache({ dir, limitBytes: Number(limit), clock: systemClock, counters: noCounters() })
const store = cache.store(base, { salt: 'size' })
process.stdout.write('started\n')
for (let index = Number(from); index < Number(to); index++) {
  const range = { start: index * RANGE_BYTES, end: (index + 1) * RANGE_BYTES }
  const { bytes } = await store.get('data/a.parquet', { range })
  if (!Buffer.from(contentOf(range.start, range.end)).equals(bytes)) throw new Error(`range ${index} is damaged`)
}
