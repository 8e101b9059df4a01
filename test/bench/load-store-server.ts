// One member of the embedded store by itself, for benches: `data-directory client-port [peer-port name=port,...]`.
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';

const [dataDir, clientPort, peerPort, members] = process.argv.slice(2);
const url = (port: string) => `http://127.0.0.1:${port}`;
await startEmbeddedStore({
  dataDir: dataDir!,
  nodeName: peerPort === undefined ? 'one' : `m${peerPort}`,
  clusterToken: 'bench',
  clientListen: { host: '127.0.0.1', port: Number(clientPort) },
  ...(peerPort === undefined || members === undefined
    ? {}
    : {
        peerListen: { host: '127.0.0.1', port: Number(peerPort) },
        peerUrls: [url(peerPort)],
        initialMembers: members.split(',').map((port) => ({ name: `m${port}`, peerUrls: [url(port)] })),
      }),
  autoCompaction: 0,
  logger: createLogger('bench', 'error'),
});
process.on('SIGTERM', () => process.exit(0));
