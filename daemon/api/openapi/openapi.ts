import { createHash } from 'node:crypto';
import { readDescriptions } from './descriptions.ts';
import { documentToProtobuf } from './document-protobuf.ts';
import { addPaths } from './operations.ts';
import { allSchemas, type Json, type SchemaSet } from './schemas.ts';
import { builtinKinds, groupVersionPath, type ServedKind } from './served-kinds.ts';

/** Content types of `/openapi/v2`: clients ask for the one with `@`, and are told the one without. */
export const openApiV2Protobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
export const openApiV2ProtobufAsked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

export interface OpenApiDocument {
  readonly body: Buffer;
  /** Quoted, as the header has it. */
  readonly etag: string;
}

/** What custom resources add: kinds, and the schemas that their `definition` and lists name, in each flavour. */
export interface CustomGroupVersion {
  readonly kinds: readonly ServedKind[];
  readonly schemas: (flavour: 'v2' | 'v3') => ReadonlyMap<string, Json>;
}

const noSchemas: ReadonlyMap<string, Json> = new Map();
const securityText = 'Bearer Token authentication';

/**
 * The OpenAPI documents of the API. Each is made when it is asked for and forgotten when memory is wanted elsewhere: an
 * idle daemon holds none.
 */
export class OpenApi {
  readonly #version: string;
  readonly #custom = new Map<string, CustomGroupVersion>();
  readonly #documents = new Map<string, WeakRef<Buffer>>();

  /** Such as `v1.36.0`. */
  constructor(version: string) {
    this.#version = version;
  }

  /** Publishes, replaces or (undefined) withdraws the custom resources of a group version: `example.com/v1`. */
  setCustom(groupVersion: string, custom: CustomGroupVersion | undefined): void {
    if (custom === undefined) this.#custom.delete(groupVersion);
    else this.#custom.set(groupVersion, custom);
    this.#documents.clear();
  }

  #kinds(): readonly ServedKind[] {
    return [...builtinKinds, ...[...this.#custom.values()].flatMap(({ kinds }) => kinds)];
  }

  #document(name: string, make: () => Buffer): Buffer {
    const kept = this.#documents.get(name)?.deref();
    if (kept !== undefined) return kept;
    const made = make();
    this.#documents.set(name, new WeakRef(made));
    return made;
  }

  /** Follows from what the document is made of, so that it is known without making it. */
  #hash(name: string): string {
    const custom = [...this.#custom].map(([groupVersion, { kinds, schemas }]) =>
      name.startsWith('v2') || name.endsWith(groupVersion)
        ? JSON.stringify([groupVersion, kinds, [...schemas(name.startsWith('v2') ? 'v2' : 'v3')]])
        : '',
    );
    const text = [this.#version, name, ...custom].join('\n');
    return createHash('sha512').update(text).digest('hex').toUpperCase();
  }

  #make(flavour: SchemaSet['flavour'], kinds: readonly ServedKind[]): { paths: Json; schemas: Json } {
    const set: SchemaSet = { flavour, descriptions: readDescriptions(), wanted: new Set() };
    const paths: Json = {};
    for (const kind of kinds) addPaths(kind, set, paths);
    const custom = new Map([...this.#custom.values()].flatMap(({ schemas }) => [...schemas(flavour)]));
    const sorted = Object.fromEntries(Object.entries(paths).sort(([left], [right]) => (left < right ? -1 : 1)));
    return { paths: sorted, schemas: allSchemas(set, custom.size === 0 ? noSchemas : custom) };
  }

  #v2Object(): Json {
    const { paths, schemas } = this.#make('v2', this.#kinds());
    return {
      swagger: '2.0',
      info: { title: 'Kubernetes', version: this.#version },
      paths,
      definitions: schemas,
      securityDefinitions: {
        BearerToken: { type: 'apiKey', name: 'authorization', in: 'header', description: securityText },
      },
      security: [{ BearerToken: [] }],
    };
  }

  /** `/openapi/v2`. */
  v2(form: 'json' | 'protobuf'): OpenApiDocument {
    const make = () => {
      const document = this.#v2Object();
      return form === 'json' ? Buffer.from(JSON.stringify(document)) : documentToProtobuf(document);
    };
    return { body: this.#document(`v2/${form}`, make), etag: `"${this.#hash('v2')}"` };
  }

  /** `/openapi/v3`: where the document of each group version is. */
  v3Index(): OpenApiDocument {
    const names = [...new Set(this.#kinds().map(groupVersionPath))].sort();
    const paths = Object.fromEntries(
      names.map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${this.#hash(name)}` }]),
    );
    const body = Buffer.from(JSON.stringify({ paths }));
    return { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
  }

  /** `/openapi/v3/<name>`, such as `api/v1` or `apis/apps/v1`; undefined when there is no such group version. */
  v3(name: string): OpenApiDocument | undefined {
    const kinds = this.#kinds().filter((kind) => groupVersionPath(kind) === name);
    if (kinds.length === 0) return undefined;
    const make = () => {
      const { paths, schemas } = this.#make('v3', kinds);
      const securitySchemes = {
        BearerToken: { type: 'apiKey', name: 'authorization', in: 'header', description: securityText },
      };
      const info = { title: 'Kubernetes', version: this.#version };
      return Buffer.from(JSON.stringify({ openapi: '3.0.0', info, paths, components: { schemas, securitySchemes } }));
    };
    return { body: this.#document(name, make), etag: `"${this.#hash(name)}"` };
  }
}
