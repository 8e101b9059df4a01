const domainPart = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domain = `(?:${domainPart}(?:\\.${domainPart})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const path = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*';
const grammar = new RegExp(
  `^((?:${domain}/)?${path}(?:/${path})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
);

export interface ImageReference {
  /** With the registry, if it is written. */
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** Undefined when the text is no image reference; as in the original, a bare 64-digit hex id is none. */
export function parseImageReference(text: string): ImageReference | undefined {
  const match = grammar.exec(text);
  if (match === null || /^[a-f0-9]{64}$/.test(text)) return undefined;
  const [, name = '', tag, digest] = match;
  return { name, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** Adds `:latest` where neither tag nor digest is given; undefined for text that is no reference. */
export function withDefaultTag(image: string): string | undefined {
  const reference = parseImageReference(image);
  if (reference === undefined) return undefined;
  return reference.tag === undefined && reference.digest === undefined ? `${image}:latest` : image;
}

/** The registry an image comes from: what is before the first slash if it looks like a host, else Docker Hub. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : 'docker.io';
}
