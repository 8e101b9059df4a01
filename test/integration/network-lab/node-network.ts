// The network part of one node of a lab, in the network namespace this process is started in: `node-network.ts <nodes as JSON> <name> <directory>`.
import path from 'node:path';
import { pino } from 'pino';
import type { Node } from '../../../daemon/apimachinery/types/core-v1.ts';
import { nodes } from '../../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../../daemon/client/fake-client.ts';
import { startNetwork } from '../../../daemon/network/network.ts';
import { cniBinDir } from './cni.ts';

const [, , all = '[]', nodeName = '', directory = ''] = process.argv;
const client = new FakeClient();
for (const node of JSON.parse(all) as Node[]) {
  const created = await client.create(nodes, node);
  await client.update(nodes, { ...created, status: node.status! }, { subresource: 'status' });
}
const network = await startNetwork({
  client,
  nodeName,
  dataDir: directory,
  cniConfDir: path.join(directory, 'net.d'),
  cniBinDir,
  clusterPodCidr: '10.244.0.0/16',
  logger: pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2)),
});
await network.ready;
process.send?.('ready');
process.on('disconnect', () => process.exit(0));
