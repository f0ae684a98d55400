/**
 * Metrics as instruments of the OpenTelemetry API. Which SDK takes them, if any, is the operator's: it is registered
 * before firn starts (`node --import ./otel.mjs …`). Without one every call does nothing. The only file that imports it.
 */
import {
  metrics as api,
  type Counter,
  type Gauge,
  type Histogram,
  type Meter,
  type ObservableGauge,
} from '@opentelemetry/api'
import { version } from '../version.ts'
import { type Metric, type MetricSink, metrics } from './metrics.ts'

export interface OtelSink extends MetricSink {
  /** Let the SDK export what it has: the end of a command would come before its next interval. */
  flush(): Promise<void>
  close(): void
}

/** @param meter default: of the registered provider. */
export function otelSink(meter: Meter = api.getMeter('firn', version)): OtelSink {
  const counters = new Map<Metric, Counter>()
  const histograms = new Map<Metric, Histogram>()
  const gauges = new Map<Metric, Gauge>()
  for (const metric of Object.values<Metric>(metrics)) {
    const described = { unit: metric.unit, description: metric.help }
    if (metric.kind === 'counter') counters.set(metric, meter.createCounter(metric.name, described))
    if (metric.kind === 'histogram') {
      const advice = { explicitBucketBoundaries: [...(metric.buckets ?? [])] }
      histograms.set(metric, meter.createHistogram(metric.name, { ...described, advice }))
    }
    // the one that is computed is made when somebody gives the computation
    if (metric.kind === 'gauge' && metric !== metrics.stagingOldest) {
      gauges.set(metric, meter.createGauge(metric.name, described))
    }
  }
  const closing: (() => void)[] = []
  return {
    add: (metric, value, labels) => counters.get(metric)?.add(value, { ...labels }),
    record: (metric, value, labels) => histograms.get(metric)?.record(value, { ...labels }),
    set: (metric, value, labels) => gauges.get(metric)?.record(value, { ...labels }),
    observe: (metric, read) => {
      const described = { unit: metric.unit, description: metric.help }
      const gauge: ObservableGauge = meter.createObservableGauge(metric.name, described)
      const look: Parameters<typeof gauge.addCallback>[0] = (result) => {
        for (const [value, labels] of read()) result.observe(value, { ...labels })
      }
      gauge.addCallback(look)
      closing.push(() => gauge.removeCallback(look))
    },
    flush: async () => {
      // not part of the API, but of every SDK
      const provider = api.getMeterProvider() as { forceFlush?: () => Promise<void> }
      await provider.forceFlush?.()
    },
    close: () => {
      for (const close of closing) close()
    },
  }
}
