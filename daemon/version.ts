/** Balsa's own version. */
export const version = '0.1.0';

/** The Kubernetes version whose API is served, as `/version` and nodes report it. */
export const kubernetesVersion = 'v1.36.0';
