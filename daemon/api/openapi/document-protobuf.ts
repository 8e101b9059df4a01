import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { stringify } from 'yaml';
import type { Json } from './schemas.ts';

/**
 * An OpenAPI 2.0 document in the protobuf form that `openapi.v2.Document` (gnostic) defines: field numbers are
 * that format's. The JSON form drives the writing, and only what Kubernetes' documents hold is there.
 */
export function documentToProtobuf(document: Json): Buffer {
  const writer = new BinaryWriter();
  text(writer, 1, document['swagger']);
  message(writer, 2, () => {
    const info = document['info'] as Json;
    text(writer, 1, info['title']);
    text(writer, 2, info['version']);
  });
  message(writer, 8, () => {
    for (const [name, item] of entries(document['paths'])) named(writer, 2, name, () => pathItem(writer, item as Json));
  });
  message(writer, 9, () => {
    for (const [name, item] of entries(document['definitions']))
      named(writer, 1, name, () => schema(writer, item as Json));
  });
  for (const requirement of (document['security'] as Json[] | undefined) ?? []) {
    message(writer, 12, () => {
      for (const name of Object.keys(requirement)) named(writer, 1, name, () => {});
    });
  }
  message(writer, 13, () => {
    for (const [name, item] of entries(document['securityDefinitions'])) {
      named(writer, 1, name, () => message(writer, 2, () => apiKey(writer, item as Json)));
    }
  });
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const entries = (value: unknown): [string, unknown][] => Object.entries((value ?? {}) as Json);

const lengthDelimited = 2;
const varint = 0;

function text(writer: BinaryWriter, field: number, value: unknown): void {
  if (typeof value === 'string' && value !== '') writer.tag(field, lengthDelimited).string(value);
}

function flag(writer: BinaryWriter, field: number, value: unknown): void {
  if (value === true) writer.tag(field, varint).bool(true);
}

function texts(writer: BinaryWriter, field: number, values: unknown): void {
  for (const value of (values as string[] | undefined) ?? []) writer.tag(field, lengthDelimited).string(value);
}

function message(writer: BinaryWriter, field: number, fill: () => void): void {
  writer.tag(field, lengthDelimited).fork();
  fill();
  writer.join();
}

/** `Named...`: a name and a value. */
function named(writer: BinaryWriter, field: number, name: string, fill: () => void): void {
  message(writer, field, () => {
    text(writer, 1, name);
    message(writer, 2, fill);
  });
}

/** `Any`: readers look at the YAML only. */
function any(writer: BinaryWriter, value: unknown): void {
  text(writer, 2, typeof value === 'string' ? `${JSON.stringify(value)}\n` : stringify(value));
}

function extensions(writer: BinaryWriter, field: number, value: Json): void {
  for (const [name, content] of Object.entries(value)) {
    if (name.startsWith('x-')) named(writer, field, name, () => any(writer, content));
  }
}

const verbFields: Readonly<Record<string, number>> = {
  get: 2,
  put: 3,
  post: 4,
  delete: 5,
  options: 6,
  head: 7,
  patch: 8,
};

function pathItem(writer: BinaryWriter, item: Json): void {
  for (const [verb, field] of Object.entries(verbFields)) {
    const value = item[verb];
    if (value !== undefined) message(writer, field, () => operation(writer, value as Json));
  }
  parameters(writer, 9, item['parameters']);
  extensions(writer, 10, item);
}

function operation(writer: BinaryWriter, value: Json): void {
  texts(writer, 1, value['tags']);
  text(writer, 3, value['description']);
  text(writer, 5, value['operationId']);
  texts(writer, 6, value['produces']);
  texts(writer, 7, value['consumes']);
  parameters(writer, 8, value['parameters']);
  message(writer, 9, () => {
    for (const [code, response] of entries(value['responses'])) {
      named(writer, 1, code, () => message(writer, 1, () => responseBody(writer, response as Json)));
    }
  });
  texts(writer, 10, value['schemes']);
  extensions(writer, 13, value);
}

function responseBody(writer: BinaryWriter, response: Json): void {
  text(writer, 1, response['description']);
  if (response['schema'] !== undefined) {
    message(writer, 2, () => message(writer, 1, () => schema(writer, response['schema'] as Json)));
  }
}

/** `ParametersItem` of `Parameter`: a body parameter, or one in the query or the path. */
function parameters(writer: BinaryWriter, field: number, list: unknown): void {
  for (const parameter of (list as Json[] | undefined) ?? []) {
    message(writer, field, () => {
      message(writer, 1, () => {
        if (parameter['in'] === 'body') message(writer, 1, () => bodyParameter(writer, parameter));
        else
          message(writer, 2, () =>
            message(writer, parameter['in'] === 'path' ? 4 : 3, () => plainParameter(writer, parameter)),
          );
      });
    });
  }
}

function bodyParameter(writer: BinaryWriter, parameter: Json): void {
  text(writer, 1, parameter['description']);
  text(writer, 2, parameter['name']);
  text(writer, 3, parameter['in']);
  flag(writer, 4, parameter['required']);
  message(writer, 5, () => schema(writer, parameter['schema'] as Json));
}

/** `QueryParameterSubSchema` and `PathParameterSubSchema` differ by `allow_empty_value`, number 5 of the former. */
function plainParameter(writer: BinaryWriter, parameter: Json): void {
  const shift = parameter['in'] === 'path' ? 0 : 1;
  flag(writer, 1, parameter['required']);
  text(writer, 2, parameter['in']);
  text(writer, 3, parameter['description']);
  text(writer, 4, parameter['name']);
  text(writer, 5 + shift, parameter['type']);
}

function schema(writer: BinaryWriter, value: Json): void {
  text(writer, 1, value['$ref']);
  text(writer, 2, value['format']);
  text(writer, 4, value['description']);
  if (value['default'] !== undefined) message(writer, 5, () => any(writer, value['default']));
  texts(writer, 19, value['required']);
  for (const one of (value['enum'] as unknown[] | undefined) ?? []) message(writer, 20, () => any(writer, one));
  const additional = value['additionalProperties'];
  if (additional === true || additional === false) {
    message(writer, 21, () => writer.tag(2, varint).bool(additional));
  } else if (additional !== undefined)
    message(writer, 21, () => message(writer, 1, () => schema(writer, additional as Json)));
  if (typeof value['type'] === 'string') message(writer, 22, () => text(writer, 1, value['type']));
  if (value['items'] !== undefined)
    message(writer, 23, () => message(writer, 1, () => schema(writer, value['items'] as Json)));
  for (const one of (value['allOf'] as Json[] | undefined) ?? []) message(writer, 24, () => schema(writer, one));
  if (value['properties'] !== undefined) {
    message(writer, 25, () => {
      for (const [name, property] of entries(value['properties']))
        named(writer, 1, name, () => schema(writer, property as Json));
    });
  }
  extensions(writer, 31, value);
}

function apiKey(writer: BinaryWriter, value: Json): void {
  text(writer, 1, value['type']);
  text(writer, 2, value['name']);
  text(writer, 3, value['in']);
  text(writer, 4, value['description']);
}
