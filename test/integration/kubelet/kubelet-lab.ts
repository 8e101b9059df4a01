import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Pod } from '../../../daemon/apimachinery/types/core-v1.ts';
import { events, pods } from '../../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../../daemon/client/fake-client.ts';
import { loadOrCreatePki, type Pki } from '../../../daemon/cluster/pki/pki.ts';
import { configFromArguments } from '../../../daemon/config/config.ts';
import { type Containerd, startContainerd } from '../../../daemon/kubelet/containerd.ts';
import { pauseImage } from '../../../daemon/kubelet/images/local-images.ts';
import { type Kubelet, startKubelet } from '../../../daemon/kubelet/kubelet.ts';
import { createLogger } from '../../../daemon/log/logger.ts';

const logger = createLogger('lab', process.env['BALSA_LOG_LEVEL'] ?? 'error');

/** A bridge and addresses, as the network role would configure them. */
const cniConfig = (dataDir: string): string =>
  JSON.stringify({
    cniVersion: '0.4.0',
    name: 'lab',
    plugins: [
      {
        type: 'bridge',
        bridge: 'lab0',
        isGateway: true,
        ipam: {
          type: 'host-local',
          dataDir: join(dataDir, 'ipam'),
          ranges: [[{ subnet: '10.77.0.0/24' }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });

/** One kubelet with its own containerd against an API in memory. Works in network and mount namespaces of the test's own. */
export class KubeletLab {
  readonly client = new FakeClient();
  readonly dataDir = mkdtempSync(join(tmpdir(), 'balsa-kubelet-lab-'));
  readonly #runDir = mkdtempSync(join(tmpdir(), 'balsa-run-'));
  #pki: Pki | undefined;
  #containerd: Containerd | undefined;
  #kubelet: Kubelet | undefined;

  get containerd(): Containerd {
    if (this.#containerd === undefined) throw new Error('containerd has not been started');
    return this.#containerd;
  }

  async start(): Promise<void> {
    await this.startContainerd();
    await this.startKubelet();
  }

  async startContainerd(): Promise<void> {
    const cniConfDir = join(this.dataDir, 'cni');
    mkdirSync(cniConfDir, { recursive: true });
    writeFileSync(join(cniConfDir, '10-lab.conflist'), cniConfig(this.dataDir));
    this.#containerd = await startContainerd({
      dataDir: this.dataDir,
      runDir: this.#runDir,
      pauseImage,
      cniConfDir,
      cniBinDir: process.env['BALSA_CNI_BIN_DIR'] ?? '/usr/lib/cni',
      logger,
    });
  }

  async startKubelet(): Promise<void> {
    this.#pki ??= await loadOrCreatePki(
      configFromArguments(['--data-dir', this.dataDir, '--node-name', 'lab', '--node-ip', '127.0.0.1']),
    );
    this.#kubelet = await startKubelet({
      client: this.client,
      nodeName: 'lab',
      nodeIp: '127.0.0.1',
      dataDir: this.dataDir,
      runtimeEndpoint: this.containerd.endpoint,
      serving: {
        host: '127.0.0.1',
        port: 0,
        ...this.#pki.leaves.kubelet,
        clientCa: this.#pki.authorities.ca.cert,
      },
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      logger,
    });
  }

  async stopKubelet(): Promise<void> {
    await this.#kubelet?.stop();
    this.#kubelet = undefined;
  }

  /** Ends everything and removes what it left. */
  async destroy(): Promise<void> {
    await this.stopKubelet();
    await this.#containerd?.stop({ keepContainers: false });
    for (const directory of [this.dataDir, this.#runDir])
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  create(name: string, container: object, spec: object = {}, metadata: object = {}): Promise<Pod> {
    return this.client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', ...metadata },
      spec: {
        nodeName: 'lab',
        restartPolicy: 'Always',
        terminationGracePeriodSeconds: 5,
        containers: [
          {
            name: 'c',
            image: 'balsa.local/demo:v1',
            imagePullPolicy: 'IfNotPresent',
            terminationMessagePath: '/dev/termination-log',
            ...container,
          },
        ],
        ...spec,
      },
    });
  }

  get(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: 'default', name });
  }

  async until(name: string, accept: (pod: Pod) => unknown, timeoutMs = 30_000): Promise<Pod> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const pod = await this.get(name);
      if (accept(pod)) return pod;
      if (Date.now() > end)
        throw new Error(`${name} stays ${JSON.stringify(pod.status)}\n${(await this.events(name)).join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async delete(name: string, gracePeriodSeconds = 5): Promise<void> {
    await this.client.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds });
    for (let tries = 0; tries < 600; tries++) {
      if ((await this.client.list(pods)).items.every(({ metadata }) => metadata?.name !== name)) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${name} is not deleted`);
  }

  /** `Type Reason message` of the events about a pod. */
  async events(name: string): Promise<string[]> {
    const { items } = await this.client.list(events, { namespace: 'default' });
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ type, reason, message }) => `${type} ${reason} ${message}`);
  }

  #options(path: string): object {
    const client = this.#pki?.leaves['apiserver-kubelet-client'];
    return {
      host: '127.0.0.1',
      port: this.#kubelet?.port,
      path,
      cert: client?.cert,
      key: client?.key,
      ca: this.#pki?.authorities.ca.cert,
      agent: false,
    };
  }

  /** GET on the kubelet's HTTPS API with the API server's certificate, or with none. */
  fetch(path: string, anonymous = false): Promise<{ code: number; body: string }> {
    return new Promise((resolve, reject) => {
      const { cert: _, key: __, ...none } = this.#options(path) as { cert: string; key: string };
      const sent = request(anonymous ? none : this.#options(path), (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ code: response.statusCode ?? 0, body }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  /** Upgrades to a WebSocket and resolves to all bytes that come until the other side closes or `enough` says so. */
  webSocket(path: string, enough: (bytes: Buffer) => boolean, send?: (socket: Duplex) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const headers = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': Buffer.alloc(16, 1).toString('base64'),
        'Sec-WebSocket-Protocol': 'v4.channel.k8s.io',
        Origin: 'http://localhost',
      };
      const sent = request({ ...this.#options(path), headers });
      sent.on('upgrade', (_, socket: Duplex, head) => {
        let bytes = head;
        const take = (chunk: Buffer): void => {
          bytes = Buffer.concat([bytes, chunk]);
          if (!enough(bytes)) return;
          socket.destroy();
          resolve(bytes);
        };
        socket.on('data', take);
        socket.on('close', () => resolve(bytes));
        send?.(socket);
        take(Buffer.alloc(0));
      });
      sent.on('response', (response) => reject(new Error(`not upgraded: ${response.statusCode}`)));
      sent.on('error', reject);
      sent.end();
    });
  }
}
