import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { useServer } from './support.ts'

const server = useServer()
const MIB = 1024 * 1024

async function begin(Key: string): Promise<{ Bucket: string; Key: string; UploadId: string }> {
  const { UploadId } = await server.client.send(new CreateMultipartUploadCommand({ Bucket: 'lab', Key }))
  return { Bucket: 'lab', Key, UploadId: UploadId! }
}

type Upload = Awaited<ReturnType<typeof begin>>

async function part(
  upload: Upload,
  PartNumber: number,
  Body: Uint8Array,
): Promise<{ PartNumber: number; ETag: string }> {
  const { ETag } = await server.client.send(new UploadPartCommand({ ...upload, PartNumber, Body }))
  return { PartNumber, ETag: ETag! }
}

const complete = (
  upload: Upload,
  Parts: { PartNumber: number; ETag: string }[],
  condition: { IfNoneMatch?: '*'; IfMatch?: string } = {},
) => server.client.send(new CompleteMultipartUploadCommand({ ...upload, ...condition, MultipartUpload: { Parts } }))

const get = async (Key: string): Promise<Buffer> => {
  const { Body } = await server.client.send(new GetObjectCommand({ Bucket: 'lab', Key }))
  return Buffer.from(await Body!.transformToByteArray())
}

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest()

test('parts become one object in the order of their numbers, with the ETag of a multipart upload', async () => {
  const upload = await begin('big file')
  const [one, two] = [Buffer.alloc(5 * MIB, 1), Buffer.from('the end')]
  const second = await part(upload, 7, two)
  await part(upload, 2, Buffer.from('overwritten below'))
  const first = await part(upload, 2, one)
  const { ETag } = await complete(upload, [first, second])
  expect((await get('big file')).equals(Buffer.concat([one, two]))).toBe(true)
  expect(ETag).toBe(`"${md5(Buffer.concat([md5(one), md5(two)])).toString('hex')}-2"`)
  await expect(complete(upload, [first, second])).rejects.toMatchObject({ name: 'NoSuchUpload' })
})

test('nothing is visible before completion, nor after an abort', async () => {
  const upload = await begin('invisible')
  await part(upload, 1, Buffer.from('x'))
  await expect(get('invisible')).rejects.toMatchObject({ name: 'NoSuchKey' })
  const { Uploads } = await server.client.send(new ListMultipartUploadsCommand({ Bucket: 'lab', Prefix: 'invis' }))
  expect(Uploads).toMatchObject([{ Key: 'invisible', UploadId: upload.UploadId }])
  const { Parts } = await server.client.send(new ListPartsCommand(upload))
  expect(Parts).toMatchObject([{ PartNumber: 1, Size: 1 }])
  await server.client.send(new AbortMultipartUploadCommand(upload))
  await expect(part(upload, 1, Buffer.from('x'))).rejects.toMatchObject({ name: 'NoSuchUpload' })
  await expect(get('invisible')).rejects.toMatchObject({ name: 'NoSuchKey' })
})

test('missing, changed, unordered and too small parts are refused and leave the upload open', async () => {
  const upload = await begin('strict')
  const one = await part(upload, 1, Buffer.alloc(10))
  const two = await part(upload, 2, Buffer.alloc(10))
  await expect(complete(upload, [one, { PartNumber: 3, ETag: one.ETag }])).rejects.toMatchObject({
    name: 'InvalidPart',
  })
  await expect(complete(upload, [{ ...one, ETag: '"00"' }])).rejects.toMatchObject({ name: 'InvalidPart' })
  await expect(complete(upload, [two, one])).rejects.toMatchObject({ name: 'InvalidPartOrder' })
  await expect(complete(upload, [one, two])).rejects.toMatchObject({ name: 'EntityTooSmall' })
  await expect(complete(upload, [])).rejects.toMatchObject({ name: 'MalformedXML' })
  await complete(upload, [two])
  expect((await get('strict')).length).toBe(10)
})

test('of parallel conditional completions one wins; the others stay open and can be aborted', async () => {
  const uploads = await Promise.all(Array.from({ length: 16 }, () => begin('raced')))
  const outcomes = await Promise.allSettled(
    uploads.map(async (upload, i) => {
      const only = await part(upload, 1, Buffer.from(`${i}`))
      await complete(upload, [only], { IfNoneMatch: '*' })
      return i
    }),
  )
  const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  expect(winners).toHaveLength(1)
  expect((await get('raced')).toString()).toBe(String(winners[0]))
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') continue
    expect(outcome.reason).toMatchObject({ name: 'PreconditionFailed' })
    await server.client.send(new AbortMultipartUploadCommand(uploads[i]!))
  }
})

test('an upload belongs to its key', async () => {
  const upload = await begin('mine')
  await expect(part({ ...upload, Key: 'yours' }, 1, Buffer.from('x'))).rejects.toMatchObject({ name: 'NoSuchUpload' })
})
