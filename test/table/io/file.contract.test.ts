import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openStore } from '../../../table/io/open-store.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

const open = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'firn-file-store-'))
  return {
    store: openStore(pathToFileURL(join(dir, 'ware house%')).href),
    close: () => rm(dir, { recursive: true, force: true }),
  }
}

objectStoreContract('file', open)
