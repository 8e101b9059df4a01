import { open, stat } from 'node:fs/promises';
import { annotations } from '../container/labels.ts';
import { readLogTail } from '../server/cri-log.ts';
import type { RuntimeContainer } from './pod-runtime.ts';

const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

async function readStart(path: string, bytes: number): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await handle.close();
  }
}

/**
 * What a container that has ended left as its last words: the file at its `terminationMessagePath` or, by the policy
 * FallbackToLogsOnError, the end of its log. Empty when there is nothing.
 */
export async function readTerminationMessage({ status }: RuntimeContainer): Promise<string> {
  const path = status.annotations[annotations.terminationMessagePath] ?? '';
  const file = status.mounts.find(({ containerPath }) => path !== '' && containerPath === path)?.hostPath;
  let message = '';
  if (file !== undefined) {
    try {
      message = await readStart(file, MAX_MESSAGE_BYTES);
    } catch (error) {
      message = `Error on reading termination log ${file}: ${(error as Error).message}`;
    }
  }
  const policy = status.annotations[annotations.terminationMessagePolicy];
  if (message === '' && policy === 'FallbackToLogsOnError' && status.exitCode !== 0 && status.logPath !== '') {
    const exists = await stat(status.logPath).then(
      () => true,
      () => false,
    );
    if (exists) message = await readLogTail(status.logPath, MAX_LOG_LINES, MAX_LOG_BYTES);
  }
  return message === '' ? (status.message ?? '') : message;
}
