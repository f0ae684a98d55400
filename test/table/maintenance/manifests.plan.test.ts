/** Which manifests a plan takes, and why. */
import { describe, expect, test } from 'vitest'
import { planGroups, planManifests } from '../../../table/maintenance/manifests/plan.ts'
import { encodeBound } from '../../../table/manifest/bounds.ts'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { lab } from './expire-support.ts'

describe('the plan', () => {
  const manifest = (
    path: string,
    lengthBytes: number,
    days?: readonly [number | null, number | null],
  ): ManifestFile => ({
    manifestPath: path,
    manifestLength: lengthBytes,
    partitionSpecId: 0,
    content: 'data',
    sequenceNumber: 1,
    minSequenceNumber: 1,
    addedSnapshotId: 1n as ManifestFile['addedSnapshotId'],
    addedFilesCount: 10,
    existingFilesCount: 0,
    deletedFilesCount: 0,
    addedRowsCount: 10,
    existingRowsCount: 0,
    deletedRowsCount: 0,
    partitions:
      days === undefined
        ? []
        : [
            {
              containsNull: days[0] === null,
              ...(days[0] === null ? {} : { lowerBound: encodeBound('date', days[0]) }),
              ...(days[1] === null ? {} : { upperBound: encodeBound('date', days[1]) }),
            },
          ],
  })
  const withNulls = (one: ManifestFile): ManifestFile => ({
    ...one,
    partitions: one.partitions.map((summary) => ({ ...summary, containsNull: true })),
  })
  async function planned(manifests: readonly ManifestFile[], target = 100) {
    const { table } = await lab()
    const groups = planGroups(table.metadata, manifests, target, false)
    return groups.map(({ inputs, reasons, outputs }) => [
      inputs.map(({ path }) => path).join(''),
      reasons.join(),
      outputs,
    ])
  }

  test.each<[string, readonly ManifestFile[], unknown]>([
    ['one small manifest is as good as it gets', [manifest('a', 1)], []],
    ['small ones, when fewer would do', [manifest('a', 10), manifest('b', 10)], [['ab', 'small', 1]]],
    ['not when as many come out', [manifest('a', 49), manifest('b', 90)], []],
    [
      'large ones stay',
      [manifest('a', 60), manifest('b', 90), manifest('c', 10), manifest('d', 10)],
      [['cd', 'small', 1]],
    ],
    [
      'three that lie over each other',
      [manifest('a', 90, [1, 9]), manifest('b', 90, [2, 8]), manifest('c', 90, [3, 7]), manifest('d', 90, [9, 12])],
      [['abc', 'scattered', 3]],
    ],
    ['two that do are tolerated', [manifest('a', 90, [1, 9]), manifest('b', 90, [2, 8])], []],
    [
      'neighbours that share an end, and a partition larger than a manifest, do not',
      [manifest('a', 90, [1, 5]), manifest('b', 90, [5, 5]), manifest('c', 90, [5, 5]), manifest('d', 90, [5, 9])],
      [],
    ],
    [
      'nulls are a partition of their own, before all others',
      [
        manifest('a', 90, [null, null]),
        manifest('b', 90, [null, null]),
        manifest('c', 90, [null, 3]),
        manifest('d', 90, [3, 4]),
      ],
      [],
    ],
    [
      'a manifest with nulls begins with them',
      [withNulls(manifest('a', 90, [8, 9])), manifest('b', 90, [1, 3]), manifest('c', 90, [2, 4])],
      [['abc', 'scattered', 3]],
    ],
    ['without summaries nothing can be told', [manifest('a', 90), manifest('b', 90), manifest('c', 90)], []],
  ])('%s', async (_name, manifests, expected) => {
    expect(await planned(manifests)).toEqual(expected)
  })

  test('of an empty table is empty; a size that is no number is refused', async () => {
    const { table } = await lab()
    expect(await planManifests(table)).toMatchObject({ snapshotId: null, groups: [] })
    const refused = planManifests(table, { targetSizeBytes: 0 })
    await expect(refused).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})
