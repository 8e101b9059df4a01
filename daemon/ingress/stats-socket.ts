import { createConnection } from 'node:net';

const timeoutMs = 5000;

/** Sends commands of HAProxy's runtime API over its stats socket, in order; yields what it said. Rejects when nobody answers. */
export function runtimeCommand(socket: string, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket);
    let answer = '';
    connection.setEncoding('utf8');
    connection.setTimeout(timeoutMs, () =>
      connection.destroy(new Error(`${socket}: no answer within ${timeoutMs} ms`)),
    );
    connection.on('data', (chunk: string) => {
      answer += chunk;
    });
    connection.once('error', reject);
    connection.once('end', () => resolve(answer));
    connection.write(`${commands.join(';')}\n`);
  });
}

/** What the runtime API says of a command that it did not carry out. */
export function isRefusal(answer: string): boolean {
  return /no such|unknown|require|invalid|error|denied|can't|cannot/i.test(answer);
}
