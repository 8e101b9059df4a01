import { ApiError } from '../../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../../apimachinery/resource.ts';
import type {
  MatchCondition,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { Status } from '../../../apimachinery/types/meta-v1.ts';
import type { Logger } from '../../../log/logger.ts';
import { decodeObject } from '../../codec/decode.ts';
import { applyJsonPatch } from '../../patch/json-patch.ts';
import { cloneObject } from '../../registry/clone-object.ts';
import { jsonEqual } from '../../registry/deep-equal.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import { forbidden, internalError } from '../../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { matchConditionsHold, PolicyEvaluationError } from '../policy/match-conditions.ts';
import type { AdmissionVariables } from '../policy/variables.ts';
import { replaceObject } from '../replace-object.ts';
import { inVersionOf, type ReviewResponse, readResponse, reviewRequest } from './admission-review.ts';
import { matchRequest } from './matching.ts';
import { WebhookCallError, type WebhookClient } from './webhook-client.ts';

type AnyWebhook = ValidatingWebhook & Pick<MutatingWebhook, 'reinvocationPolicy'>;

const group = 'admissionregistration.k8s.io';

/** The webhooks of all configurations, in the order in which they are called. */
function webhooksOf(registry: Registry, resource: string): readonly AnyWebhook[] {
  const configurations = registry.hub.cacheOf(registry.require(group, 'v1', resource)).list('');
  return configurations.flatMap(
    ({ object }) => (object as MutatingWebhookConfiguration | ValidatingWebhookConfiguration).webhooks ?? [],
  ) as readonly AnyWebhook[];
}

/** A refusal in the words of the webhook, with a code that is one of a failure. */
function denied(name: string, result: Status | undefined): ApiError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const code = result?.code ?? 0;
  const message = result?.message
    ? `${by}: ${result.message}`
    : result?.reason
      ? `${by}: ${result.reason}`
      : `${by} without explanation`;
  return new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(result?.reason === undefined ? {} : { reason: result.reason }),
    ...(result?.details === undefined ? {} : { details: result.details }),
    code: Math.max(code, 400),
  });
}

/** Calls the webhooks that a request is for, and does what they answer. */
export class Webhooks {
  readonly #registry: () => Registry;
  readonly #client: () => WebhookClient;
  readonly #variables: () => AdmissionVariables;
  readonly #logger: Logger;
  /** False while the server makes what it cannot do without: that must not wait for webhooks it may itself bring up. */
  enabled = false;

  constructor(
    registry: () => Registry,
    client: () => WebhookClient,
    variables: () => AdmissionVariables,
    logger: Logger,
  ) {
    this.#registry = registry;
    this.#client = client;
    this.#variables = variables;
    this.#logger = logger;
  }

  readonly mutating: AdmissionPlugin = {
    name: 'MutatingAdmissionWebhook',
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    admit: (request) => this.#mutate(request),
  };

  readonly validating: AdmissionPlugin = {
    name: 'ValidatingAdmissionWebhook',
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    validate: (request) => this.#validate(request),
  };

  #mutate(request: AdmissionRequest): void | Promise<void> {
    const webhooks = webhooksOf(this.#registry(), 'mutatingwebhookconfigurations');
    if (this.enabled && webhooks.length > 0) return this.#mutateBy(webhooks, request);
  }

  async #mutateBy(webhooks: readonly AnyWebhook[], request: AdmissionRequest): Promise<void> {
    const seen: { webhook: AnyWebhook; object: unknown }[] = [];
    for (const webhook of webhooks) {
      if (!(await this.#mutateOnce(webhook, request))) continue;
      if (webhook.reinvocationPolicy === 'IfNeeded') seen.push({ webhook, object: cloneObject(request.object) });
    }
    // Those who want to be asked again are, once, when what they left has been changed by another.
    const again = seen.filter(({ object }) => !jsonEqual(object, request.object));
    for (const { webhook } of again) await this.#mutateOnce(webhook, request);
  }

  /** False when the webhook was not asked. */
  async #mutateOnce(webhook: AnyWebhook, request: AdmissionRequest): Promise<boolean> {
    const shown = await this.#wanted(webhook, request);
    if (shown === undefined) return false;
    await this.#withPolicy(webhook, async () => {
      const response = await this.#call(webhook, request, shown);
      this.#takeWarnings(response, request);
      if (!response.allowed) throw denied(webhook.name, response.status);
      if (!response.patch || request.object === undefined) return;
      this.#applyPatch(webhook, request, shown, response.patch);
    });
    return true;
  }

  #applyPatch(webhook: AnyWebhook, request: AdmissionRequest, shown: ResourceRow, patch: string): void {
    const { row } = request;
    let patched: KubernetesObject;
    try {
      const operations = JSON.parse(Buffer.from(patch, 'base64').toString()) as unknown;
      const value = applyJsonPatch(inVersionOf(row, shown, request.object), operations);
      patched = decodeObject<KubernetesObject>(shown.handle.definition, value).object;
    } catch (error) {
      throw internalError(
        `failed to apply JSON patch of webhook ${JSON.stringify(webhook.name)}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    replaceObject(request, inVersionOf(shown, row, patched)!);
  }

  #validate(request: AdmissionRequest): void | Promise<void> {
    const webhooks = webhooksOf(this.#registry(), 'validatingwebhookconfigurations');
    if (this.enabled && webhooks.length > 0) return this.#validateBy(webhooks, request);
  }

  /** All are asked at once; the first in order that refuses is heard. */
  async #validateBy(webhooks: readonly AnyWebhook[], request: AdmissionRequest): Promise<void> {
    const answers = await Promise.allSettled(
      webhooks.map(async (webhook) => {
        const shown = await this.#wanted(webhook, request);
        if (shown === undefined) return;
        await this.#withPolicy(webhook, async () => {
          const response = await this.#call(webhook, request, shown);
          this.#takeWarnings(response, request);
          if (!response.allowed) throw denied(webhook.name, response.status);
        });
      }),
    );
    const refused = answers.find((answer) => answer.status === 'rejected');
    if (refused !== undefined) throw refused.reason;
  }

  /** The row in whose version the webhook wants to see the request. */
  async #wanted(webhook: AnyWebhook, request: AdmissionRequest): Promise<ResourceRow | undefined> {
    const { rules = [], namespaceSelector, objectSelector, matchPolicy } = webhook;
    const shown = matchRequest(
      this.#registry(),
      {
        rules,
        ...(namespaceSelector === undefined ? {} : { namespaceSelector }),
        ...(objectSelector === undefined ? {} : { objectSelector }),
        ...(matchPolicy === undefined ? {} : { matchPolicy }),
      },
      request,
    );
    if (shown === undefined) return undefined;
    const conditions: readonly MatchCondition[] = webhook.matchConditions ?? [];
    if (conditions.length === 0) return shown;
    try {
      return matchConditionsHold(conditions, this.#variables().of(request, shown)) ? shown : undefined;
    } catch (error) {
      if (!(error instanceof PolicyEvaluationError)) throw error;
      if (webhook.failurePolicy === 'Ignore') return undefined;
      throw forbidden(request.row.handle, request.name, error.message);
    }
  }

  /** A call that fails counts as the webhook's failure policy says. */
  async #withPolicy(webhook: AnyWebhook, call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (!(error instanceof FailedCall)) throw error;
      if (webhook.failurePolicy === 'Ignore') {
        this.#logger.warn({ webhook: webhook.name, err: error.message }, 'failed calling webhook, failing open');
        return;
      }
      throw internalError(error.message);
    }
  }

  #takeWarnings(response: ReviewResponse, request: AdmissionRequest): void {
    for (const warning of response.warnings ?? []) request.warn(warning);
  }

  async #call(webhook: AnyWebhook, request: AdmissionRequest, shown: ResourceRow): Promise<ReviewResponse> {
    const version = webhook.admissionReviewVersions.find((one) => one === 'v1' || one === 'v1beta1') ?? 'v1';
    const review = reviewRequest(request, shown);
    const body = { kind: 'AdmissionReview', apiVersion: `admission.k8s.io/${version}`, request: review };
    const timeoutMs = (webhook.timeoutSeconds ?? 10) * 1000;
    const failed = (why: string) => new FailedCall(`failed calling webhook ${JSON.stringify(webhook.name)}: ${why}`);
    let answer: unknown;
    try {
      answer = await this.#client().post(webhook.clientConfig, body, timeoutMs);
    } catch (error) {
      if (error instanceof WebhookCallError) throw failed(`failed to call webhook: ${error.message}`);
      throw error;
    }
    try {
      return readResponse(answer, review.uid, version);
    } catch (error) {
      throw failed(`received invalid webhook response: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** A webhook could not be asked, or answered nonsense. */
class FailedCall extends Error {
  override readonly name = 'FailedCall';
}
