/**
 * Keeps a session to one member with a higher node id: dials, authenticates, exchanges hellos, and
 * dials again when the session ends, with full jitter and a bounded delay. A session is replaced by a
 * new one before its certificates expire.
 */
import { errorCodeFromWire, RegistryError, toRegistryError } from "../../base/errors.ts";
import {
  HELLO_MS_MAX,
  PEER_DIAL_MS,
  PEER_REDIAL_MS,
  PEER_REDIAL_MS_MAX,
  PEER_SILENCE_MS,
  REFUSAL_LINGER_MS,
} from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import { encodePeerControl, type PeerHello } from "../../wire/peer_control.ts";
import type { HandshakeResult } from "../../../identity/registry_auth/mod.ts";
import type { Dialer, Endpoint, Session, Trust } from "../../../transport/transport.ts";
import { PeerControlReader } from "./control_reader.ts";
import type { PeerAuthentication } from "./peer_authentication.ts";
import { agreedVersion, helloOf, type PeerFacts, refusalOfHello } from "./peer_hello.ts";
import type { PeerLink } from "./peer_link.ts";
import { PeerSession, type PeerSessionParts } from "./peer_session.ts";

/** Time to wait for the other node's close, which tells the reason; it closes after a linger. */
const REASON_MS = 4 * REFUSAL_LINGER_MS;

/** The dependencies of a dialer. */
export interface PeerDialerOptions {
  readonly facts: PeerFacts;
  readonly world: World;
  readonly dialer: Dialer;
  readonly authentication: PeerAuthentication;
  /** Returns the parts that every session of the node has in common. */
  readonly sessionParts: (link: PeerLink) => PeerSessionParts;
}

/** An established session, and when to replace it. */
interface Established {
  readonly session: PeerSession;
  readonly renewAfterMs: number;
}

/** Dials one node, for as long as its link is open. */
export class PeerDialer {
  readonly #options: PeerDialerOptions;
  readonly #link: PeerLink;
  #attempts = 0;
  /** The time of the first failure since the last session, monotonic ms. */
  #failingSinceMs: number | undefined;
  /** Ends the present wait. */
  #wake: (() => void) | undefined;

  constructor(link: PeerLink, options: PeerDialerOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** Keeps a session until the link is closed. Never rejects. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#link.isClosed) {
      const established = await this.#dialOnce();
      if (established === undefined) failures++;
      else if (await this.#keep(established) >= PEER_SILENCE_MS) failures = 0;
      // The present session goes on while a renewal of it fails.
      if (!this.#link.isClosed) await this.#wait(this.#delayMs(failures));
    }
  }

  /** Ends the present delay: the link is closed. */
  hurry(): void {
    this.#wake?.();
  }

  /** Waits until the session ends or is to be replaced; returns how long that was, ms. */
  async #keep({ session, renewAfterMs }: Established): Promise<number> {
    const { monotonic } = this.#options.world;
    const sinceMs = monotonic.nowMs();
    void session.ended.then(() => this.#wake?.());
    if (!session.isOver) await this.#wait(renewAfterMs, true);
    return monotonic.nowMs() - sinceMs;
  }

  #wait(delayMs: number, untilEnded = false): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        timer.cancel();
        resolve();
      };
      const timer = this.#options.world.scheduler.after(delayMs, done);
      this.#wake = untilEnded
        ? () => {
          if (this.#link.session?.isOver ?? true) done();
        }
        : done;
    });
  }

  /** Draws the delay before the next attempt: uniform, with a bound that doubles. */
  #delayMs(failures: number): number {
    const boundMs = Math.min(PEER_REDIAL_MS_MAX, PEER_REDIAL_MS * 2 ** Math.min(failures, 16));
    return this.#options.world.entropy.unit() * boundMs;
  }

  async #dialOnce(): Promise<Established | undefined> {
    const { addresses, trusts } = this.#link.member;
    const count = addresses.length * trusts.length;
    const at = this.#attempts++ % Math.max(1, count);
    const endpoint = addresses[at % addresses.length];
    const trust = trusts[Math.floor(at / addresses.length)];
    try {
      if (endpoint === undefined || trust === undefined) {
        throw new RegistryError("not_found", "The node has no address to dial");
      }
      const established = await this.#establish(endpoint, trust);
      this.#link.adopt(established.session);
      this.#failingSinceMs = undefined;
      return established;
    } catch (error) {
      this.#link.counts.dialsFailed++;
      this.#failed(toRegistryError(error));
      return undefined;
    }
  }

  /** Reports a failure that lasts; a node that is just starting fails for a moment. */
  #failed(error: RegistryError): void {
    const nowMs = this.#options.world.monotonic.nowMs();
    this.#failingSinceMs ??= nowMs;
    const isLasting = nowMs - this.#failingSinceMs >= PEER_SILENCE_MS;
    if (isLasting) this.#link.warn("A node cannot be reached", error);
  }

  async #establish(endpoint: Endpoint, trust: Trust): Promise<Established> {
    const { dialer, world } = this.#options;
    const session = await dialer.dial(endpoint, { trust, timeoutMs: PEER_DIAL_MS });
    const late = world.scheduler.after(
      HELLO_MS_MAX,
      () => session.abort("The hello took too long"),
    );
    try {
      return await this.#greet(session, endpoint, trust);
    } catch (error) {
      const reason = await this.#whyRefused(session, toRegistryError(error));
      session.abort(reason.message);
      throw reason;
    } finally {
      late.cancel();
    }
  }

  async #greet(session: Session, endpoint: Endpoint, trust: Trust): Promise<Established> {
    const { authentication, facts, sessionParts } = this.#options;
    const { member } = this.#link;
    const control = await session.open("control");
    const result = await authentication.dialed(session, control, member, { endpoint, trust });
    await control.write(encodePeerControl({ kind: "hello", hello: helloOf(facts) }));
    const reader = new PeerControlReader(control);
    const hello = await replyOf(reader);
    const refusal = refusalOfHello(hello, member, facts);
    if (refusal !== undefined) {
      this.#link.counts.rejectError(refusal);
      await session.goodbye(refusal.code, refusal.message, { lingerMs: REFUSAL_LINGER_MS });
      throw refusal;
    }
    const established = new PeerSession({
      hello,
      version: agreedVersion(hello, facts),
      session,
      control,
      reader,
      life: authentication.lifeOf(result),
      ...sessionParts(this.#link),
    });
    await established.open();
    return { session: established, renewAfterMs: this.#renewAfterMs(result) };
  }

  /** Draws when to replace a session: after half of its time, with jitter. */
  #renewAfterMs({ expiresAtMs, sessionMsMax }: HandshakeResult): number {
    const { wall, entropy } = this.#options.world;
    const leftMs = Math.min(expiresAtMs - wall.unixMs(), sessionMsMax);
    return Math.max(PEER_REDIAL_MS_MAX, leftMs * (0.5 + 0.2 * entropy.unit()));
  }

  /** Returns the reason with which the other node ended the session, or else `seen`. */
  async #whyRefused(session: Session, seen: RegistryError): Promise<RegistryError> {
    // A refusal in the middle of the handshake looks like a frame out of place.
    if (seen.code !== "connection_lost" && seen.code !== "malformed") return seen;
    const patience = new Promise<undefined>((resolve) =>
      this.#options.world.scheduler.after(REASON_MS, () => resolve(undefined))
    );
    const end = await Promise.race([session.closed, patience]);
    if (end?.by !== "peer" || end.code === undefined) return seen;
    return new RegistryError(end.code, `The node refused the session: ${end.message}`, {}, seen);
  }
}

/** Returns the hello with which the other node answers. */
async function replyOf(reader: PeerControlReader): Promise<PeerHello> {
  const message = await reader.next();
  switch (message?.kind) {
    case "hello_reply":
      return message.hello;
    case "goodbye": {
      const { code, message: reason } = message.goodbye;
      throw new RegistryError(
        code === 0 ? "connection_lost" : errorCodeFromWire(code),
        `The node refused the session: ${reason}`,
      );
    }
    case undefined:
      throw new RegistryError("connection_lost", "The node ended the session before its hello");
    default:
      throw new RegistryError(
        "malformed",
        `The node must answer the hello: found ${message?.kind}`,
      );
  }
}
