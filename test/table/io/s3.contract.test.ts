import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { type S3Server, startS3Server } from '../../../jobs/demo/s3-server.ts'
import { newUuid, systemClock } from '../../../table/clock.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

process.env['AWS_ACCESS_KEY_ID'] = 'test'
process.env['AWS_SECRET_ACCESS_KEY'] = 'test'

const dir = join(tmpdir(), `firn-s3-${newUuid(systemClock)}`)
let inMemory: S3Server
let onDisk: S3Server
beforeAll(async () => {
  inMemory = await startS3Server({ buckets: ['my-bucket'] })
  onDisk = await startS3Server({ buckets: ['my-bucket'], dir })
})
afterAll(async () => {
  await inMemory.close()
  await onDisk.close()
  await rm(dir, { recursive: true, force: true })
})

const openOn = (server: () => S3Server) => async () => ({
  store: openStore(`s3://my-bucket/${newUuid(systemClock)}/wh`, {
    s3: { endpoint: server().url, region: 'us-east-1' },
  }),
  close: async () => {},
})

objectStoreContract(
  's3 on the embedded server',
  openOn(() => inMemory),
)
objectStoreContract(
  's3 on the embedded server with a folder',
  openOn(() => onDisk),
)
