/**
 * The object store contract against an S3 server that runs elsewhere: `FIRN_TEST_S3_ENDPOINT` and
 * `FIRN_TEST_S3_BUCKET`, credentials as the SDK finds them. Started by `test/s3/run.ts`; by hand against any endpoint:
 *
 *     FIRN_TEST_S3_ENDPOINT=http://127.0.0.1:8333 FIRN_TEST_S3_BUCKET=b npx vitest run --config test/s3/vitest.config.ts
 */
import { newUuid, systemClock } from '../../table/clock.ts'
import { openStore } from '../../table/io/open-store.ts'
import { objectStoreContract } from '../contract/object-store.ts'

const endpoint = process.env['FIRN_TEST_S3_ENDPOINT']
const bucket = process.env['FIRN_TEST_S3_BUCKET']
if (endpoint === undefined || bucket === undefined) {
  throw new Error('Set FIRN_TEST_S3_ENDPOINT and FIRN_TEST_S3_BUCKET, or run `npm run test:s3`.')
}

objectStoreContract(`s3 on ${process.env['FIRN_TEST_S3_NAME'] ?? endpoint}`, async () => ({
  store: openStore(`s3://${bucket}/${newUuid(systemClock)}/wh`, { s3: { endpoint, region: 'us-east-1' } }),
  close: async () => {},
}))
