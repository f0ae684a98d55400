/** Sizes as people type them. */
import { InvalidArgumentError } from 'commander'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
}

/** `128MiB`, `128M` (the same), `134217728`, `1.5GB` (decimal) to bytes. For commander. @throws InvalidArgumentError */
export function sizeArgument(text: string): number {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([KMGT]?i?B?)$/i.exec(text.trim())
  const unit = UNITS[match?.[2]?.toUpperCase() ?? 'none']
  const bytes = match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit)
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw new InvalidArgumentError('Expected a size like 128MiB.')
  return bytes
}
