/** What a command tells while it works: log lines, metrics, lineage, progress. The parts are in `telemetry/`. */
export { createLogger, type Logger, type LoggerOptions } from './telemetry/logs.ts'
export { beginRun } from './telemetry/run-channel.ts'
export { startTelemetry, type Telemetry } from './telemetry/start.ts'
