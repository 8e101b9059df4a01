import { randomUUID } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import { formatMicroTime } from '../../apimachinery/time.ts';
import type { Identity } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import type { Exchange } from '../http/exchange.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { type AuditDecision, type AuditPolicy, type AuditStage, decide } from './policy.ts';

/** Larger bodies are left out: a record must not cost more than its request. */
const maxBodyBytes = 1 << 20;
const idForm = /^[\x21-\x7e]{1,64}$/;

export interface AuditLog {
  /** Begins the record of a request whose sender is known. */
  begin(exchange: Exchange, info: RequestInfo, caller: Identity, identity: Identity): AuditedRequest;
  close(): Promise<void>;
}

export interface AuditedRequest {
  /** The response is complete. */
  end(): void;
}

const nothing: AuditedRequest = { end: () => undefined };

/** Writes `audit.k8s.io/v1` events, one JSON object in a line, as a policy says. */
export function openAuditLog(policy: AuditPolicy, path: string, logger: Logger): AuditLog {
  // Events are for administrators alone: they may hold what was written.
  const file: WriteStream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  file.on('error', (error) => logger.error({ err: error, path }, 'the audit log cannot be written'));
  return {
    begin(exchange, info, caller, identity) {
      const decision = decide(policy, caller, info);
      if (decision.level === 'None') return nothing;
      const record = new AuditRecord(exchange, info, caller, identity, decision, (event) => file.write(event));
      record.write('RequestReceived');
      return record;
    },
    close: () => new Promise((resolve) => file.end(resolve)),
  };
}

class AuditRecord implements AuditedRequest {
  readonly #exchange: Exchange;
  readonly #decision: AuditDecision;
  readonly #fixed: object;
  readonly #write: (line: string) => void;
  #requestBody: Buffer | undefined;
  #responseBody: Buffer | string | undefined;

  constructor(
    exchange: Exchange,
    info: RequestInfo,
    caller: Identity,
    identity: Identity,
    decision: AuditDecision,
    write: (line: string) => void,
  ) {
    this.#exchange = exchange;
    this.#decision = decision;
    this.#write = write;
    const { headers, socket, url } = exchange;
    const { resource } = info;
    const forwarded = String(headers['x-forwarded-for'] ?? '')
      .split(',')
      .map((address) => address.trim());
    const agent = headers['user-agent'];
    // The response names the record: it takes the id from the request's headers.
    const given = headers['audit-id'];
    const auditID = typeof given === 'string' && idForm.test(given) ? given : randomUUID();
    headers['audit-id'] = auditID;
    this.#fixed = {
      auditID,
      requestURI: url,
      verb: info.verb,
      user: userOf(caller),
      ...(identity === caller ? {} : { impersonatedUser: userOf(identity) }),
      sourceIPs: [...forwarded, socket.remoteAddress ?? ''].filter((address) => address !== ''),
      ...(agent === undefined ? {} : { userAgent: agent }),
      ...(resource === undefined
        ? {}
        : {
            objectRef: {
              resource: resource.resource,
              ...(resource.namespace === '' ? {} : { namespace: resource.namespace }),
              ...(resource.name === '' ? {} : { name: resource.name }),
              ...(resource.group === '' ? {} : { apiGroup: resource.group }),
              apiVersion: resource.version,
              ...(resource.subresource === '' ? {} : { subresource: resource.subresource }),
            },
          }),
      requestReceivedTimestamp: formatMicroTime(new Date()),
    };
    if (info.verb === 'watch') this.#noteStart();
    if (decision.level === 'Request' || decision.level === 'RequestResponse') this.#keepBodies();
  }

  /** Of a watch it counts that it has begun: its end may be far away. */
  #noteStart(): void {
    const exchange = this.#exchange;
    const stream = exchange.stream.bind(exchange);
    exchange.stream = (status, headers) => {
      const begun = stream(status, headers);
      this.write('ResponseStarted');
      return begun;
    };
  }

  #keepBodies(): void {
    const exchange = this.#exchange;
    const readBody = exchange.readBody.bind(exchange);
    exchange.readBody = async (limit) => {
      const body = await readBody(limit);
      this.#requestBody = body;
      return body;
    };
    if (this.#decision.level !== 'RequestResponse') return;
    const respond = exchange.respond.bind(exchange);
    exchange.respond = (status, headers, body) => {
      this.#responseBody = body;
      respond(status, headers, body);
    };
  }

  end(): void {
    this.write('ResponseComplete');
  }

  write(stage: AuditStage): void {
    if (this.#decision.omitStages.has(stage)) return;
    const code = this.#exchange.status || 200;
    const requestObject = this.#objectOf(this.#requestBody);
    const responseObject = this.#objectOf(this.#responseBody);
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: this.#decision.level,
      stage,
      ...this.#fixed,
      ...(stage === 'RequestReceived' ? {} : { responseStatus: { metadata: {}, code } }),
      ...(requestObject === undefined ? {} : { requestObject }),
      ...(stage !== 'ResponseComplete' || responseObject === undefined ? {} : { responseObject }),
      stageTimestamp: formatMicroTime(new Date()),
    };
    this.#write(`${JSON.stringify(event)}\n`);
  }

  /** The body as JSON; undefined when it is none (protobuf, compressed, YAML) or too large. */
  #objectOf(body: Buffer | string | undefined): object | undefined {
    if (body === undefined || body.length === 0 || body.length > maxBodyBytes) return undefined;
    let parsed: unknown;
    try {
      parsed = JSON.parse(body.toString());
    } catch {
      // Not JSON: the record says who did what, without the content.
      return undefined;
    }
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    if (this.#decision.omitManagedFields) {
      const { metadata } = parsed as { metadata?: { managedFields?: unknown } };
      if (metadata !== undefined) delete metadata.managedFields;
    }
    return parsed;
  }
}

function userOf({ name, uid, groups, extra }: Identity): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra === undefined ? {} : { extra }) };
}
