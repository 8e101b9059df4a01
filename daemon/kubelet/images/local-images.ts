import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Logger } from '../../log/logger.ts';
import type { ContainerRuntime } from '../runtime.ts';

const run = promisify(execFile);

/** Name of the image that holds a pod's namespaces open; `scripts/build-images.mjs` builds it. */
export const pauseImage = 'balsa.local/pause:1';

/** Where the build leaves the archives: beside the bundle, or in `dist/` when run from source. */
export function imagesDirectory(): string {
  const places = ['./images', '../../../dist/images'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  return places.find((path) => existsSync(`${path}/pause.tar`)) ?? (places[1] as string);
}

/** Images that ship with Balsa: where the archive is, and the ids of the names in it. */
export interface LocalImage {
  readonly archive: string;
  readonly ids: Readonly<Record<string, string>>;
}

/** Images built by `npm run build` into `directory` (`dist/images`). Throws when they have not been built. */
export function localImages(directory: string): readonly LocalImage[] {
  const file = `${directory}/images.json`;
  if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build"`);
  const contents = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string>>;
  return Object.entries(contents).map(([archive, ids]) => ({ archive: `${directory}/${archive}`, ids }));
}

export interface ImportOptions {
  readonly runtime: ContainerRuntime;
  /** Path of containerd's socket. */
  readonly socket: string;
  readonly images: readonly LocalImage[];
  readonly logger: Logger;
  readonly ctr?: string;
}

/**
 * Brings the images that ship with Balsa into containerd's CRI namespace, when any name of an archive is missing or another image, and pins
 * them so that image garbage collection leaves them alone. Rejects when an archive cannot be imported.
 */
export async function importLocalImages({ runtime, socket, images, logger, ctr = 'ctr' }: ImportOptions) {
  const prefix = ['--namespace', 'k8s.io', '--address', socket, 'images'];
  for (const { archive, ids } of images) {
    const names = Object.keys(ids);
    const present = await Promise.all(names.map((name) => runtime.imageStatus(name)));
    if (present.every((image, index) => image !== undefined && image.id === ids[names[index] ?? ''])) continue;
    await run(ctr, [...prefix, 'import', archive]);
    for (const name of names) await run(ctr, [...prefix, 'label', name, 'io.cri-containerd.pinned=pinned']);
    await untilListed(runtime, ids);
    logger.info({ images: names }, 'imported images');
  }
}

/** containerd's CRI service learns of imported images from events, a moment after `ctr` returns. */
async function untilListed(runtime: ContainerRuntime, ids: LocalImage['ids']): Promise<void> {
  for (const [name, id] of Object.entries(ids)) {
    for (let attempt = 0; (await runtime.imageStatus(name))?.id !== id; attempt++) {
      if (attempt === 100) throw new Error(`containerd does not list ${name} after its import`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
