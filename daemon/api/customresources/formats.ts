import { isIP } from 'node:net';
import { isCidr } from '../validation/names.ts';

type Check = (value: string) => boolean;

const uuid = (version: string): Check => {
  const pattern = new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i');
  return (value) => pattern.test(value);
};

const matching =
  (pattern: RegExp): Check =>
  (value) =>
    pattern.test(value);

/** The formats that Kubernetes checks in custom resources; others say nothing. */
const checks: Readonly<Record<string, Check>> = {
  bsonobjectid: matching(/^[0-9a-f]{24}$/i),
  uri: (value) => URL.canParse(value) || /^[/#?]/.test(value),
  email: matching(/^[^\s@]+@[^\s@]+$/),
  hostname: (value) =>
    value.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$/i.test(value),
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  cidr: isCidr,
  mac: matching(/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i),
  uuid: uuid('[0-9a-f]'),
  uuid3: uuid('3'),
  uuid4: uuid('4'),
  uuid5: uuid('5'),
  byte: matching(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: matching(
    /^(?:\d+(?:\.\d+)?\s*(?:ns|us|µs|μs|ms|s|m|h|d|w|[a-z]*seconds?|minutes?|hours?|days?|weeks?)\s*)+$/i,
  ),
  hexcolor: matching(/^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i),
  'k8s-short-name': matching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  'k8s-long-name': (value) =>
    value.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(value),
};

export function matchesFormat(format: string, value: string, parseTime: (text: string) => number | undefined): boolean {
  if (format === 'date-time' || format === 'datetime') return parseTime(value) !== undefined;
  return checks[format]?.(value) ?? true;
}
