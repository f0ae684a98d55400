/** Publishes to local emulators: in slices that kinesis-mock (`kinesis-local` 0.6.2, and its image) can take. */
import { type PublishOptions, publishArticles } from './publish.ts'

/**
 * Entries a call. Of request bodies around 900 kB (250 articles) every few are never answered, of those around 350 kB
 * none; the limit of the service itself is 500 entries and 5 MiB.
 */
const SLICE_ENTRIES = 100

export async function feedArticles(options: PublishOptions): Promise<void> {
  const { count, startIndex, onProgress } = options
  for (let from = 0; from < count; from += SLICE_ENTRIES) {
    const size = Math.min(SLICE_ENTRIES, count - from)
    await publishArticles({ ...options, count: size, startIndex: startIndex + from })
    onProgress?.(from + size)
  }
}
