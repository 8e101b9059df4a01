// Everything that follows from a table or a .proto: the Kubernetes types and the protobuf/gRPC bindings.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateDescriptions } from './generate-descriptions.mjs';
import { generateKubernetesTypes } from './generate-kubernetes-types.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

generateKubernetesTypes();
generateDescriptions();
const protos = readdirSync(`${root}/proto`, { recursive: true }).filter((name) => name.endsWith('.proto'));
if (protos.length > 0) {
  execFileSync(process.execPath, [`${root}/node_modules/@bufbuild/buf/bin/buf`, 'generate'], {
    cwd: `${root}/proto`,
    stdio: 'inherit',
  });
}
