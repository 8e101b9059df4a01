import type { SchedulerPlugin } from '../plugin.ts';

const mib = 1024 * 1024;
const minThreshold = 23 * mib;
const maxContainerThreshold = 1000 * mib;

/** Prefers nodes that have the pod's images; the fewer nodes have an image, the less it draws pods there. */
export const imageLocality: SchedulerPlugin = {
  name: 'ImageLocality',
  weight: 1,
  interests: [],
  scorerFor({ pod: { pod }, cache }) {
    const images: string[] = [];
    for (const { image } of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      if (image !== undefined) {
        images.push(normalizedImageName(image));
      }
    }
    const shares = images.map((image) => (cache.imageNodes.get(image) ?? 0) / cache.nodes.length);
    if (!shares.some((share) => share > 0)) {
      return undefined;
    }
    const count = (pod.spec.initContainers?.length ?? 0) + pod.spec.containers.length;
    const maxThreshold = maxContainerThreshold * count;
    return {
      score(node) {
        let sum = 0;
        for (let i = 0; i < images.length; i++) {
          sum += Math.floor((node.imageSizes.get(images[i]!) ?? 0) * shares[i]!);
        }
        const bounded = Math.min(Math.max(sum, minThreshold), maxThreshold);
        return Math.floor((100 * (bounded - minThreshold)) / (maxThreshold - minThreshold));
      },
    };
  },
};

/** The name as nodes report it: with a tag, `latest` when none is given. */
function normalizedImageName(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}
