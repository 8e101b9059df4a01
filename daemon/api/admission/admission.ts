import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Identity } from '../../client/api-client.ts';
import type { ResourceRow } from '../resources/resource-row.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** One write on its way into the store. */
export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  readonly row: ResourceRow;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  /** What is to be stored; plug-ins change it in place. Absent on DELETE. */
  readonly object?: KubernetesObject;
  /** What is stored now; never changed. Absent on CREATE. */
  readonly old?: KubernetesObject;
  readonly identity: Identity;
  readonly dryRun: boolean;
  readonly warn: (text: string) => void;
}

/**
 * A step that each write passes: `admit` may change the object, `validate` sees the final one. Both refuse by throwing an
 * `ApiError`.
 */
export interface AdmissionPlugin {
  readonly name: string;
  readonly operations: readonly AdmissionOperation[];
  /** `pods` or `pods.apps`-like qualified names (`deployments.apps`); absent: every resource. */
  readonly resources?: readonly string[];
  readonly admit?: (request: AdmissionRequest) => void | Promise<void>;
  readonly validate?: (request: AdmissionRequest) => void | Promise<void>;
}

interface Selected {
  readonly admit: readonly NonNullable<AdmissionPlugin['admit']>[];
  readonly validate: readonly NonNullable<AdmissionPlugin['validate']>[];
}

/** The plug-ins in their order. */
export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];
  readonly #selected = new Map<string, Selected>();

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins;
  }

  async admit(request: AdmissionRequest): Promise<void> {
    for (const step of this.#select(request).admit) {
      const result = step(request);
      if (result !== undefined) await result;
    }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const step of this.#select(request).validate) {
      const result = step(request);
      if (result !== undefined) await result;
    }
  }

  #select({ operation, row }: AdmissionRequest): Selected {
    const { group, resource } = row.handle;
    const name = group === '' ? resource : `${resource}.${group}`;
    const key = `${operation} ${name}`;
    let selected = this.#selected.get(key);
    if (selected === undefined) {
      const plugins = this.#plugins.filter(
        (plugin) =>
          plugin.operations.includes(operation) && (plugin.resources === undefined || plugin.resources.includes(name)),
      );
      selected = {
        admit: plugins.flatMap((plugin) => (plugin.admit === undefined ? [] : [plugin.admit])),
        validate: plugins.flatMap((plugin) => (plugin.validate === undefined ? [] : [plugin.validate])),
      };
      this.#selected.set(key, selected);
    }
    return selected;
  }
}
