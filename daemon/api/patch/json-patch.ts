import jsonpatch from 'fast-json-patch';
import { apiError } from '../../apimachinery/api-error.ts';
import { copyJson } from './json-value.ts';

/** The most operations one JSON patch may hold (`maxJSONPatchOperations`). */
const maxOperations = 10_000;

/** What Kubernetes answers to a patch that is well formed and does not fit the object; it does not say why. */
export function unprocessablePatch(): Error {
  return apiError('Invalid', 'the server rejected our request due to an error in our request', {});
}

/** RFC 6902. The result shares nothing with `object` or `patch`. */
export function applyJsonPatch(object: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    throw apiError(
      'BadRequest',
      'error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    );
  }
  if (patch.length > maxOperations) {
    throw apiError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  try {
    return jsonpatch.applyPatch(copyJson(object), copyJson(patch), true, true, true).newDocument;
  } catch (error) {
    // The library throws its own class for every operation that does not apply, and plain errors for paths it forbids.
    if (error instanceof Error) throw unprocessablePatch();
    throw error;
  }
}
