/** Messages about options of the library in the words of the command line. */
import { FirnError } from '../../table/errors.ts'

/**
 * What `work` resolves to; options that it refuses (`FIRN_INVALID_OPTION`) are named as flags.
 * @param flags by the library's name: `{ maxFileSizeBytes: '--max-file-size' }`.
 * @throws {FirnError} as `work`.
 */
export async function namingFlags<T>(
  command: string,
  flags: Readonly<Record<string, string>>,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_INVALID_OPTION')) throw error
    const renamed = (text: string): string =>
      text.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, (name) => (Object.hasOwn(flags, name) ? flags[name]! : name))
    throw new FirnError(error.kind, error.code, renamed(error.message), {
      cause: error,
      detail: error.detail,
      help: error.help === undefined ? `see firn ${command} --help` : renamed(error.help),
    })
  }
}
