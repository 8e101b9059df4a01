import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * The one logger: JSON lines on standard error. Each part takes a child with its `component`; key fields
 * (`namespace`, `name`, `node`, `revision`, `err`) keep the same name everywhere.
 *
 * Level: `BALSA_LOG_LEVEL` (trace, debug, info, warn, error, silent), `info` by default.
 */
export function createLogger(component: string, level: string = process.env['BALSA_LOG_LEVEL'] ?? 'info'): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  ).child({ component });
}
