import { readFileSync, statfsSync } from 'node:fs';

/** Where one containerd of ours keeps its things, and what it shall use. */
export interface ContainerdConfig {
  /** Images, snapshots and metadata; on disk. */
  readonly root: string;
  /** Sockets, FIFOs and mounts; short, and lost at reboot. */
  readonly state: string;
  readonly socket: string;
  readonly sandboxImage: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly snapshotter: string;
  readonly systemdCgroup: boolean;
  readonly restrictOomScoreAdj: boolean;
  /** Directory of `hosts.toml` files, one folder per registry. */
  readonly registryConfigDir: string;
}

const CGROUP2_SUPER_MAGIC = 0x63677270;
const CAP_SYS_RESOURCE = 24n;

/** True when the host has the unified (v2) cgroup hierarchy alone. */
export function hasCgroup2(): boolean {
  return statfsSync('/sys/fs/cgroup').type === CGROUP2_SUPER_MAGIC;
}

/** systemd owns the tree on hosts it booted with cgroup v2; there runc must ask it for cgroups. */
export function usesSystemdCgroups(): boolean {
  try {
    return hasCgroup2() && readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd';
  } catch {
    return false; // No /proc or no /sys/fs/cgroup: nothing here is systemd's.
  }
}

/** Lowering `oom_score_adj` needs CAP_SYS_RESOURCE; without it runc fails unless containerd clamps the value. */
export function lacksCapSysResource(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 0n;
}

/** containerd's configuration file (TOML, version 2: read by 1.5 and later, and migrated by 2.x on the fly). */
export function renderContainerdConfig(config: ContainerdConfig): string {
  // A JSON string is a TOML basic string.
  const text = (value: string): string => JSON.stringify(value);
  return `# Written by balsad at every start.
version = 2
root = ${text(config.root)}
state = ${text(config.state)}
oom_score = ${config.restrictOomScoreAdj ? 0 : -999}

[grpc]
  address = ${text(config.socket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(config.sandboxImage)}
  restrict_oom_score_adj = ${config.restrictOomScoreAdj}
  max_container_log_line_size = 16384
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  netns_mounts_under_state_dir = true
  tolerate_missing_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = ${text(config.snapshotter)}
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = ${config.systemdCgroup}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(config.cniBinDir)}
    conf_dir = ${text(config.cniConfDir)}
    max_conf_num = 1

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = ${text(config.registryConfigDir)}
`;
}
