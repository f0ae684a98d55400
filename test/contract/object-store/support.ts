/** Small helpers of the object store suites. */
import { FirnError } from '../../../table/errors.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The `FirnError` that `promise` rejects with; any other outcome fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<FirnError> {
  const outcome = await promise.then(
    (value) => new Error(`expected a FirnError, got the value ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (FirnError.is(outcome)) return outcome
  throw outcome
}

export async function keysOf(store: ObjectStore, prefix: string, startAfter?: string): Promise<string[]> {
  const keys: string[] = []
  for await (const info of store.list(prefix, startAfter === undefined ? {} : { startAfter })) keys.push(info.key)
  return keys
}

/** `work` over `items`, at most 32 at a time. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: 32 }, lane))
}
