import { parentPort, workerData } from 'node:worker_threads';
import { type LeaderQuestion, LeaderQuestion_Kind } from '../../proto/generated/raft/messages.ts';
import { createLogger } from '../log/logger.ts';
import type { ConfigChange } from '../raft/config-change.ts';
import { bootstrapEntries, RaftDriver } from '../raft/driver.ts';
import type { PeerServer } from '../raft/peer-transport.ts';
import { LeaderDuties } from './leader-duties.ts';
import { openStore } from './native.ts';
import { anyMine } from './native-packing.ts';
import {
  type FromRaftThread,
  type MemberRecord,
  memberKeyPrefix,
  type RaftThreadSetup,
  type ToRaftThread,
  unpackBatch,
} from './raft-thread-protocol.ts';

/** The store's own thread: Raft, the log and apply, with nothing user-driven in it. */
async function run(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('the Raft worker is started by the embedded store');
  const setup = workerData as RaftThreadSetup;
  const logger = createLogger('store', setup.logLevel);
  const tell = (message: FromRaftThread, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const store = openStore(setup.dataDir);

  if (setup.bootstrap !== undefined && store.logState().lastIndex === 0) {
    const entries = bootstrapEntries(setup.bootstrap.map((member) => ({ id: member.id, context: member })));
    await store.appendLog(entries, { term: 1, vote: 0n, commit: entries.length });
  }

  const loadMembers = (): MemberRecord[] =>
    store.scanMeta(memberKeyPrefix).map(([, value]) => JSON.parse(value.toString()) as MemberRecord);
  let peers: PeerServer | undefined;
  let driver: RaftDriver | undefined;
  let duties: LeaderDuties | undefined;
  let stopping = false;
  let belonged = setup.knownPeers.length === 0;
  const aloneFlag = new Int32Array(setup.alone);

  const answerAsLeader = ({ kind, id }: LeaderQuestion): number => {
    if (driver === undefined || duties === undefined || driver.node.raft.role !== 'leader') return -1;
    if (kind === LeaderQuestion_Kind.CAUGHT_UP) return driver.isCaughtUp(Number(id)) ? 1 : 0;
    const lease = BigInt.asIntN(64, id);
    return kind === LeaderQuestion_Kind.RENEW_LEASE ? duties.renew(lease) : duties.timeToLive(lease);
  };
  const askLeader = async (leader: number, question: LeaderQuestion): Promise<number> =>
    peers === undefined || leader === 0 ? -1 : peers.ask(leader, question);

  const setPeers = () => {
    const recorded = loadMembers();
    const others = [...setup.knownPeers, ...recorded].filter((member) => member.id !== setup.memberId);
    peers?.setPeers(new Map(others.map((member) => [member.id, member.peerUrls])));
  };

  if (setup.peer !== undefined) {
    // Only a member with peers pays for loading the transport.
    const { connectPeers } = await import('../raft/peer-transport.ts');
    peers = await connectPeers({
      id: setup.memberId,
      clusterId: setup.clusterId,
      ...setup.peer,
      logger,
      handler: () => driver,
      takeSnapshot: () => {
        const config = driver!.config;
        return { config, snapshot: store.snapshot() };
      },
      installSnapshot: () => {
        const install = store.installSnapshot();
        return {
          write: (piece) => install.write(piece),
          discard: () => install.abort(),
          install: async (hardState) => {
            await install.finish({ ...hardState, vote: BigInt(hardState.vote) });
          },
        };
      },
      answer: (question) => answerAsLeader(question),
    });
  }

  driver = new RaftDriver({
    id: setup.memberId,
    disk: store,
    ...(peers === undefined ? {} : { transport: peers }),
    heartbeatInterval: setup.heartbeatInterval,
    electionTimeout: setup.electionTimeout,
    reads: setup.reads,
    keepEntries: setup.peer === undefined ? 500 : 5000,
    onApplied: (results) => {
      // What other members proposed nobody here waits for.
      if (anyMine(results)) tell(results, [results]);
    },
    onReadable: (reads) => tell({ type: 'readable', reads }),
    onState: (state) => {
      duties?.follow(state);
      const { voters, votersOutgoing } = state.config;
      const alone = voters.length === 1 && voters[0] === setup.memberId && votersOutgoing.length === 0;
      Atomics.store(aloneFlag, 0, alone && state.leading ? 1 : 0);
      tell({ type: 'state', state });
    },
    onConfig: (config) => {
      // From here on others may lead; whether this member still is alone is told with the next state.
      if (config.voters.length > 1) Atomics.store(aloneFlag, 0, 0);
      setPeers();
      const { voters, votersOutgoing, learners } = config;
      const member = [...voters, ...votersOutgoing, ...learners].includes(setup.memberId);
      // Who joins reads of the time before it belonged.
      if (!member && belonged && voters.length > 0) tell({ type: 'removed' });
      belonged ||= member;
    },
    describeChange,
    onFatal: (error) => {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      logger.fatal({ err: error }, 'the store cannot go on');
      tell({ type: 'fatal', message });
    },
  });
  duties = new LeaderDuties({
    store,
    setup,
    logger,
    propose: (commands) => driver.propose(commands),
  });
  setPeers();
  driver.start();

  const answer = (request: number, result: Promise<number>) => {
    result.then(
      (value) => tell({ type: 'answer', request, error: undefined, value }),
      (error: unknown) =>
        tell({ type: 'answer', request, error: error instanceof Error ? error.message : String(error), value: 0 }),
    );
  };

  const stop = async () => {
    if (stopping) return;
    stopping = true;
    duties.stop();
    await driver.stop();
    await peers?.stop();
    store.close();
    tell({ type: 'stopped' });
    port.close();
  };

  port.on('message', (message: ToRaftThread) => {
    if (message instanceof ArrayBuffer) {
      driver.propose(unpackBatch(message));
      return;
    }
    switch (message.type) {
      case 'read':
        driver.read(message.reads);
        return;
      case 'changeMembers': {
        const { request, transition, steps, member } = message;
        const id = `${setup.memberId}.${request}.${Date.now()}`;
        answer(
          request,
          driver.changeMembers(id, { transition, steps }, member).then(() => 0),
        );
        return;
      }
      case 'transfer':
        driver.transferLeadership(message.to);
        return;
      case 'ask': {
        const { leader } = driver.node.raft;
        const own = leader === setup.memberId ? answerAsLeader(message.question) : undefined;
        answer(message.request, own === undefined ? askLeader(leader, message.question) : Promise.resolve(own));
        return;
      }
      default:
        void stop();
    }
  });
  tell({ type: 'started', peerAddress: peers?.address });
}

/** The member's record comes and goes with its membership. */
function describeChange(change: ConfigChange): { key: string; value?: Uint8Array }[] {
  const { context } = change.context === '' ? { context: undefined } : JSON.parse(change.context);
  const member = context as MemberRecord | undefined;
  return change.steps.flatMap((step) => {
    const key = `${memberKeyPrefix}${step.id}`;
    if (step.type === 'remove') return [{ key }];
    if (member === undefined || member.id !== step.id) return [];
    return [{ key, value: Buffer.from(JSON.stringify(member)) }];
  });
}

await run();
