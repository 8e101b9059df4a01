import { type Definition, definitionOf, type FieldType } from './schema.ts';

/** One field of a message on the wire. */
export interface WireField {
  readonly name: string;
  readonly type: FieldType;
  /** Fields of a message that JSON writes inline, in the object around it. */
  readonly inline?: ReadonlyMap<number, WireField>;
  /** Go keeps this field behind a pointer (or requires it): its zero value says something. */
  readonly keepsZero: boolean;
}

type Numbers = Readonly<Record<string, number>>;

/** An embedded message: its number, the numbers of its fields, and what is embedded in it in turn. */
interface Embedded {
  readonly n: number;
  readonly fields: Numbers;
  readonly inner?: Embedded;
}

const opaque: Numbers = { opaque: 1 };
const rule: Embedded = { n: 2, fields: { apiGroups: 1, apiVersions: 2, resources: 3, scope: 4 } };

/**
 * Go structs embedded in others are messages of their own on the wire, and not there in JSON. By message: the number of the
 * embedded message and the numbers of its fields.
 */
const inlined: Readonly<Record<string, Embedded>> = {
  'core.v1.Volume': {
    n: 2,
    fields: {
      hostPath: 1,
      emptyDir: 2,
      gcePersistentDisk: 3,
      awsElasticBlockStore: 4,
      gitRepo: 5,
      secret: 6,
      nfs: 7,
      iscsi: 8,
      glusterfs: 9,
      persistentVolumeClaim: 10,
      rbd: 11,
      flexVolume: 12,
      cinder: 13,
      cephfs: 14,
      flocker: 15,
      downwardAPI: 16,
      fc: 17,
      azureFile: 18,
      configMap: 19,
      vsphereVolume: 20,
      quobyte: 21,
      azureDisk: 22,
      photonPersistentDisk: 23,
      portworxVolume: 24,
      scaleIO: 25,
      projected: 26,
      storageos: 27,
      csi: 28,
      ephemeral: 29,
      image: 30,
    },
  },
  'core.v1.PersistentVolumeSpec': {
    n: 2,
    fields: {
      gcePersistentDisk: 1,
      awsElasticBlockStore: 2,
      hostPath: 3,
      glusterfs: 4,
      nfs: 5,
      rbd: 6,
      iscsi: 7,
      cinder: 8,
      cephfs: 9,
      fc: 10,
      flocker: 11,
      flexVolume: 12,
      azureFile: 13,
      vsphereVolume: 14,
      quobyte: 15,
      azureDisk: 16,
      photonPersistentDisk: 17,
      portworxVolume: 18,
      scaleIO: 19,
      local: 20,
      storageos: 21,
      csi: 22,
    },
  },
  'core.v1.Probe': { n: 1, fields: { exec: 1, httpGet: 2, tcpSocket: 3, grpc: 4 } },
  'core.v1.EphemeralContainer': {
    n: 1,
    fields: {
      name: 1,
      image: 2,
      command: 3,
      args: 4,
      workingDir: 5,
      ports: 6,
      env: 7,
      resources: 8,
      volumeMounts: 9,
      livenessProbe: 10,
      readinessProbe: 11,
      lifecycle: 12,
      terminationMessagePath: 13,
      imagePullPolicy: 14,
      securityContext: 15,
      stdin: 16,
      stdinOnce: 17,
      tty: 18,
      envFrom: 19,
      terminationMessagePolicy: 20,
      volumeDevices: 21,
      startupProbe: 22,
      resizePolicy: 23,
      restartPolicy: 24,
      restartPolicyRules: 25,
    },
  },
  'core.v1.ConfigMapEnvSource': { n: 1, fields: { name: 1 } },
  'core.v1.ConfigMapKeySelector': { n: 1, fields: { name: 1 } },
  'core.v1.ConfigMapProjection': { n: 1, fields: { name: 1 } },
  'core.v1.ConfigMapVolumeSource': { n: 1, fields: { name: 1 } },
  'core.v1.SecretEnvSource': { n: 1, fields: { name: 1 } },
  'core.v1.SecretKeySelector': { n: 1, fields: { name: 1 } },
  'core.v1.SecretProjection': { n: 1, fields: { name: 1 } },
  'networking.v1.IngressRule': { n: 2, fields: { http: 1 } },
  'admissionregistration.v1.RuleWithOperations': rule,
  'admissionregistration.v1.NamedRuleWithOperations': { n: 2, fields: { operations: 1 }, inner: rule },
  'resource.v1.DeviceClassConfiguration': { n: 1, fields: opaque },
  'resource.v1.DeviceClaimConfiguration': { n: 2, fields: opaque },
  'resource.v1.DeviceAllocationConfiguration': { n: 3, fields: opaque },
};

/** Fields whose JSON name differs from the one on the wire; the table of facts pairs them by name and misses these. */
const renamed: Readonly<Record<string, Numbers>> = {
  'admissionregistration.v1.MutatingWebhookConfiguration': { webhooks: 2 },
  'admissionregistration.v1.ValidatingWebhookConfiguration': { webhooks: 2 },
  'admissionregistration.v1.Validation': { expression: 1 },
  'admissionregistration.v1.Variable': { name: 1, expression: 2 },
  'authentication.v1.BoundObjectReference': { uid: 4 },
  'networking.v1.IngressClassParametersReference': { apiGroup: 1 },
  'apiextensions.v1.JSONSchemaProps': {
    $schema: 2,
    $ref: 3,
    'x-kubernetes-preserve-unknown-fields': 38,
    'x-kubernetes-embedded-resource': 39,
    'x-kubernetes-int-or-string': 40,
    'x-kubernetes-list-map-keys': 41,
    'x-kubernetes-list-type': 42,
    'x-kubernetes-map-type': 43,
    'x-kubernetes-validations': 44,
  },
};

/** Fields that are pointers in Go: zero is not the same as absent. */
const pointers: ReadonlySet<string> = new Set([
  'replicas',
  'revisionHistoryLimit',
  'progressDeadlineSeconds',
  'terminationGracePeriodSeconds',
  'activeDeadlineSeconds',
  'tolerationSeconds',
  'runAsUser',
  'runAsGroup',
  'fsGroup',
  'priority',
  'backoffLimit',
  'parallelism',
  'completions',
  'ttlSecondsAfterFinished',
  'startingDeadlineSeconds',
  'successfulJobsHistoryLimit',
  'failedJobsHistoryLimit',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
  'gracePeriodSeconds',
  'partition',
  'minReplicas',
  'automountServiceAccountToken',
  'optional',
  'enableServiceLinks',
  'runAsNonRoot',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'allocateLoadBalancerNodePorts',
  'suspend',
  'immutable',
  'shareProcessNamespace',
  'setHostnameAsFQDN',
  'hostUsers',
  'attachRequired',
  'podInfoOnMount',
  'storageCapacity',
  'requiresRepublish',
  'seLinuxMount',
  'allowVolumeExpansion',
  'orphanDependents',
  'stabilizationWindowSeconds',
  'storageClassName',
  'volumeAttributesClassName',
  'leaseTransitions',
  'controller',
  'blockOwnerDeletion',
  'serving',
  'terminating',
  'defaultMode',
  'mode',
]);

const layouts = new Map<string, ReadonlyMap<number, WireField>>();

/** `core.v1.Volume` of `io.k8s.api.core.v1.Volume`. */
function shortName(definition: string): string {
  return definition.split('.').slice(-3).join('.');
}

/** The fields of a definition by their number on the wire. */
export function wireLayout(name: string): ReadonlyMap<number, WireField> {
  let layout = layouts.get(name);
  if (layout === undefined) {
    layout = build(definitionOf(name), shortName(name));
    layouts.set(name, layout);
  }
  return layout;
}

function build(definition: Definition, name: string): Map<number, WireField> {
  const layout = new Map<number, WireField>();
  const required = new Set(definition.required ?? []);
  const entryOf = (field: string): WireField => ({
    name: field,
    type: definition.fields![field]!.t,
    keepsZero: pointers.has(field) || required.has(field),
  });
  for (const [field, schema] of Object.entries(definition.fields ?? {})) {
    const number = schema.n ?? renamed[name]?.[field];
    if (number !== undefined) layout.set(number, entryOf(field));
  }
  const embed = ({ n, fields, inner }: Embedded, around: Map<number, WireField>): void => {
    const inline = new Map(Object.entries(fields).map(([field, number]) => [number, entryOf(field)]));
    if (inner !== undefined) embed(inner, inline);
    around.set(n, { name: '', type: 'object', inline, keepsZero: false });
  };
  const embedded = inlined[name];
  if (embedded !== undefined) embed(embedded, layout);
  return layout;
}
