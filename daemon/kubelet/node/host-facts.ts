import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { NodeSystemInfo } from '../../apimachinery/types/core-v1.ts';

const goArchitectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  ia32: '386',
  riscv64: 'riscv64',
};

/** The architecture as Go and image indexes name it. */
export const architecture = (): string => goArchitectures[arch()] ?? arch();

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return ''; // Not every host has every file.
  }
}

function osImage(): string {
  const name = /^PRETTY_NAME="?(.*?)"?$/m.exec(readText('/etc/os-release'))?.[1];
  return name ?? 'Linux';
}

/** `hugepages-2Mi` -> bytes set aside. */
function hugepages(): Record<string, string> {
  const root = '/sys/kernel/mm/hugepages';
  let sizes: string[];
  try {
    sizes = readdirSync(root);
  } catch {
    return {};
  }
  const result: Record<string, string> = {};
  for (const directory of sizes) {
    const kib = Number(/^hugepages-(\d+)kB$/.exec(directory)?.[1] ?? Number.NaN);
    if (Number.isNaN(kib)) continue;
    const count = Number(readText(join(root, directory, 'nr_hugepages')));
    const gib = 1024 * 1024;
    const unit = kib % gib === 0 ? `${kib / gib}Gi` : kib % 1024 === 0 ? `${kib / 1024}Mi` : `${kib}Ki`;
    const total = count * kib;
    result[`hugepages-${unit}`] = total === 0 ? '0' : `${total}Ki`;
  }
  return result;
}

export interface HostResources {
  readonly capacity: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
}

/** Kept free for the host before pods are evicted for memory. */
export const memoryEvictionThreshold = 100 * 1024 * 1024;
/** Share of the node's disk kept free before pods are evicted for it. */
export const diskEvictionThreshold = 0.1;

/** What the host has, and what of it pods may use. */
export function hostResources(dataDir: string, maxPods: number): HostResources {
  const memoryBytes = totalmem();
  const { bsize, blocks } = statfsSync(dataDir);
  const disk = bsize * blocks;
  const shared = { cpu: String(cpus().length), pods: String(maxPods), ...hugepages() };
  return {
    memoryBytes,
    capacity: {
      ...shared,
      memory: `${Math.floor(memoryBytes / 1024)}Ki`,
      'ephemeral-storage': `${Math.floor(disk / 1024)}Ki`,
    },
    allocatable: {
      ...shared,
      memory: `${Math.floor((memoryBytes - memoryEvictionThreshold) / 1024)}Ki`,
      'ephemeral-storage': String(Math.floor(disk * (1 - diskEvictionThreshold))),
    },
  };
}

/** Facts of the host for `status.nodeInfo`. */
export function systemInfo(containerRuntimeVersion: string, version: string): NodeSystemInfo {
  const machineID = readText('/etc/machine-id') || readText('/var/lib/dbus/machine-id');
  return {
    machineID,
    systemUUID: readText('/sys/class/dmi/id/product_uuid') || machineID,
    bootID: readText('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: osImage(),
    containerRuntimeVersion,
    kubeletVersion: version,
    kubeProxyVersion: version,
    operatingSystem: 'linux',
    architecture: architecture(),
  };
}
