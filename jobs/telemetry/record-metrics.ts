/** Metrics of a program of one's own: a training loop, a scheduler that calls the pieces of firn itself. */
import type { Meter } from '@opentelemetry/api'
import { type Clock, systemClock } from '../../table/clock.ts'
import { otelSink } from './otel.ts'
import { prometheusSink } from './prometheus.ts'
import { createRecorder } from './recorder.ts'

export interface RecordMetricsOptions {
  /** Default: one named `firn` of the provider that is registered; without a provider it does nothing. */
  readonly meter?: Meter | undefined
  readonly clock?: Clock | undefined
}

export interface RecordedMetrics {
  /** What a scrape is answered with, and as what. */
  prometheusText(): Promise<string>
  readonly contentType: string
  close(): void
}

/**
 * Count what firn does in this thread from now until `close`, under the names that the command line has. One at a time:
 * two count everything twice in one meter.
 */
export function recordMetrics({ meter, clock = systemClock }: RecordMetricsOptions = {}): RecordedMetrics {
  const [otel, prometheus] = [otelSink(meter), prometheusSink()]
  const recorder = createRecorder({ clock })
  recorder.addSink(otel)
  recorder.addSink(prometheus)
  return {
    prometheusText: () => prometheus.text(),
    contentType: prometheus.contentType,
    close: () => {
      recorder.close()
      otel.close()
    },
  }
}
