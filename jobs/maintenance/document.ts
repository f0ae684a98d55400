/** Plans and results of the table room as the command line prints them: snake case, times in ISO 8601. */

const TIME_KEY = /^(timestamp|lastModified|plannedAt|olderThan)(?:Millis)?$/

/** @param value plain JSON with the table room's names; maps with keys of users' own must not be in it. */
export function documentOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(documentOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const time = TIME_KEY.exec(key)?.[1]
      if (time !== undefined && typeof item === 'number') return [snake(time), new Date(item).toISOString()]
      return [snake(key), documentOf(item)]
    }),
  )
}

const snake = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
