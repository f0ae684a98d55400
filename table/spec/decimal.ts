/** Decimals as text: the unscaled value with its point. */

/**
 * The unscaled value of `-12.5`: -1250 with scale 2. `undefined` when the text is no decimal number, has more
 * fractional digits than the scale or more digits than the precision.
 */
export function parseUnscaled(
  text: string,
  { precision, scale }: { readonly precision: number; readonly scale: number },
): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null || (match[3]?.length ?? 0) > scale || text.length > 100) return undefined
  const digits = BigInt(match[2]! + (match[3] ?? '').padEnd(scale, '0'))
  if (digits >= 10n ** BigInt(precision)) return undefined
  return match[1] === '-' ? -digits : digits
}

/** Inverse of `parseUnscaled`, with exactly `scale` fractional digits. */
export function decimalText(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : ''
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(-scale)}`
}
