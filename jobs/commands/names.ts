/** Lists of names as people type them: an option once for each, separated by commas, or both. */
import { InvalidArgumentError } from 'commander'

/** `a, b` to `['a', 'b']`. */
export const splitNames = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')

/** For commander: adds to what came before. @throws InvalidArgumentError when there is no name. */
export function collectNames(text: string, before: readonly string[] = []): readonly string[] {
  const names = splitNames(text)
  // `--stream "$UNSET"` must not quietly mean "whatever there is"
  if (names.length === 0) throw new InvalidArgumentError('Expected a name.')
  return [...before, ...names]
}
