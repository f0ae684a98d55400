/** The page about metrics and the alert rules name metrics that exist, as they are. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Metric, metrics, prometheusName } from '../../../jobs/telemetry/metrics.ts'

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8')
const all = Object.values<Metric>(metrics)

/** A row of the page, as it has to be. */
const rowOf = (metric: Metric): string => {
  const labels = metric.labels.map((label) => `\`${label}\``).join(', ')
  const unit = metric.unit.replace(/[{}]/g, '')
  return `| \`${metric.name}\` (${unit}), ${metric.kind} | \`${prometheusName(metric)}\` | ${labels} | ${metric.help} |`
}

test('the page has every metric with unit, names, labels and meaning, and no other', () => {
  const rows = read('docs/observability.md')
    .split('\n')
    .filter((line) => line.startsWith('| `firn.'))
  expect(rows).toEqual(all.map(rowOf))
})

describe('alert rules', () => {
  interface Rule {
    readonly alert: string
    readonly expr: string
    readonly labels: { readonly severity: string }
    readonly annotations: { readonly summary: string; readonly action: string }
  }
  const { groups } = parse(read('deploy/alerts.yml')) as { groups: readonly { name: string; rules: readonly Rule[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  /** Labels of Prometheus itself, and what it makes of a label of ours that has the name of one of its own. */
  const labelsOf = ({ labels }: Metric): readonly string[] => [
    'instance',
    ...labels.flatMap((label) => (label === 'job' ? ['job', 'exported_job'] : [label])),
  ]
  const known = new Map(
    all.flatMap((metric): [string, Metric][] => {
      const name = prometheusName(metric)
      const series = metric.kind === 'histogram' ? ['_count', '_sum', '_bucket'] : ['']
      return series.map((suffix) => [name + suffix, metric])
    }),
  )

  test('have names of their own, a severity, and say what to do', () => {
    expect(rules.length).toBeGreaterThan(8)
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    for (const { alert, labels, annotations } of rules) {
      expect(alert).toMatch(/^Firn[A-Z]\w+$/)
      expect(['warning', 'critical']).toContain(labels.severity)
      expect(annotations.action.length, alert).toBeGreaterThan(10)
    }
  })

  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s names metrics and labels that exist',
    (_name, rule) => {
      const named = [...rule.expr.matchAll(/\b(firn_\w+)(?:\{([^}]*)\})?/g)]
      expect(named.length).toBeGreaterThan(0)
      for (const [, name, selectors = ''] of named) {
        const metric = known.get(name!)
        expect(metric, name).toBeDefined()
        for (const [, label] of selectors.matchAll(/(\w+)\s*=/g)) expect(labelsOf(metric!)).toContain(label)
      }
      const grouped = [...rule.expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) =>
        list!.split(',').map((s) => s.trim()),
      )
      const labels = new Set(named.flatMap(([, name]) => labelsOf(known.get(name!)!)))
      for (const label of grouped) expect(labels).toContain(label)
      const shown = [...JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!)
      const kept = grouped.length > 0 ? new Set(grouped) : labels
      for (const label of shown) expect(kept, `${rule.alert} shows ${label}`).toContain(label)
    },
  )

  test('look for our label job also where Prometheus has renamed it for its own', () => {
    const chosen = rules.filter(({ expr }) => /\bjob(="|\)|,)/.test(expr))
    expect(chosen.length).toBeGreaterThan(3)
    for (const { alert, expr, annotations } of chosen) {
      expect(expr.match(/\bexported_job\b/g)?.length, alert).toBe(expr.match(/\bjob\b/g)?.length)
      const shown = JSON.stringify(annotations).match(/\{\{[^}]*\bjob\b[^}]*\}\}/g) ?? []
      for (const text of shown) expect(text).toContain('or $labels.exported_job $labels.job')
    }
  })

  test('cover lag, loss, success of jobs, failures, quarantine and unknown commits', () => {
    const text = rules.map(({ expr }) => expr).join('\n')
    for (const name of [
      'firn_ingest_lag_seconds',
      'firn_ingest_data_loss_total',
      'firn_job_last_success_timestamp_seconds{job="compact"}',
      'firn_job_runs_total{outcome="failed"}',
      'firn_records_quarantined_total',
      'firn_commit_attempts_total{outcome="unknown"}',
    ]) {
      expect(text).toContain(name)
    }
  })
})
