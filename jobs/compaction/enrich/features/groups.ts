/** The groups of one text column, measured together: they share one pass over the text. */
import { assertNever } from '../../../../table/errors.ts'
import type { FeatureGroup } from '../../../datasets/index.ts'
import { simhash64 } from './near-duplicates.ts'
import { qualityOf } from './quality.ts'
import { type GroupValues, MAX_MEASURED_UNITS, type ScannedText, scanText } from './scan.ts'
import { segmentationOf } from './segmentation.ts'
import { statisticsOf } from './statistics.ts'

/** Gives the values of each of the groups, in their order, for a well-formed text. Never throws. */
export type TextMeasurer = (text: string) => readonly GroupValues[]

/** A text that is too long to measure is no good one. */
const TOO_LONG: GroupValues = { quality_pass: false, quality_reason: 'too_long' }

export function textMeasurer(groups: readonly FeatureGroup[]): TextMeasurer {
  const measurers = groups.map(groupMeasurer)
  return (text) => {
    let scanned: ScannedText | undefined
    const scan = (): ScannedText => {
      scanned ??= scanText(text)
      return scanned
    }
    return measurers.map((measure) => measure(text, scan))
  }
}

function groupMeasurer(group: FeatureGroup): (text: string, scan: () => ScannedText) => GroupValues {
  const tooLong = (text: string): boolean => text.length > MAX_MEASURED_UNITS
  switch (group.group) {
    case 'quality': {
      const options = { stopWords: group.stopWords !== 'none' }
      return (text, scan) => (tooLong(text) ? TOO_LONG : qualityOf(scan(), options))
    }
    case 'statistics':
      return (text, scan) => (tooLong(text) ? {} : statisticsOf(scan()))
    case 'near-duplicates':
      return (text) => ({ simhash64: simhash64(text) })
    case 'segmentation':
      return segmentationOf(group.locale)
    default:
      return assertNever(group)
  }
}
