import { isCustomDefinition } from '../codec/custom-definitions.ts';
import { protobufWatchType } from '../protobuf/envelope.ts';
import type { ResourceApi } from '../resource-api.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { invalid } from '../status-errors.ts';
import { bookmarkFrame, errorFrame, watchFrames } from './encode.ts';
import type { ResponseStream } from './exchange.ts';
import { negotiate } from './negotiate.ts';
import { includeObjectParameter, integerParameter } from './options.ts';
import { isTrue } from './request-info.ts';
import { watchStarted } from './request-metrics.ts';
import type { HandlerContext } from './resource-handler.ts';
import { selectionFrom } from './resource-handler.ts';
import { commonHeaders } from './response.ts';

/** A watcher this far behind is cut off: it comes back from where it was. */
const maxBacklogBytes = 32 * 1024 * 1024;

/** Serves a watch, as lines of JSON or frames of protobuf, until the client leaves or the watch ends. */
export async function serveWatch(api: ResourceApi, context: HandlerContext, row: ResourceRow): Promise<void> {
  const { exchange, info, request } = context;
  const { query } = info;
  const accept = exchange.headers.accept?.replaceAll(';stream=watch', '');
  const { as, format } = negotiate(accept, !isCustomDefinition(row.handle.definition));
  const includeObject = includeObjectParameter(query);
  const sendInitial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  if (sendInitial !== null && match !== 'NotOlderThan') {
    throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      {
        type: 'FieldValueForbidden',
        field: 'resourceVersionMatch',
        detail: 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      },
    ]);
  }
  if (sendInitial === null && match !== '') {
    throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      {
        type: 'FieldValueForbidden',
        field: 'resourceVersionMatch',
        detail: 'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      },
    ]);
  }
  const selection = selectionFrom(row, request, query);
  exchange.onClose(watchStarted(info));

  let stream: ResponseStream | undefined;
  let closed = false;
  let stop: (() => void) | undefined;
  exchange.onClose(() => {
    closed = true;
    stop?.();
  });
  // The first frames may come before the watch function has returned: the response begins with them.
  const open = (): ResponseStream => {
    if (stream === undefined) {
      const headers = commonHeaders(exchange, context.warnings);
      headers['Content-Type'] = format === 'protobuf' ? protobufWatchType : 'application/json';
      stream = exchange.stream(200, headers);
    }
    return stream;
  };
  let pending: Buffer[] = [];
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    const frames = pending;
    pending = [];
    if (closed || frames.length === 0) return;
    const target = open();
    target.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    if (target.backlog > maxBacklogBytes) {
      stop?.();
      target.end();
    }
  };
  const send = (frame: Buffer): void => {
    if (closed) return;
    pending.push(frame);
    if (scheduled) return;
    scheduled = true;
    // All that one turn of the event loop brings goes out in one write.
    setImmediate(flush);
  };
  stop = await api.registry.watches.watch(
    {
      selection,
      resourceVersion: query.get('resourceVersion') ?? undefined,
      allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
      ...(sendInitial === null ? {} : { sendInitialEvents: isTrue(sendInitial) }),
      timeoutSeconds: integerParameter(query, 'timeoutSeconds'),
    },
    {
      onBatch: (batch) => send(watchFrames(batch, as, includeObject, format)),
      onBookmark: (object) => send(bookmarkFrame(row, object, as, format)),
      onEnd: (error) => {
        if (error !== undefined) send(errorFrame(error, format));
        setImmediate(() => {
          flush();
          if (!closed) open().end();
        });
      },
    },
  );
  if (closed) stop();
  else open();
}
