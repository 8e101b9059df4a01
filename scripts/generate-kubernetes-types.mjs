// Writes daemon/apimachinery/types/*.ts, one file per API group version, and resources.ts (typed resource handles),
// from the facts in daemon/apimachinery/kubernetes-api.json. The output is not committed: it follows from the table.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const source = new URL('../daemon/apimachinery/kubernetes-api.json', import.meta.url);
const target = new URL('../daemon/apimachinery/types/', import.meta.url);

/** `io.k8s.api.core.v1.Pod` -> { module: 'core-v1', name: 'Pod' } */
function locate(definition) {
  const parts = definition.split('.');
  const name = parts.pop();
  const tail = parts.slice(-2);
  const module = /^v\d/.test(tail[1]) ? tail.join('-') : tail[1];
  return { module, name };
}

const scalars = {
  string: 'string',
  boolean: 'boolean',
  int32: 'number',
  int64: 'number',
  integer: 'number',
  number: 'number',
  double: 'number',
  float: 'number',
  byte: 'string',
  'date-time': 'string',
  'int-or-string': 'number | string',
  any: 'unknown',
  object: 'Record<string, unknown>',
};

function typeOf(type, imports, here) {
  if (Array.isArray(type)) {
    const item = typeOf(type[0], imports, here);
    return item.includes('|') ? `(${item})[]` : `${item}[]`;
  }
  if (typeof type === 'object' && type !== null) return `Record<string, ${typeOf(type.map, imports, here)}>`;
  if (type.startsWith('@')) {
    const { module, name } = locate(type.slice(1));
    if (module !== here) imports.set(`${module}.${name}`, { module, name });
    return name;
  }
  const scalar = scalars[type];
  if (scalar === undefined) throw new Error(`kubernetes-api.json: unknown type ${JSON.stringify(type)}`);
  return scalar;
}

export function generateKubernetesTypes() {
  const api = JSON.parse(readFileSync(source, 'utf8'));
  const modules = new Map();
  for (const [key, definition] of Object.entries(api.definitions)) {
    const { module, name } = locate(key);
    if (!modules.has(module)) modules.set(module, { imports: new Map(), body: [] });
    const file = modules.get(module);
    if (definition.fields === undefined) {
      file.body.push(`export type ${name} = ${typeOf(definition.t ?? 'any', file.imports, module)};`);
      continue;
    }
    const required = new Set(definition.required ?? []);
    // The body of a whole object: these three are always there once an object has passed the API.
    const isObject = definition.gvk !== undefined && definition.fields.metadata !== undefined;
    const lines = Object.entries(definition.fields).map(([field, facts]) => {
      let type = typeOf(facts.t, file.imports, module);
      if (Array.isArray(facts.enum) && facts.enum.length > 0)
        type = facts.enum.map((value) => JSON.stringify(value)).join(' | ');
      const always =
        required.has(field) ||
        (isObject && (field === 'metadata' || field === 'spec')) ||
        (name.endsWith('TemplateSpec') && field === 'spec');
      const optional = always ? '' : '?';
      return `  ${/^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field)}${optional}: ${type};`;
    });
    file.body.push(
      lines.length === 0
        ? `export type ${name} = Record<string, never>;`
        : `export interface ${name} {\n${lines.join('\n')}\n}`,
    );
  }
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const [module, { imports, body }] of modules) {
    const grouped = new Map();
    for (const { module: from, name } of imports.values()) grouped.set(from, [...(grouped.get(from) ?? []), name]);
    const head = [...grouped].map(([from, names]) => `import type { ${names.sort().join(', ')} } from './${from}.ts';`);
    writeFileSync(
      new URL(`${module}.ts`, target),
      `// Generated from kubernetes-api.json.\n${head.sort().join('\n')}\n\n${body.join('\n\n')}\n`,
    );
  }
  writeFileSync(new URL('resources.ts', target), resourceHandles(api));
}

/** v1 > v2beta1 > v1beta2 > v1alpha3: the order Kubernetes uses to prefer a version. */
function versionRank(version) {
  const [, major, stage, minor] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  return (stage === undefined ? 2e6 : stage === 'beta' ? 1e6 : 0) + Number(major) * 1000 + Number(minor ?? 0);
}

function resourceHandles(api) {
  const rows = Object.entries(api.resources).map(([path, facts]) => {
    const [group, version, resource] = path.split('/');
    return { group, version, resource, ...facts };
  });
  const imports = new Map();
  const used = new Set();
  const lines = rows
    .sort((a, b) => versionRank(b.version) - versionRank(a.version) || a.group.localeCompare(b.group))
    .map((row) => {
      const prefix = row.group === '' ? 'core' : row.group.split('.')[0];
      const candidates = [
        row.resource,
        `${row.resource}${row.version.replace('v', 'V')}`,
        `${prefix}Group${row.resource}`,
      ];
      if (row.group === 'events.k8s.io') candidates.unshift(candidates[2]);
      const handle = candidates.find((name) => !used.has(name));
      used.add(handle);
      const gvk = [row.group, row.version, row.kind].join('/');
      const definition = Object.keys(api.definitions).find((key) => api.definitions[key].gvk?.join('/') === gvk);
      const { module, name } = locate(definition);
      const alias = `${name}_${module.replaceAll('-', '_')}`;
      imports.set(alias, `import type { ${name} as ${alias} } from './${module}.ts';`);
      const sub = Object.keys(row.sub ?? {}).sort();
      return `export const ${handle}: Resource<${alias}> = { group: '${row.group}', version: '${row.version}', resource: '${row.resource}', kind: '${row.kind}', namespaced: ${row.namespaced}, verbs: ${JSON.stringify(row.verbs)}, subresources: ${JSON.stringify(sub)}, definition: '${definition}' };`;
    });
  return `// Generated from kubernetes-api.json.\nimport type { Resource } from '../resource.ts';\n${[...new Set(imports.values())].sort().join('\n')}\n\n${lines.join('\n')}\n`;
}
