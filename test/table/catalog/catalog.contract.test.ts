import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog, openRestCatalog, systemClock } from '../../../table/index.ts'
import { catalogContract } from '../../contract/catalog.ts'
import { freshStore } from '../support.ts'
import { startRestServer } from './rest-server.ts'

catalogContract('file', async () => {
  const store = freshStore()
  return {
    catalog: openCatalog(store, { clock: systemClock }),
    other: openCatalog(store, { clock: systemClock }),
    close: () => Promise.resolve(),
  }
})

catalogContract('REST', async () => {
  const server = await startRestServer({ location: freshStore().url })
  const open = (): ReturnType<typeof openRestCatalog> => openRestCatalog({ uri: server.uri, clock: systemClock })
  return { catalog: open(), other: open(), close: () => server.close() }
})

catalogContract('REST with a prefix, in pages', async () => {
  const server = await startRestServer({ location: freshStore().url, prefix: 'ca%2Ft', pageSize: 1 })
  const open = (): ReturnType<typeof openRestCatalog> => openRestCatalog({ uri: server.uri, clock: systemClock })
  return { catalog: open(), other: open(), close: () => server.close() }
})

// as Hadoop's paths print themselves, and so the official catalog may answer
catalogContract('REST with locations of one slash', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'firn-rest-'))
  const server = await startRestServer({ location: `file:${folder}` })
  const open = (): ReturnType<typeof openRestCatalog> => openRestCatalog({ uri: server.uri, clock: systemClock })
  return {
    catalog: open(),
    other: open(),
    close: async () => {
      await server.close()
      await rm(folder, { recursive: true })
    },
  }
})
