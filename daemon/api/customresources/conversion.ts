import { randomUUID } from 'node:crypto';
import { apiVersionOf, type KubernetesObject, type Resource } from '../../apimachinery/resource.ts';
import type { CustomResourceConversion } from '../../apimachinery/types/apiextensions-v1.ts';
import type { WebhookClient } from '../admission/webhook/webhook-client.ts';
import { internalError } from '../status-errors.ts';
import { isJsonObject } from './json-schema.ts';

const timeoutMs = 30_000;

/** Converts objects of any version of a resource to one version. Fails with 500. */
export type Convert = (objects: readonly KubernetesObject[]) => Promise<KubernetesObject[]>;

/** The conversion to the version of `handle` by a webhook. */
export function webhookConversion(
  client: WebhookClient,
  { webhook }: CustomResourceConversion,
  handle: Resource,
): Convert {
  return async (objects) => {
    const first = objects[0];
    if (first === undefined || webhook?.clientConfig === undefined) return [...objects];
    const fail = (why: string) =>
      internalError(`conversion webhook for ${first.apiVersion}, Kind=${handle.kind} failed: ${why}`);
    const version = webhook.conversionReviewVersions.find((one) => one === 'v1' || one === 'v1beta1') ?? 'v1';
    const uid = randomUUID();
    const review = {
      kind: 'ConversionReview',
      apiVersion: `apiextensions.k8s.io/${version}`,
      request: { uid, desiredAPIVersion: apiVersionOf(handle), objects },
    };
    let answer: unknown;
    try {
      answer = await client.post(webhook.clientConfig, review, timeoutMs);
    } catch (error) {
      throw fail(error instanceof Error ? error.message : String(error));
    }
    return read(answer, uid, objects, apiVersionOf(handle), fail);
  };
}

function read(
  answer: unknown,
  uid: string,
  objects: readonly KubernetesObject[],
  apiVersion: string,
  fail: (why: string) => Error,
): KubernetesObject[] {
  const response = isJsonObject(answer) ? answer['response'] : undefined;
  if (!isJsonObject(response)) throw fail('no response provided');
  if (response['uid'] !== uid) {
    throw fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`);
  }
  const { result, convertedObjects } = response;
  if (!isJsonObject(result) || result['status'] !== 'Success') {
    const message = isJsonObject(result) ? result['message'] : undefined;
    throw fail(typeof message === 'string' && message !== '' ? message : 'no reason provided');
  }
  if (!Array.isArray(convertedObjects) || convertedObjects.length !== objects.length) {
    const count = Array.isArray(convertedObjects) ? convertedObjects.length : 0;
    throw fail(`webhook returned ${count} objects, expected ${objects.length}`);
  }
  return objects.map((object, index) => {
    const converted = convertedObjects[index] as KubernetesObject;
    if (converted.apiVersion !== apiVersion) {
      throw fail(`invalid groupVersion (received ${converted.apiVersion} wanted ${apiVersion}) at index ${index}`);
    }
    // Of the metadata a conversion may change labels and annotations alone.
    const { labels, annotations } = converted.metadata ?? {};
    const { labels: _labels, annotations: _annotations, ...metadata } = object.metadata ?? {};
    return {
      ...converted,
      metadata: {
        ...metadata,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
      },
    };
  });
}
