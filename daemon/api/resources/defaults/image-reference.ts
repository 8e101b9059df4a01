/**
 * The policy an image is pulled by when nothing is said: always for the tag `latest` (written or implied), else only when
 * it is not there. A digest is never `latest`.
 */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const afterHost = image.slice(image.lastIndexOf('/') + 1);
  const colon = afterHost.indexOf(':');
  return colon < 0 || afterHost.slice(colon + 1) === 'latest' ? 'Always' : 'IfNotPresent';
}
