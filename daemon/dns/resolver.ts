import { randomInt } from 'node:crypto';
import type { Answer, DecodedPacket } from 'dns-packet';
import { decode, encode } from 'dns-packet';
import type { Logger } from '../log/logger.ts';
import type { AnswerCache } from './answer-cache.ts';
import type { ClusterZone, ZoneAnswer } from './cluster-zone.ts';
import type { Forwarder } from './forwarder.ts';
import {
  encodeError,
  encodeResponse,
  maximumUdpSize,
  minimumUdpSize,
  parseQuery,
  type Query,
  type Response,
  responseCodeName,
  responseCodeOf,
  truncate,
} from './message.ts';
import type { DnsMetrics } from './metrics.ts';

export interface ResolverOptions {
  readonly zone: ClusterZone;
  readonly forwarder: Forwarder;
  readonly cache: AnswerCache;
  readonly metrics: DnsMetrics;
  readonly logger: Logger;
  /** For the `server` label, such as `dns://:53`. */
  readonly server: string;
  /** False until the cluster has been read: answers from an empty view would be wrong, and remembered. */
  readonly isReady: () => boolean;
}

const maximumTcpSize = 65_535;
const failure = (code: Response['code']): Response => ({
  code,
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
});

/** Turns one message into the one that answers it. */
export class Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Never rejects. Undefined: no answer is due. */
  async answer(message: Buffer, protocol: 'udp' | 'tcp', family: 1 | 2 = 1): Promise<Buffer | undefined> {
    const { metrics, server, logger } = this.#options;
    const start = performance.now();
    let query: ReturnType<typeof parseQuery>;
    try {
      query = parseQuery(message);
      if (query === undefined) return undefined;
      if ('code' in query) return encodeError(query);
      const limit =
        protocol === 'tcp'
          ? maximumTcpSize
          : Math.max(minimumUdpSize, Math.min(maximumUdpSize, query.udpSize ?? minimumUdpSize));
      const { response, zone, plugin } = await this.#resolve(query, message, limit);
      const labels = { server, zone, view: '' };
      metrics.requests.inc({ ...labels, proto: protocol, family: String(family), type: knownType(query.type) });
      metrics.responses.inc({ ...labels, rcode: responseCodeName(responseCodeOf(response)), plugin });
      metrics.duration.observe(labels, (performance.now() - start) / 1000);
      metrics.requestSize.observe({ ...labels, proto: protocol }, message.length);
      metrics.responseSize.observe({ ...labels, proto: protocol }, response.length);
      return response;
    } catch (error) {
      metrics.panics.inc();
      logger.error({ err: error, query: message.toString('hex').slice(0, 200) }, 'a DNS query could not be handled');
      return query === undefined ? undefined : encodeError({ id: query.id, code: 'SERVFAIL' });
    }
  }

  async #resolve(
    query: Query,
    message: Buffer,
    limit: number,
  ): Promise<{ response: Buffer; zone: string; plugin: string }> {
    const { zone } = this.#options;
    const local = (response: Response) => ({
      response: encodeResponse(query, response, limit),
      zone: `${zone.domain}.`,
      plugin: 'kubernetes',
    });
    if (query.ednsVersion !== undefined && query.ednsVersion !== 0) return local(failure('BADVERS'));
    if (query.class !== 'IN') return local(failure('REFUSED'));
    if (query.type === 'AXFR' || query.type === 'IXFR') return local(failure('REFUSED'));
    const name = query.name.toLowerCase();
    if (!this.#options.isReady() && (name === zone.domain || name.endsWith(`.${zone.domain}`))) {
      return local(failure('SERVFAIL'));
    }
    const answer = zone.resolve(name, query.type);
    if (answer === undefined) {
      const forwarded = await this.#forward(query, message);
      if (forwarded === undefined) {
        return { response: encodeResponse(query, failure('SERVFAIL'), limit), zone: '.', plugin: 'forward' };
      }
      return { ...forwarded, response: fit(query, forwarded.response, limit), zone: '.' };
    }
    const chased = answer.chase === undefined ? [] : await this.#chase(query, answer.chase);
    const asked = withQuestionCase(answer, query);
    return local({ ...asked, authoritative: true, answers: [...spread(asked.answers), ...chased] });
  }

  async #forward(query: Query, message: Buffer): Promise<{ response: Buffer; plugin: string } | undefined> {
    const { cache, metrics, forwarder, server } = this.#options;
    const labels = { server, zones: '.', view: '' };
    const cached = cache.get(query);
    if (cached !== undefined) {
      metrics.cacheHits.inc({ ...labels, type: responseCodeOf(cached) === 0 ? 'success' : 'denial' });
      return { response: cached, plugin: 'cache' };
    }
    metrics.cacheMisses.inc(labels);
    const start = performance.now();
    const forwarded = await forwarder.forward(query, message);
    if (forwarded === undefined) return undefined;
    const { answer, upstream } = forwarded;
    metrics.forwardDuration.observe(
      { proxy_name: 'forward', to: upstream, rcode: responseCodeName(responseCodeOf(answer)) },
      (performance.now() - start) / 1000,
    );
    cache.put(query, answer);
    metrics.cacheEntries.set({ ...labels, type: 'success' }, cache.size);
    return { response: answer, plugin: 'forward' };
  }

  /** The records behind a name outside the cluster that a name inside it stands for. */
  async #chase(query: Query, target: string): Promise<Answer[]> {
    const question = { type: query.type as 'A', name: target };
    const message = Buffer.from(encode({ type: 'query', id: query.id, flags: 0x100, questions: [question] }));
    const inner = parseQuery(message);
    if (inner === undefined || 'code' in inner) return [];
    const forwarded = await this.#forward(inner, message);
    if (forwarded === undefined) return [];
    let packet: DecodedPacket;
    try {
      packet = decode(forwarded.response);
    } catch {
      // The alias itself is still right; the client may ask for its target.
      return [];
    }
    return (packet.answers ?? []).filter((answer) => !answer.type.startsWith('UNKNOWN'));
  }
}

/** Resolvers that vary the case of letters against forgery want to find it again in the answer. */
function withQuestionCase(answer: ZoneAnswer, query: Query): ZoneAnswer {
  const lower = query.name.toLowerCase();
  if (lower === query.name) return answer;
  return {
    ...answer,
    answers: answer.answers.map((record) =>
      'name' in record && record.name === lower ? { ...record, name: query.name } : record,
    ),
  };
}

/** Clients mostly take the first address: each gets another order. Aliases stay before what they lead to. */
function spread(answers: readonly Answer[]): Answer[] {
  const isAddress = ({ type }: Answer) => type === 'A' || type === 'AAAA';
  const addresses = answers.filter(isAddress);
  for (let last = addresses.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [addresses[last], addresses[other]] = [addresses[other]!, addresses[last]!];
  }
  return [...answers.filter((answer) => !isAddress(answer)), ...addresses];
}

function fit(query: Query, message: Buffer, limit: number): Buffer {
  return message.length <= limit ? message : truncate(query, message);
}

const knownTypes = new Set(
  'A AAAA CNAME DNSKEY DS HTTPS MX NAPTR NS NSEC NSEC3 PTR RRSIG SOA SRV SSHFP SVCB TLSA TXT'.split(' '),
);

function knownType(type: string): string {
  return knownTypes.has(type) ? type : 'other';
}
