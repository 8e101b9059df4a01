import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError, configFromArguments } from './config.ts';
import { nthAddress } from './host-facts.ts';

t.test('a flag beats the environment, which beats the file, which beats the default', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'balsa-config-')), 'balsad.yaml');
  writeFileSync(file, 'apiPort: 7001\nkubeletPort: 7002\nclusterDomain: from.file\n');
  const config = configFromArguments(['--config', file, '--api-port', '7003'], {
    BALSA_API_PORT: '7004',
    BALSA_KUBELET_PORT: '7005',
  });
  t.equal(config.apiPort, 7003);
  t.equal(config.kubeletPort, 7005);
  t.equal(config.clusterDomain, 'from.file');
  t.equal(config.controlPort, 6440);
});

t.test('what depends on other options follows them', async (t) => {
  t.equal(configFromArguments(['--service-cidr', '10.112.0.0/16']).clusterDns, '10.112.0.10');
  t.same(configFromArguments(['--role', 'agent']).role, ['agent']);
});

t.test('a bad value names its source and the rule', async (t) => {
  const cases: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [['--api-port', '70000'], {}, /^--api-port: "70000" is not a whole number from 0 to 65535$/],
    [[], { BALSA_POD_CIDR: '10.0.0.0/33' }, /^BALSA_POD_CIDR: "10\.0\.0\.0\/33" is not a CIDR/],
    [['--role', 'king'], {}, /^--role: "king" is not one of server, agent$/],
    [['--node-name', 'Not_A_Name'], {}, /--node-name: .* is not a DNS-1123 subdomain/],
    [['--node-port-range', '40-30'], {}, /--node-port-range/],
    [['--node-ip', 'nowhere'], {}, /--node-ip: "nowhere" is not an IP address/],
    [['--config', '/nonexistent.yaml'], {}, /--config: cannot read/],
    [['--node-cidr-mask-size', '8'], {}, /must lie between 17 and 30/],
  ];
  for (const [args, environment, message] of cases)
    t.throws(() => configFromArguments(args, environment), { name: 'ConfigError', message });
  const file = join(mkdtempSync(join(tmpdir(), 'balsa-config-')), 'balsad.yaml');
  writeFileSync(file, 'apiport: 1\n');
  t.throws(() => configFromArguments(['--config', file]), new ConfigError(`${file}: unknown option "apiport"`));
});

t.test('nthAddress counts from the network address', async (t) => {
  t.equal(nthAddress('10.96.0.0/12', 1), '10.96.0.1');
  t.equal(nthAddress('10.96.3.7/12', 10), '10.96.0.10');
  t.equal(nthAddress('255.255.255.0/24', 255), '255.255.255.255');
  t.throws(() => nthAddress('10.0.0.0/30', 4), RangeError);
});
