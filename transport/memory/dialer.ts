/** A dialer whose connections are set up by a network in the same process. */
import type { Scheduler } from "../../src/base/world.ts";
import { DialedSessions } from "../dialed_sessions.ts";
import { boundedDial } from "../dialing.ts";
import type { Dialer, DialOptions, Endpoint, Session } from "../transport.ts";

/** The network of a {@link MemoryDialer}, as one host of it sees it. */
export interface MemoryDialerOptions {
  readonly scheduler: Scheduler;
  /** Connects to an endpoint; rejects with the code if it cannot. */
  readonly connect: (endpoint: Endpoint) => Promise<Session>;
}

/** A dialer of sessions in memory. */
export class MemoryDialer implements Dialer {
  readonly transport = "memory";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: MemoryDialerOptions;
  readonly #sessions = new DialedSessions();

  constructor(options: MemoryDialerOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    this.#sessions.requireOpen();
    const { scheduler, connect } = this.#options;
    const session = await boundedDial(
      () => connect(endpoint),
      options,
      scheduler,
      endpoint,
      (late) => late.abort("the attempt was given up"),
    );
    return this.#sessions.add(session);
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }
}
