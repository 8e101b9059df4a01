import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { endLeftHaproxy } from '../ingress/haproxy.ts';
import { startContainerd } from '../kubelet/containerd.ts';
import { pauseImage } from '../kubelet/images/local-images.ts';
import { removeAnnouncedAddresses } from '../loadbalancer/announcer.ts';
import type { Logger } from '../log/logger.ts';
import { removeNetwork } from '../network/network.ts';
import { removeProxyRules } from '../proxy/proxy.ts';

/** Unmounts what is mounted below a directory, deepest first. */
function unmountBelow(directory: string): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
    )
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length);
  for (const point of points) execFileSync('umount', ['-l', point]);
}

/**
 * Undoes everything balsad did to this host: stops and removes its pods, ends its containerd, takes its rules, interfaces and
 * mounts away and deletes its state. Refuses a directory that holds no state of ours, so that a slip of the pen costs nothing.
 */
export async function clean(config: Config, logger: Logger): Promise<void> {
  const { dataDir, runDir } = config;
  const ours = existsSync(join(dataDir, 'pki')) || existsSync(join(dataDir, 'containerd'));
  if (!ours && existsSync(dataDir) && readdirSync(dataDir).length > 0)
    throw new Error(`--clean: ${dataDir} holds files but no state of balsad: not touched`);
  if (existsSync(join(dataDir, 'containerd'))) {
    logger.info('stopping pods');
    const containerd = await startContainerd({
      dataDir,
      runDir,
      pauseImage,
      cniConfDir: join(dataDir, 'cni/net.d'),
      cniBinDir: config.cniBinDir,
      logger,
    });
    await containerd.stop({ keepContainers: false });
  }
  logger.info('removing rules and interfaces');
  await removeProxyRules(logger);
  await removeNetwork(logger);
  await removeAnnouncedAddresses(config.loadBalancerPool, [config.nodeIp]);
  endLeftHaproxy(dataDir, runDir);
  for (const directory of [dataDir, runDir]) {
    logger.info({ directory }, 'removing');
    unmountBelow(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}
