import type { FieldValidation } from '../codec/decode-body.ts';
import type { FieldError } from '../resources/resource-row.ts';
import { badRequest, invalid } from '../status-errors.ts';
import type { IncludeObject } from './encode.ts';
import type { Exchange } from './exchange.ts';
import { isTrue } from './request-info.ts';

export interface WriteParameters {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  readonly force: boolean;
}

const fieldValidations = new Set(['', 'Ignore', 'Warn', 'Strict']);
const maxFieldManager = 128;

/** The parameters of a write. `kind`: CreateOptions, UpdateOptions, PatchOptions or DeleteOptions, for the message. */
export function writeParameters(exchange: Exchange, query: URLSearchParams, kind: string): WriteParameters {
  const problems: FieldError[] = [];
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  for (const value of dryRun) {
    if (value !== 'All') {
      problems.push({
        type: 'FieldValueNotSupported',
        field: 'dryRun',
        detail: `Unsupported value: ${JSON.stringify(value)}: supported values: "All"`,
      });
    }
  }
  const validation = query.get('fieldValidation') ?? '';
  if (!fieldValidations.has(validation)) {
    problems.push({
      type: 'FieldValueNotSupported',
      field: 'fieldValidation',
      detail: `Unsupported value: ${JSON.stringify(validation)}: supported values: "", "Ignore", "Strict", "Warn"`,
    });
  }
  const manager = query.get('fieldManager') ?? '';
  if (manager.length > maxFieldManager) {
    problems.push({
      type: 'FieldValueTooLong',
      field: 'fieldManager',
      detail: `Too long: may not be more than ${maxFieldManager} bytes`,
    });
  }
  if (problems.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', problems);
  return {
    dryRun: dryRun.length > 0,
    fieldManager: manager !== '' ? manager : managerOf(exchange),
    fieldValidation: (validation === '' ? 'Warn' : validation) as FieldValidation,
    force: isTrue(query.get('force')),
  };
}

/** Without `fieldManager`, the client's name is the start of its user agent. */
function managerOf(exchange: Exchange): string {
  const agent = exchange.headers['user-agent'];
  if (typeof agent !== 'string') return 'unknown';
  return agent.split('/', 1)[0]!.slice(0, maxFieldManager) || 'unknown';
}

/** An integer parameter; undefined when absent. Fails with 400. */
export function integerParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

export function includeObjectParameter(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
}
