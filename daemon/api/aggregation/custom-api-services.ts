import { isApiError } from '../../apimachinery/api-error.ts';
import type { APIService } from '../../apimachinery/types/apiregistration-v1.ts';
import type { Logger } from '../../log/logger.ts';
import { ensure, selfWrite } from '../bootstrap/bootstrap.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';

const group = 'apiregistration.k8s.io';
const managed = 'kube-aggregator.kubernetes.io/automanaged';

/** Keeps one local APIService for each group version of custom resources. */
export class CustomApiServices {
  readonly #registry: Registry;
  readonly #logger: Logger;
  #wanted: ReadonlySet<string> = new Set();
  #running: Promise<void> | undefined;
  #again = false;
  #started = false;

  constructor(registry: Registry, logger: Logger) {
    this.#registry = registry;
    this.#logger = logger;
  }

  /** From here on what is told is all there is: what is not among it is taken away. */
  start(): void {
    this.#started = true;
    this.#run();
  }

  /** `example.com/v1` of everything that is served now. */
  update(groupVersions: ReadonlySet<string>): void {
    this.#wanted = groupVersions;
    if (this.#started) this.#run();
  }

  #run(): void {
    this.#again = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async #work(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#settle().catch((error: unknown) =>
        this.#logger.warn({ err: error }, 'cannot register the API services of custom resources'),
      );
    }
  }

  async #settle(): Promise<void> {
    const row = this.#registry.require(group, 'v1', 'apiservices');
    const cache = this.#registry.hub.cacheOf(row);
    const wanted = this.#wanted;
    for (const groupVersion of wanted) {
      const [name = '', version = ''] = groupVersion.split('/');
      if (cache.get(`${version}.${name}`) !== undefined) continue;
      const object: APIService = {
        metadata: { name: `${version}.${name}`, labels: { [managed]: 'true' } },
        spec: { group: name, version, groupPriorityMinimum: 1000, versionPriority: 100 },
      };
      await ensure(this.#registry, group, 'v1', 'apiservices', object);
      await this.#registry.writes.update(
        { row, namespace: '', name: `${version}.${name}`, subresource: 'status' },
        (current) => {
          const next = cloneObject(current) as APIService;
          const message = 'Local APIServices are always available';
          const lastTransitionTime = next.metadata.creationTimestamp!;
          next.status = {
            conditions: [{ type: 'Available', status: 'True', reason: 'Local', message, lastTransitionTime }],
          };
          return next;
        },
        selfWrite,
      );
    }
    for (const stored of cache.list('')) {
      const { metadata, spec } = stored.object as APIService;
      if (metadata.labels?.[managed] !== 'true' || wanted.has(`${spec.group}/${spec.version}`)) continue;
      await this.#registry.deletion.delete(row, '', stored.name, {}, selfWrite).catch((error: unknown) => {
        if (!isApiError(error, 'NotFound')) throw error;
      });
    }
  }
}
