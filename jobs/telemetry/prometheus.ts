/** Metrics as Prometheus reads them. The only file that imports its client; with a registry of its own. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type Metric, type MetricSink, metrics, prometheusName } from './metrics.ts'

export interface PrometheusSink extends MetricSink {
  readonly contentType: string
  /** The text of a scrape. */
  text(): Promise<string>
}

export function prometheusSink(): PrometheusSink {
  const registry = new Registry()
  const counters = new Map<Metric, Counter>()
  const histograms = new Map<Metric, Histogram>()
  const gauges = new Map<Metric, Gauge>()
  for (const metric of Object.values<Metric>(metrics)) {
    const described = {
      name: prometheusName(metric),
      help: metric.help,
      labelNames: metric.labels,
      registers: [registry],
    }
    switch (metric.kind) {
      case 'counter':
        counters.set(metric, new Counter(described))
        break
      case 'histogram':
        histograms.set(metric, new Histogram({ ...described, buckets: [...(metric.buckets ?? [])] }))
        break
      case 'gauge':
        gauges.set(metric, new Gauge(described))
        break
    }
  }
  const observed: (() => void)[] = []
  return {
    contentType: registry.contentType,
    add: (metric, value, labels) => counters.get(metric)?.inc({ ...labels }, value),
    record: (metric, value, labels) => histograms.get(metric)?.observe({ ...labels }, value),
    set: (metric, value, labels) => gauges.get(metric)?.set({ ...labels }, value),
    observe: (metric, read) =>
      void observed.push(() => {
        const gauge = gauges.get(metric)
        gauge?.reset()
        for (const [value, labels] of read()) gauge?.set({ ...labels }, value)
      }),
    text: async () => {
      for (const look of observed) look()
      return await registry.metrics()
    },
  }
}
