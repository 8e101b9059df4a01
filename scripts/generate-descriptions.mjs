// Writes daemon/api/openapi/descriptions.generated.json: what `kubectl explain` says of each kind and field, read from the
// comments in the declarations of @kubernetes/client-node. The output is not committed; without it there are no texts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const facts = new URL('../daemon/apimachinery/kubernetes-api.json', import.meta.url);
const models = new URL('../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url);
const target = new URL('../daemon/api/openapi/descriptions.generated.json', import.meta.url);

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** `io.k8s.api.core.v1.Event` is the class V1Event or, where groups share a name, CoreV1Event. */
function classNames(definition) {
  const parts = definition.split('.');
  const name = parts.pop();
  const version = capitalized(parts.pop());
  const group = parts.pop().replaceAll('-', '');
  return [`${capitalized(group)}${version}${name}`, `${version}${name}`];
}

function commentText(lines) {
  return lines
    .map((line) => line.replace(/^\s*\*\s?/, '').trimEnd())
    .join('\n')
    .replaceAll("\\'", "'")
    .replaceAll('\\"', '"')
    .trim();
}

/** The comment before the class under '', and before each property under its name. */
function describe(source) {
  const texts = {};
  let comment;
  let lines = [];
  for (const line of source.split('\n')) {
    if (line.trim() === '/**') {
      lines = [];
      comment = undefined;
    } else if (line.trim() === '*/') comment = commentText(lines);
    else if (/^\s*\*/.test(line)) lines.push(line);
    else {
      const property = /^ {4}'([^']+)'\??:/.exec(line);
      if (property !== null && comment) texts[property[1]] = comment;
      else if (/^export declare class /.test(line) && comment) texts[''] = comment;
      if (!line.startsWith('import')) comment = undefined;
    }
  }
  return texts;
}

export function generateDescriptions() {
  if (!existsSync(models)) return false;
  const { definitions } = JSON.parse(readFileSync(facts, 'utf8'));
  const all = {};
  for (const definition of Object.keys(definitions)) {
    const file = classNames(definition)
      .map((name) => new URL(`${name}.d.ts`, models))
      .find((url) => existsSync(url));
    if (file !== undefined) all[definition] = describe(readFileSync(file, 'utf8'));
  }
  writeFileSync(target, JSON.stringify(all));
  return true;
}

if (process.argv[1]?.endsWith('generate-descriptions.mjs')) generateDescriptions();
