/** When two spellings of a path may mean one object. */
import { normaliseLocation } from '../spec/location.ts'

/**
 * One spelling for whatever may be one object: schemes in lower case and as `normaliseLocation`, `file://localhost/`
 * as `file:///`, percent escapes decoded, no doubled slash, no `.` or `..`. Two objects may come out the same; then one
 * that could be deleted stays, which is the safe side. Only to compare: it need not be a path of anything.
 */
export function canonicalPath(path: string): string {
  const lower = path.replace(/^[a-z][a-z0-9+.-]*:/i, (scheme) => scheme.toLowerCase())
  const local = lower.replace(/^file:\/\/localhost(?=\/)/i, 'file://')
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/\/?)?(.*)$/is.exec(normaliseLocation(local)) ?? []
  return scheme + withoutDots(decoded(rest).replace(/\/{2,}/g, '/'))
}

/** Without scheme and authority. */
export const pathOnly = (canonical: string): string => canonical.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*\//i, '')

function decoded(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function withoutDots(text: string): string {
  if (!/(?:^|\/)\.\.?(?:\/|$)/.test(text)) return text
  const segments: string[] = []
  for (const segment of text.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '.') segments.push(segment)
  }
  return segments.join('/')
}
