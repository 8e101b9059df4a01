import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';

/** Addresses of every server's API, from the endpoints of `default/kubernetes`. */
export function apiServersOf(slices: readonly EndpointSlice[]): string[] {
  return slices
    .filter((slice) => slice.metadata?.labels?.['kubernetes.io/service-name'] === 'kubernetes')
    .flatMap((slice) => {
      const port = slice.ports?.find((candidate) => candidate.name === 'https')?.port ?? 6443;
      return (slice.endpoints ?? []).flatMap(({ addresses }) =>
        addresses.map((address) => `https://${address.includes(':') ? `[${address}]` : address}:${port}`),
      );
    })
    .sort();
}
