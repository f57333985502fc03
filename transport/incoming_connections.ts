/**
 * The TCP connections of a listener, from the first packet to the end. A connection is admitted
 * before anything is read from it, and one deadline covers all stages up to the session. If there is
 * no room for a session, a few connections at a time are still taken that far, so that they can be
 * told.
 */
import type { Socket } from "node:net";
import { HANDSHAKE_MS_MAX, REFUSALS_MAX } from "../src/base/limits.ts";
import type { Timer } from "../src/base/world.ts";
import type { ListenerSessionOptions, ListenerSessions } from "./listener_sessions.ts";

/** A connection that was taken. */
export interface IncomingConnection {
  readonly raw: Socket;
  readonly host: string;
  /**
   * `handshake` until there is a session; `refusal` if there is no room and the client will be
   * told.
   */
  readonly stage: "handshake" | "refusal" | "session";
}

interface Taken extends IncomingConnection {
  stage: IncomingConnection["stage"];
  readonly deadline: Timer;
}

/** The open connections of one listener. */
export class IncomingConnections {
  readonly #sessions: ListenerSessions;
  readonly #options: Pick<ListenerSessionOptions, "scheduler" | "limits">;
  readonly #taken = new Set<IncomingConnection>();
  #refusals = 0;

  constructor(
    sessions: ListenerSessions,
    options: Pick<ListenerSessionOptions, "scheduler" | "limits">,
  ) {
    this.#sessions = sessions;
    this.#options = options;
  }

  /**
   * Takes a connection; returns undefined if there is not even room to refuse it.
   *
   * @param onClose called once, when the connection is closed.
   */
  take(raw: Socket, host: string, onClose: () => void): IncomingConnection | undefined {
    const { admission, stats } = this.#sessions;
    const { scheduler, limits = {} } = this.#options;
    const isAdmitted = admission.mayBegin() && admission.begin(host);
    if (!isAdmitted && this.#refusals >= (limits.refusalsMax ?? REFUSALS_MAX)) return undefined;
    if (!isAdmitted) this.#refusals++;
    const incoming: Taken = {
      raw,
      host,
      stage: isAdmitted ? "handshake" : "refusal",
      deadline: scheduler.after(limits.handshakeMsMax ?? HANDSHAKE_MS_MAX, () => {
        stats.deadlines++;
        raw.destroy();
      }),
    };
    this.#taken.add(incoming);
    raw.once("close", () => {
      this.#taken.delete(incoming);
      incoming.deadline.cancel();
      onClose();
      if (incoming.stage === "handshake") admission.fail(host);
      else if (incoming.stage === "refusal") this.#refusals--;
    });
    return incoming;
  }

  /** Whether a connection is still open. */
  has(incoming: IncomingConnection): boolean {
    return this.#taken.has(incoming);
  }

  /** Ends the handshake of a connection, whose session starts now. */
  established(incoming: IncomingConnection): void {
    const taken = incoming as Taken;
    taken.stage = "session";
    taken.deadline.cancel();
  }

  /** Destroys all connections without a session. */
  close(): void {
    for (const { raw, stage } of this.#taken) if (stage !== "session") raw.destroy();
  }
}
