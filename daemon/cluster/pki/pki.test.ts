import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { configFromArguments } from '../../config/config.ts';
import { leafRows } from './layout.ts';
import { loadOrCreatePki } from './pki.ts';

function setup(t: { teardown: (fn: () => void) => void }, ...flags: string[]) {
  const dataDir = mkdtempSync(join(tmpdir(), 'balsa-pki-'));
  t.teardown(() => rmSync(dataDir, { recursive: true }));
  return configFromArguments(['--data-dir', dataDir, '--node-name', 'n1', '--node-ip', '10.9.8.7', ...flags]);
}

t.test('a first start makes every certificate, a second one finds them', async (t) => {
  const config = setup(t);
  const first = await loadOrCreatePki(config);
  for (const row of leafRows) {
    const certificate = new X509Certificate(first.leaves[row.name].cert);
    t.ok(certificate.verify(new X509Certificate(first.authorities[row.authority].cert).publicKey), row.name);
  }
  const server = new X509Certificate(first.leaves.apiserver.cert);
  for (const name of ['kubernetes.default.svc.cluster.local', 'n1', 'localhost']) t.ok(server.checkHost(name), name);
  for (const address of ['10.96.0.1', '10.9.8.7', '127.0.0.1']) t.ok(server.checkIP(address), address);
  t.match(new X509Certificate(first.leaves.admin.cert).subject, /O=system:masters\nCN=kubernetes-admin/);
  t.match(new X509Certificate(first.leaves.kubelet.cert).subject, /O=system:nodes\nCN=system:node:n1/);
  t.same(await loadOrCreatePki(config), first);
});

t.test('secrets are for the owner only', async (t) => {
  const config = setup(t);
  await loadOrCreatePki(config);
  const directory = join(config.dataDir, 'pki');
  for (const file of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (file.isFile()) t.equal(statSync(join(file.parentPath, file.name)).mode & 0o777, 0o600, file.name);
});

t.test('a certificate that expires soon, or lacks a new name, is issued again by the same authority', async (t) => {
  const config = setup(t);
  const first = await loadOrCreatePki(config);
  const renamed = await loadOrCreatePki({ ...config, tlsSan: ['api.example.test'] });
  t.not(renamed.leaves.apiserver.cert, first.leaves.apiserver.cert);
  t.ok(new X509Certificate(renamed.leaves.apiserver.cert).checkHost('api.example.test'));
  t.equal(renamed.leaves.admin.cert, first.leaves.admin.cert);
  const later = await loadOrCreatePki(config, new Date(Date.now() + 320 * 24 * 3600 * 1000));
  t.not(later.leaves.admin.cert, first.leaves.admin.cert);
  t.equal(later.authorities.ca.cert, first.authorities.ca.cert);
});

t.test('a lost authority key or a damaged certificate is refused, not replaced', async (t) => {
  const config = setup(t);
  await loadOrCreatePki(config);
  writeFileSync(join(config.dataDir, 'pki/admin.crt'), 'garbage');
  await t.rejects(loadOrCreatePki(config), /admin\.crt: not a certificate/);
  rmSync(join(config.dataDir, 'pki/admin.crt'));
  rmSync(join(config.dataDir, 'pki/ca.key'));
  await t.rejects(loadOrCreatePki(config), /ca\.key is missing/);
});
