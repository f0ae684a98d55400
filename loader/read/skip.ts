/** The policy for damaged units. */
import type { FirnError } from '../../table/errors.ts'
import type { DecodedUnit, Decoder, UnitSpan } from './decoder.ts'
import { isCorrupt } from './unit-reader.ts'

export type OnError = 'raise' | 'skip'

/**
 * With `skip`, units whose bytes are damaged come out empty, so that an epoch goes on; their rows keep their places in
 * the order. Nothing is skipped because a store does not answer: what a model sees would depend on the weather.
 */
export function skippingDecoder(decoder: Decoder, onError: OnError): Decoder {
  if (onError === 'raise') return decoder
  /** Files whose footers are damaged, by path: they stay so, whoever reads them next. */
  const damaged = new Map<string, FirnError>()
  const rowsOfDamaged = ({ file, start }: UnitSpan): number => (start === 0 ? file.recordCount : 0)
  const unitRows: Decoder['unitRows'] = async (unit, signal) => {
    const { filePath } = unit.file
    if (damaged.has(filePath)) return rowsOfDamaged(unit)
    try {
      return await decoder.unitRows(unit, signal)
    } catch (error) {
      if (!isCorrupt(error)) throw error
      damaged.set(filePath, error)
      return rowsOfDamaged(unit)
    }
  }
  const skipped = (rows: number, error: FirnError): DecodedUnit => ({
    rows,
    draws: new Uint32Array(0),
    segments: [],
    counters: decoder.takeCounters(),
    skipped: { rows, error },
  })
  return {
    ...decoder,
    unitRows,
    decode: async (request, signal) => {
      const known = damaged.get(request.file.filePath)
      if (known !== undefined) return skipped(rowsOfDamaged(request), known)
      try {
        return await decoder.decode(request, signal)
      } catch (error) {
        if (!isCorrupt(error)) throw error
        return skipped(await unitRows(request, signal), error)
      }
    },
  }
}
