/** How S3 is asked to encrypt what is put. */
import type { PutObjectCommandInput } from '@aws-sdk/client-s3'

/** `s3`: keys of S3 (AES256). `kms`, `dsse-kms`: the KMS key `keyId`, a full ARN, else the account's own for S3. */
export interface S3Encryption {
  readonly type: 's3' | 'kms' | 'dsse-kms'
  readonly keyId?: string | undefined
}

const NAMES = { s3: 'AES256', kms: 'aws:kms', 'dsse-kms': 'aws:kms:dsse' } as const

/** Parameters of a put. A bucket key saves most requests to KMS; with double encryption there is none. */
export function encryptionOf(encryption: S3Encryption | undefined): Partial<PutObjectCommandInput> {
  if (encryption === undefined) return {}
  const { type, keyId } = encryption
  return {
    ServerSideEncryption: NAMES[type],
    ...(type === 's3' || keyId === undefined ? {} : { SSEKMSKeyId: keyId }),
    ...(type === 'kms' ? { BucketKeyEnabled: true } : {}),
  }
}
