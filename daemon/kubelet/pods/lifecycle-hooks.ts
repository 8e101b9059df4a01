import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, LifecycleHandler } from '../../apimachinery/types/core-v1.ts';
import { httpGet } from '../probes/handlers.ts';
import type { ContainerRuntime } from '../runtime.ts';

/** Hooks have no timeout of their own; this bounds an HTTP request that never gets an answer. */
const HTTP_TIMEOUT_MS = 30_000;

/** Runs a postStart or preStop hook to its end. Rejects with the text of the FailedPostStartHook or FailedPreStopHook event. */
export async function runHook(options: {
  runtime: ContainerRuntime;
  container: Container;
  containerId: string;
  podIp: string;
  handler: LifecycleHandler;
  signal?: AbortSignal;
}): Promise<void> {
  const { runtime, container, containerId, podIp, handler, signal } = options;
  if (handler.exec !== undefined) {
    const command = handler.exec.command ?? [];
    const { exitCode, stdout, stderr } = await runtime.execSync(containerId, command, 0);
    if (exitCode === 0) return;
    const output = Buffer.concat([stdout, stderr]).toString();
    throw new Error(`command '${command.join(' ')}' exited with ${exitCode}: ${output}`);
  }
  if (handler.httpGet !== undefined) {
    const { status } = await httpGet(handler.httpGet, container, podIp, HTTP_TIMEOUT_MS, 'kube-lifecycle/1.36');
    if (status >= 200 && status < 400) return;
    throw new Error(`HTTP lifecycle hook failed with statuscode: ${status}`);
  }
  if (handler.sleep !== undefined) {
    await sleep(handler.sleep.seconds * 1000, undefined, signal === undefined ? {} : { signal }).catch(
      (error: Error) => {
        if (error.name !== 'AbortError') throw error;
      },
    );
    return;
  }
  throw new Error('invalid handler');
}
