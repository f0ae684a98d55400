/**
 * Memory that threads fill with decoded values, and that is given back piece by piece. It is the same memory over and
 * over: what a dataset holds does not depend on when garbage collectors run, and they need not run for it, because V8
 * does not count memory that is shared.
 *
 * No lock, which a thread that is ended in the middle would never leave: pages are claimed one by one.
 */
import type { Data, RecordBatch } from 'apache-arrow'
import type { ReadMemory } from '../../table/index.ts'

/** Plain data: another thread gets it with a message. */
export interface ArenaParts {
  readonly bytes: SharedArrayBuffer
  /** One mark a page. */
  readonly marks: Uint8Array<SharedArrayBuffer>
}

const PAGE_BYTES = 1 << 14
/** What is smaller is not worth pages of its own. */
const LEAST_BYTES = 1 << 16
const FREE = 0
const USED = 1

/** @returns undefined when there is no address space for it. Pages take memory from their first use on. */
export function createArena(bytes: number): ArenaParts | undefined {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  try {
    return {
      bytes: new SharedArrayBuffer(pages * PAGE_BYTES),
      marks: new Uint8Array(new SharedArrayBuffer(pages)),
    }
  } catch {
    return undefined
  }
}

/**
 * The first run of pages that is long enough, so that as few of them as can be are ever touched.
 * @returns undefined when there is none, or `bytes` are few.
 */
export function takeFrom({ bytes: memory, marks }: ArenaParts, bytes: number): Uint8Array | undefined {
  if (bytes < LEAST_BYTES) return undefined
  const needed = Math.ceil(bytes / PAGE_BYTES)
  let run = 0
  for (let page = 0; page < marks.length; page++) {
    run = Atomics.load(marks, page) === FREE ? run + 1 : 0
    if (run < needed) continue
    const first = page + 1 - needed
    const taken = claim(marks, first, page + 1)
    if (taken === undefined) return new Uint8Array(memory, first * PAGE_BYTES, bytes)
    // Another thread was faster.
    page = taken
    run = 0
  }
  return undefined
}

/** @returns undefined when all of them are claimed; otherwise none is, and it is the page that somebody else has. */
function claim(marks: Uint8Array, first: number, end: number): number | undefined {
  for (let page = first; page < end; page++) {
    if (Atomics.compareExchange(marks, page, FREE, USED) === FREE) continue
    for (let back = first; back < page; back++) Atomics.store(marks, back, FREE)
    return page
  }
  return undefined
}

/** `view` is what `takeFrom` returned, once; nobody looks at it any more. */
export function giveBack({ marks }: ArenaParts, { byteOffset, byteLength }: Uint8Array): void {
  const end = Math.ceil((byteOffset + byteLength) / PAGE_BYTES)
  for (let page = byteOffset / PAGE_BYTES; page < end; page++) Atomics.store(marks, page, FREE)
}

/** Rooms that are kept for the next unit. */
const KEPT_ROOMS = 4
const ROOM_BYTES = 1 << 20

/** @param arena of all threads; `undefined`: values go into memory of their own. */
export function readMemory(arena: ArenaParts | undefined): ReadMemory & { forget(): void } {
  let rooms: Uint8Array[] | undefined = []
  return {
    values: (bytes) => (arena === undefined ? undefined : takeFrom(arena, bytes)),
    drop: (values) => arena && giveBack(arena, values),
    take: (bytes) => {
      const index = rooms?.findIndex((room) => room.length >= bytes) ?? -1
      if (index >= 0) return rooms!.splice(index, 1)[0]!
      return new Uint8Array(Math.ceil(bytes / ROOM_BYTES) * ROOM_BYTES)
    },
    give: (room) => {
      if (rooms === undefined) return
      rooms.push(room)
      rooms.sort((a, b) => a.length - b.length)
      if (rooms.length > KEPT_ROOMS) rooms.shift()
    },
    /** This thread will read no more: keep no rooms. */
    forget: () => {
      rooms = undefined
    },
  }
}

/** What a unit holds of an arena, when nobody takes the unit. */
export function giveBackAll(segments: readonly RecordBatch[], giveBack: (view: Uint8Array) => void): void {
  const visit = (data: Data): void => {
    const values = data.values as ArrayBufferView | undefined
    if (isShared(values)) giveBack(values)
    for (const child of data.children) visit(child as Data)
  }
  for (const { data } of segments) visit(data)
}

/** Of an arena: nothing else is shared. */
export const isShared = (view: ArrayBufferView | undefined): view is Uint8Array =>
  view instanceof Uint8Array && view.buffer instanceof SharedArrayBuffer
