// Packs OCI images into one archive (an OCI image layout in a tar file) that containerd, CRI-O and skopeo import. The result
// depends on the input alone: no clock, no user, fixed order.
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

const epoch = new Date(0);
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch] ?? process.arch;

/** @param {{name: string, type?: 'file'|'directory'|'symlink', mode?: number, linkname?: string, content?: Buffer}[]} entries */
async function tar(entries) {
  const stream = pack();
  for (const { name, type = 'file', mode = 0o644, linkname, content } of entries) {
    const header = { name, type, mode, mtime: epoch, uid: 0, gid: 0, ...(linkname === undefined ? {} : { linkname }) };
    if (type === 'file') stream.entry({ ...header, size: content.length }, content);
    else stream.entry(header);
  }
  stream.finalize();
  return buffer(stream);
}

function blob(mediaType, content) {
  const hex = createHash('sha256').update(content).digest('hex');
  return { descriptor: { mediaType, digest: `sha256:${hex}`, size: content.length }, hex, content };
}

const json = (value) => Buffer.from(JSON.stringify(value));

/**
 * @param {{name: string, files: Parameters<typeof tar>[0], config: Record<string, unknown>}[]} images `name` is the full
 *   reference (`registry/repository:tag`), `config` the image's `config` (Entrypoint, Env, ...).
 * @returns {Promise<{archive: Buffer, ids: Record<string, string>}>} the archive, and each name's image id (its config's digest)
 */
export async function imageArchive(images) {
  const blobs = new Map();
  const keep = (mediaType, content) => {
    const made = blob(mediaType, content);
    blobs.set(made.hex, made.content);
    return made.descriptor;
  };
  const manifests = [];
  const ids = {};
  for (const { name, files, config } of images) {
    const layer = keep('application/vnd.oci.image.layer.v1.tar', await tar(files));
    const imageConfig = keep(
      'application/vnd.oci.image.config.v1+json',
      json({
        created: epoch.toISOString(),
        architecture,
        os: 'linux',
        config,
        rootfs: { type: 'layers', diff_ids: [layer.digest] },
        history: [{ created: epoch.toISOString(), created_by: 'balsa' }],
      }),
    );
    ids[name] = imageConfig.digest;
    const manifest = keep(
      'application/vnd.oci.image.manifest.v1+json',
      json({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: imageConfig,
        layers: [layer],
      }),
    );
    manifests.push({
      ...manifest,
      platform: { architecture, os: 'linux' },
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name.split(':').pop() },
    });
  }
  const archive = await tar([
    { name: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', content: json({ schemaVersion: 2, manifests }) },
    { name: 'blobs', type: 'directory', mode: 0o755 },
    { name: 'blobs/sha256', type: 'directory', mode: 0o755 },
    ...[...blobs].map(([hex, content]) => ({ name: `blobs/sha256/${hex}`, content })),
  ]);
  return { archive, ids };
}
