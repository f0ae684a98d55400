/** Manifest lists that were damaged: each is named, and none becomes another error or a hang. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { snapshotId } from '../../../table/ids.ts'
import { type ManifestFile, readManifestList, writeManifestList } from '../../../table/manifest/manifest-list.ts'

const MANIFEST: ManifestFile = {
  manifestPath: 's3://b/t/metadata/m.avro',
  manifestLength: 1000,
  partitionSpecId: 0,
  content: 'data',
  sequenceNumber: 3,
  minSequenceNumber: 1,
  addedSnapshotId: snapshotId(5_912_345_678_901_234_567n),
  addedFilesCount: 1,
  existingFilesCount: 2,
  deletedFilesCount: 0,
  addedRowsCount: 10,
  existingRowsCount: 20,
  deletedRowsCount: 0,
  partitions: [{ containsNull: false, lowerBound: Uint8Array.of(1, 0, 0, 0), upperBound: Uint8Array.of(2, 0, 0, 0) }],
}

let header: Buffer
let block: Buffer
let sync: Buffer

/** Header and marker of a list as it is written, and its one block, inflated. */
beforeAll(async () => {
  const list = Buffer.from(
    await writeManifestList({ snapshotId: snapshotId(1n), sequenceNumber: 3 }, [MANIFEST, MANIFEST]),
  )
  sync = list.subarray(-16)
  const end = list.indexOf(sync) + 16
  header = list.subarray(0, end)
  // count and length take a byte and two
  block = inflateRawSync(list.subarray(end + (list[end + 1]! < 128 ? 2 : 3), -16))
})

function listOf(head: Buffer, plain: Buffer): Buffer {
  const data = deflateRawSync(plain)
  const size = data.length * 2
  return Buffer.concat([head, Buffer.of(4, (size & 127) | 128, size >> 7), data, sync])
}

test('unharmed it reads as written', async () => {
  expect(await readManifestList(listOf(header, block), 'l.avro')).toEqual([MANIFEST, MANIFEST])
})

test('a changed byte of header or records is named, or changes a value', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.nat(), fc.nat({ max: 255 }), async (inHeader, at, value) => {
      const [head, plain] = [Buffer.from(header), Buffer.from(block)]
      const target = inHeader ? head : plain
      target[at % target.length] = value
      const outcome = await readManifestList(listOf(head, plain), 'l.avro').catch((error: unknown) => error)
      if (Array.isArray(outcome)) return
      expect(outcome).toBeInstanceOf(FirnError)
      expect((outcome as FirnError).code).toMatch(/^FIRN_AVRO_(CORRUPT|CODEC_UNSUPPORTED)$/)
      expect((outcome as FirnError).message).toContain('l.avro')
    }),
    { numRuns: 500 },
  )
})

test('fields of another type than theirs are named', async () => {
  const swapped = Buffer.from(header.toString('latin1').replace('"type":"string"', '"type":"bytes" '), 'latin1')
  await expect(readManifestList(listOf(swapped, block), 'l.avro')).rejects.toMatchObject({
    code: 'FIRN_AVRO_CORRUPT',
    message: expect.stringContaining('field id 500'),
  })
})
