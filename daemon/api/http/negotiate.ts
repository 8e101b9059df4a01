import { protobufType } from '../protobuf/envelope.ts';
import { notAcceptable } from '../status-errors.ts';

/** How a response is to be written. */
export interface Representation {
  readonly format: 'json' | 'yaml' | 'protobuf';
  /** What the objects are turned into: kubectl's table, or metadata alone. */
  readonly as: '' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** `Content-Type` of the response. */
  readonly contentType: string;
}

export const plainJson: Representation = { format: 'json', as: '', contentType: 'application/json' };
const plainYaml: Representation = { format: 'yaml', as: '', contentType: 'application/yaml' };
const plainProtobuf: Representation = { format: 'protobuf', as: '', contentType: protobufType };

const accepted = ['application/json', 'application/yaml', protobufType];

export interface AcceptClause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The clauses of an Accept header in order of preference. */
export function parseAccept(header: string): AcceptClause[] {
  return header
    .split(',')
    .map((clause, index) => {
      const [type = '', ...rest] = clause.split(';').map((part) => part.trim());
      const parameters = new Map<string, string>();
      for (const parameter of rest) {
        const equals = parameter.indexOf('=');
        if (equals > 0) parameters.set(parameter.slice(0, equals), parameter.slice(equals + 1));
      }
      const quality = Number(parameters.get('q') ?? '1');
      return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 1 : quality, index };
    })
    .filter((clause) => clause.type !== '' && clause.quality > 0)
    .sort((a, b) => b.quality - a.quality || a.index - b.index);
}

const memo = new Map<string, Representation | null>();
const memoWithProtobuf = new Map<string, Representation | null>();

/**
 * The representation that the Accept header prefers among those served. `protobuf`: whether what is served has a protobuf
 * form, as all but custom resources do. Fails with 406.
 */
export function negotiate(accept: string | undefined, protobuf = false): Representation {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') return plainJson;
  const known = protobuf ? memoWithProtobuf : memo;
  let found = known.get(accept);
  if (found === undefined) {
    found = choose(accept, protobuf);
    if (known.size > 256) known.clear();
    known.set(accept, found);
  }
  if (found === null) throw notAcceptable(accepted);
  return found;
}

function choose(accept: string, protobuf: boolean): Representation | null {
  for (const { type, parameters } of parseAccept(accept)) {
    const isJson = type === 'application/json' || type === '*/*' || type === 'application/*';
    const isYaml = type === 'application/yaml';
    const as = parameters.get('as');
    // Metadata has a protobuf form, whatever it is of.
    const isPartial = as?.startsWith('PartialObjectMetadata') === true;
    const isProtobuf = (protobuf || isPartial) && type === protobufType;
    if (!isJson && !isYaml && !isProtobuf) continue;
    const base = isProtobuf ? plainProtobuf : isYaml ? plainYaml : plainJson;
    if (as === undefined || as === '') return base;
    if (parameters.get('g') !== 'meta.k8s.io' || parameters.get('v') !== 'v1') continue;
    // A table has no protobuf form.
    if (as === 'Table' && isProtobuf) continue;
    if (as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') {
      return { ...base, as };
    }
  }
  return null;
}
