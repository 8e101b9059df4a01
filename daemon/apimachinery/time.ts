/** `metav1.Time`: RFC 3339 in UTC with whole seconds, `2026-01-02T03:04:05Z`. */
export function formatTime(date: Date = new Date()): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** `metav1.MicroTime`: RFC 3339 in UTC with six digits, `2026-01-02T03:04:05.678000Z`. */
export function formatMicroTime(date: Date = new Date()): string {
  return `${date.toISOString().slice(0, 23)}000Z`;
}

/** Milliseconds since the epoch; undefined when `text` is absent or no RFC 3339 time. */
export function parseTime(text: string | undefined | null): number | undefined {
  if (text === undefined || text === null || !rfc3339.test(text)) {
    return undefined;
  }
  const millis = Date.parse(text);
  return Number.isNaN(millis) ? undefined : millis;
}

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
