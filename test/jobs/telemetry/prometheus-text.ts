/** The samples of a scrape: `name{label="value",…}` with sorted labels, to the value. */
export function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null) continue
    const labels = [...(match[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([pair]) => pair)
    samples.set(labels.length === 0 ? match[1]! : `${match[1]}{${labels.sort().join(',')}}`, Number(match[3]))
  }
  return samples
}
