import { isIP } from 'node:net';
import { labelKeyErrors } from '../../apimachinery/label-syntax.ts';

/**
 * The syntax of names, with the messages of `util/validation`. Each check yields what is wrong: a shared empty list when
 * nothing is, so that a valid name costs one match.
 */

type Check = (value: string) => readonly string[];

const fine: readonly string[] = [];

/** `examples` and the regular expression as Kubernetes appends them. */
function explained(message: string, form: string, ...examples: readonly string[]): string {
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${message} (${examples.length === 0 ? '' : `e.g. ${shown}`}regex used for validation is '${form}')`;
}

function pattern(form: string, message: string, most: number): Check {
  const regex = new RegExp(`^(?:${form})$`);
  return (value) => {
    if (value.length <= most && regex.test(value)) return fine;
    const errors: string[] = [];
    if (Buffer.byteLength(value) > most) errors.push(`must be no more than ${most} bytes`);
    if (!regex.test(value)) errors.push(message);
    return errors;
  };
}

const labelForm = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomainForm = `${labelForm}(\\.${labelForm})*`;

export const dns1123Label: Check = pattern(
  labelForm,
  explained(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    labelForm,
    'my-name',
    '123-abc',
  ),
  63,
);

export const dns1123Subdomain: Check = pattern(
  subdomainForm,
  explained(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    subdomainForm,
    'example.com',
  ),
  253,
);

const dns1035Form = '[a-z]([-a-z0-9]*[a-z0-9])?';
export const dns1035Label: Check = pattern(
  dns1035Form,
  explained(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    dns1035Form,
    'my-name',
    'abc-123',
  ),
  63,
);

const wildcardForm = `\\*\\.${subdomainForm}`;
export const wildcardSubdomain: Check = pattern(
  wildcardForm,
  explained(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    wildcardForm,
    '*.example.com',
  ),
  253,
);

const configKeyForm = '[-._a-zA-Z0-9]+';
const configKeyShape = pattern(
  configKeyForm,
  explained(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    configKeyForm,
    'key.name',
    'KEY_NAME',
    'key-name',
  ),
  253,
);

/** Keys become names of files: none may lead elsewhere. */
export const configMapKey: Check = (value) => {
  if (!value.startsWith('.')) return configKeyShape(value);
  if (value === '.') return [...configKeyShape(value), `must not be '.'`];
  if (value === '..') return [...configKeyShape(value), `must not be '..'`];
  return value.startsWith('..') ? [...configKeyShape(value), `must not start with '..'`] : configKeyShape(value);
};

export const envVarName: Check = (value) => {
  const errors: string[] = [];
  if (value === '') errors.push('environment variable name must not be empty');
  if (!/^[ -<>-~]+$/.test(value)) {
    errors.push("a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
  return errors;
};

export const portName: Check = (value) => {
  const errors: string[] = [];
  if (value.length > 15) errors.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(value))
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
};

export const qualifiedName: Check = labelKeyErrors;

const httpHeaderForm = '[-A-Za-z0-9]+';
export const httpHeaderName: Check = pattern(
  httpHeaderForm,
  explained("a valid HTTP header must consist of alphanumeric characters or '-'", httpHeaderForm, 'X-Header-Name'),
  Number.MAX_SAFE_INTEGER,
);

/** A name that is one segment of a URL's path: what RBAC's objects may be called. */
export const pathSegment: Check = (value) => {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  const bad = ['/', '%'].filter((part) => value.includes(part));
  return bad.length === 0 ? fine : bad.map((part) => `may not contain '${part}'`);
};

/** `name-` is a fine start of a generated name: its dash is followed by more. */
export function asPrefix(check: Check): Check {
  return (value) => check(value.endsWith('-') ? `${value.slice(0, -1)}a` : value);
}

export const inclusiveRange = (from: number, to: number) => `must be between ${from} and ${to}, inclusive`;
export const notNegative = 'must be greater than or equal to 0';
export const positive = 'must be greater than 0';
export const ipMessage = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
export const cidrMessage = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

export function isIp(value: string): boolean {
  return isIP(value) !== 0;
}

export function isCidr(value: string): boolean {
  const [address = '', prefix = '', more] = value.split('/');
  const family = isIP(address);
  return more === undefined && family !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

export const validPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;
export const portMessage = inclusiveRange(1, 65_535);
