import { newUuid, systemClock } from '../../../table/clock.ts'
import { dropMemoryStore } from '../../../table/io/memory.ts'
import { subStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

const open = async () => {
  const name = newUuid(systemClock)
  return { store: openStore(`memory://${name}`), close: async () => dropMemoryStore(name) }
}

objectStoreContract('memory', open)

objectStoreContract('subStore of memory', async () => {
  const { store, close } = await open()
  // Neighbours that sort around the sub-store and must not be seen through it.
  for (const key of ['ns/table', 'ns/table-2/x', 'ns/tablets', 'ns/table0']) await store.put(key, new Uint8Array(1))
  return { store: subStore(store, 'ns/table/'), close }
})
