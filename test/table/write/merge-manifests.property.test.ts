/** Merging by size: few manifests, and no file written again and again. Beside the packing in `files.commit.test.ts`. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ManifestFile } from '../../../table/manifest/manifest-list.ts'
import { planMerge } from '../../../table/write/merge-manifests.ts'

type Counted = ManifestFile & { readonly rewrites: number }

const manifestOf = (files: number, rewrites: number): Counted =>
  ({
    manifestPath: '',
    manifestLength: files,
    partitionSpecId: 0,
    addedFilesCount: files,
    existingFilesCount: 0,
    rewrites,
  }) as unknown as Counted

/** @returns what is there after each append, newest first. `rewrites`: the most that a file of it was written again. */
function* appends(sizes: readonly number[], minCount: number): Generator<readonly Counted[]> {
  const settings = { enabled: true, targetSizeBytes: Number.POSITIVE_INFINITY, minCount }
  let manifests: readonly Counted[] = []
  for (const size of sizes) {
    const bins = planMerge([manifestOf(size, -1), ...manifests], settings) as readonly (readonly Counted[])[]
    manifests = bins.map((bin) => {
      if (bin.length === 1) return bin[0]!.rewrites < 0 ? { ...bin[0]!, rewrites: 0 } : bin[0]!
      const files = bin.reduce((sum, manifest) => sum + manifest.addedFilesCount!, 0)
      return manifestOf(files, Math.max(...bin.map(({ rewrites }) => rewrites)) + 1)
    })
    yield manifests
  }
}

test('1,000 appends of one file: a file is written again at most once, and the newest manifests hold no old files', () => {
  for (const [index, manifests] of [...appends(Array(1000).fill(1), 100)].entries()) {
    expect(Math.max(...manifests.map(({ rewrites }) => rewrites))).toBeLessThanOrEqual(1)
    expect(Math.max(...manifests.map((manifest) => manifest.addedFilesCount!))).toBeLessThanOrEqual(100)
    expect(manifests.length).toBeLessThanOrEqual(100 + index / 100)
  }
})

test('appends of any sizes leave fewer manifests than the count for each size that there is, in order', () => {
  const size = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1000 }))
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 9 }), (sizes, minCount) => {
      let appended = 0
      for (const manifests of appends(sizes, minCount)) {
        const files = manifests.map((manifest) => manifest.addedFilesCount!)
        appended++
        // none is lost, and they stay in order
        const expected = sizes.slice(0, appended).reduce((sum, one) => sum + one, 0)
        expect(files.reduce((sum, one) => sum + one, 0)).toBe(expected)
        const classes = 1 + Math.ceil(Math.log(expected + 1) / Math.log(Math.max(2, minCount)))
        expect(files.length).toBeLessThanOrEqual(Math.max(1, minCount) * classes)
      }
    }),
  )
})
