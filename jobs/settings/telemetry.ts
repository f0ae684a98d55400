/** Settings of what a command tells while it works: metrics, lineage, the server of `firn run`. */
import * as z from 'zod'

export interface TelemetrySettings {
  /** File that a command's metrics are written to when it ends, for a collector of text files. */
  readonly metricsFile?: string | undefined
  /** Where OpenLineage events go: an http(s) URL or a file. */
  readonly lineage?: string | undefined
  /** Namespace of the jobs in lineage events. */
  readonly lineageNamespace: string
  /** `host:port` of the server of `firn run`. */
  readonly listen?: string | undefined
}

/** Members of the settings' own object. */
export const telemetryShape: {
  metricsFile: z.ZodOptional<z.ZodString>
  lineage: z.ZodOptional<z.ZodString>
  lineageNamespace: z.ZodDefault<z.ZodString>
  listen: z.ZodOptional<z.ZodString>
} = {
  metricsFile: z.string().min(1).optional(),
  lineage: z.string().min(1).optional(),
  lineageNamespace: z.string().min(1).default('firn'),
  listen: z.string().min(1).optional(),
}

export const TELEMETRY_LEAVES: Readonly<Record<keyof TelemetrySettings, 'string'>> = {
  metricsFile: 'string',
  lineage: 'string',
  lineageNamespace: 'string',
  listen: 'string',
}
