/**
 * What every object store adapter must show, as one vitest suite. `open` gives an empty store of its own to each
 * test; nothing here knows which adapter it is talking to.
 */
import { afterEach, beforeEach, describe } from 'vitest'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { conditions } from './object-store/conditions.ts'
import { keys } from './object-store/keys.ts'
import { listing } from './object-store/listing.ts'
import { ranges } from './object-store/ranges.ts'
import { visibility } from './object-store/visibility.ts'
import { wholeObjects } from './object-store/whole-objects.ts'

export { failureOf, inParallel, keysOf, text, utf8 } from './object-store/support.ts'

export interface OpenedStore {
  readonly store: ObjectStore
  close(): Promise<void>
}

export function objectStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`object store contract: ${name}`, () => {
    let opened: OpenedStore
    let store: ObjectStore
    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.close())

    describe('whole objects', () => wholeObjects(() => store))
    describe('conditions', () => conditions(() => store))
    describe('ranges', () => ranges(() => store))
    describe('listing', () => listing(() => store))
    describe('keys', () => keys(() => store))
    describe('visibility and abort', () => visibility(() => store))
  })
}
