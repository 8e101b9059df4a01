import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** True in the bundles of `dist/`, where the addons lie beside the code; false when the sources run. */
const bundled = !import.meta.url.endsWith('.ts');

/**
 * Loads one of the C++ addons (`store`, `netlink`). `BALSA_NATIVE_DIR` names another build of them, such as one with a
 * sanitizer.
 */
export function loadAddon<T>(name: 'store' | 'netlink'): T {
  const built = fileURLToPath(new URL(bundled ? './native' : '../build/Release', import.meta.url));
  const directory = process.env['BALSA_NATIVE_DIR'] ?? built;
  return createRequire(import.meta.url)(join(directory, `${name}.node`)) as T;
}
