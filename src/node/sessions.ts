/**
 * Sessions: accepts them, authenticates the peer, exchanges Hello, serves requests, and says goodbye.
 *
 * A session's first stream is the control stream. Nothing is done for a peer before it has proven its
 * identity and its Hello was checked. Each stage has a deadline, each session a limit of streams (the
 * transport's), and nothing that a peer sends can end more than its own session. A client renews its
 * proof in place by opening another control stream.
 *
 * A session that begins with a request stream is anonymous: its client has no identity yet. It may
 * request a certificate, within a short time, and nothing else.
 */
import type { Goodbye, Hello } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { errorCodeToWire, RegistryError, toRegistryError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import {
  AUTH_RENEW_MS_MIN,
  CONTROL_FRAME_BYTES_MAX,
  GOODBYE_LINGER_MS,
  HELLO_MS_MAX,
  REFUSAL_LINGER_MS,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { type AuthenticatedPeer, STRANGER } from "../base/peer.ts";
import { isNilUuid } from "../base/uuid.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import {
  type ControlMessage,
  type Greeting,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  writeControl,
} from "../wire/control.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { Listener, OnError, Session, Stream } from "../../transport/transport.ts";
import type { Caller } from "../serving/caller.ts";
import { ControlReader } from "./control_reader.ts";
import type { HeldClock } from "../serving/held_clock.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { ReplyWriter } from "../serving/reply_writer.ts";
import type { Proof, SessionIdentity } from "./session_identity.ts";
import {
  type RequestHandler,
  type RequestObserver,
  RequestStream,
} from "../serving/request_stream.ts";
import { type SessionAccount, SessionBudget } from "../serving/session_budget.ts";
import { StallWatch } from "../serving/stall_watch.ts";
import { Strangers } from "./strangers.ts";

/** The facts about the node in every HelloReply. */
export type NodeFacts = Omit<Greeting, "version" | "ringMap">;

/** The dependencies of a node's sessions. */
export interface SessionsOptions {
  readonly listener: Listener;
  readonly world: World;
  readonly logger: Logger;
  readonly onError: OnError;
  readonly identity: SessionIdentity;
  readonly facts: NodeFacts;
  readonly ringMap: () => RingMap;
  readonly handler: RequestHandler;
  readonly replies: ReplyWriter;
  readonly clock: HeldClock;
  readonly observer: RequestObserver;
  readonly rate: { readonly requestsPerSecond: number; readonly burst: number };
  /** Default: the limits of a node. */
  readonly budget?: SessionBudget;
}

/** The interval at which a drain checks for requests in progress, ms. */
const DRAIN_LOOK_MS = 10;

/** A caller whose proof is renewed in place. */
interface RenewableCaller extends Caller {
  peer: AuthenticatedPeer;
}

interface OpenSession {
  readonly session: Session;
  /** The memory that the session makes the node hold. */
  readonly account: SessionAccount;
  readonly streams: Set<RequestStream>;
  control: Outbox | undefined;
  /** The proof of the peer's identity, once there is one; renewed in place. */
  proof: Proof | undefined;
  /** When the peer was last authenticated, by the monotonic clock. */
  provenAtMs: number;
  caller: RenewableCaller | undefined;
  /** Whether Hello was answered; ring maps may be sent only after that. */
  greeted: boolean;
  /** Whether a renewal is in progress; there is at most one at a time. */
  renewing: boolean;
  /** Aborted when the session is over, so that nothing outside keeps a reference to it. */
  readonly ended: AbortController;
}

/** All sessions of a node. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #open = new Set<OpenSession>();
  /** The anonymous sessions. */
  readonly strangers: Strangers;
  /** The memory that sessions make the node hold, and the count of those ended for that. */
  readonly budget: SessionBudget;
  readonly #watch: StallWatch;
  #closing = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.budget = options.budget ?? new SessionBudget();
    const { clock, world: { scheduler } } = options;
    this.strangers = new Strangers(scheduler);
    this.#watch = new StallWatch({ scheduler, clock });
  }

  /** The number of open sessions. */
  get count(): number {
    return this.#open.size;
  }

  /** Returns the number of open sessions by transport. */
  countByTransport(): { readonly transport: string; readonly count: number }[] {
    const counts = new Map<string, number>([["quic", 0], ["webtransport", 0]]);
    for (const { session: { transport } } of this.#open) {
      counts.set(transport, (counts.get(transport) ?? 0) + 1);
    }
    return Array.from(counts, ([transport, count]) => ({ transport, count }));
  }

  /** Accepts sessions until the listener is closed. */
  async run(): Promise<void> {
    for (;;) {
      const session = await this.#options.listener.accept();
      if (session === undefined) return;
      this.#serve(session).catch((error) => this.#options.onError("session", error));
    }
  }

  /** Sends the current ring map to every client. */
  pushRingMap(): void {
    const ringMap = this.#options.ringMap();
    for (const { session, control, greeted } of this.#open) {
      if (control === undefined || !greeted) continue;
      if (control.gatheredBytes <= CONTROL_FRAME_BYTES_MAX) {
        send(control, { kind: "ring_map", ringMap });
      } else session.abort("The peer does not read its control stream");
    }
  }

  /**
   * Waits at most `drainMs` for requests in progress, then says goodbye to all clients and ends their
   * sessions; resolves when that is done.
   */
  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    await this.#settled(drainMs);
    await Promise.all(
      Array.from(
        this.#open,
        (open) => this.#goodbye(open, "shutting_down", "The node is stopping"),
      ),
    );
    this.#watch.close();
  }

  /** Resolves when no request is in progress, or after `drainMs`. */
  #settled(drainMs: number): Promise<void> {
    const { scheduler, monotonic } = this.#options.world;
    const untilMs = monotonic.nowMs() + drainMs;
    return new Promise((resolve) => {
      const look = () => {
        let inFlight = 0;
        for (const { streams } of this.#open) for (const one of streams) inFlight += one.inFlight;
        if (inFlight === 0 || monotonic.nowMs() >= untilMs) resolve();
        else scheduler.after(DRAIN_LOOK_MS, look);
      };
      look();
    });
  }

  async #serve(session: Session): Promise<void> {
    const open: OpenSession = {
      session,
      account: this.budget.open((code, message) => void this.#goodbye(open, code, message)),
      streams: new Set(),
      control: undefined,
      proof: undefined,
      provenAtMs: 0,
      caller: undefined,
      greeted: false,
      renewing: false,
      ended: new AbortController(),
    };
    this.#open.add(open);
    try {
      if (this.#closing) return await this.#goodbye(open, "shutting_down", "The node is stopping");
      const control = await this.#prove(open);
      if (control === undefined) return;
      const caller = await this.#greet(open, control);
      if (caller !== undefined) await this.#serveStreams(open, caller);
    } catch (error) {
      const { code, message } = toRegistryError(error);
      if (code !== "connection_lost") {
        this.#options.onError("session", error);
        await this.#goodbye(open, code, message);
      }
    } finally {
      this.#open.delete(open);
      open.ended.abort();
      open.account.close();
      open.proof?.close();
      session.abort("The session is over");
    }
  }

  /**
   * Waits for the control stream and the peer's proof; returns `undefined` if the session ended before,
   * or was an anonymous one and has been served.
   */
  async #prove(open: OpenSession): Promise<Stream | undefined> {
    const { identity } = this.#options;
    const { session } = open;
    const stream = await this.#inTime(session, "No stream was opened in time", session.accept());
    if (stream === undefined) return undefined;
    if (stream.kind === "request") {
      await this.#serveStranger(open, stream);
      return undefined;
    }
    if (stream.kind !== "control") {
      throw new RegistryError("malformed", "A session must begin with its control stream");
    }
    this.#hold(open, await identity.prove(session, stream));
    return stream;
  }

  /** Serves the only stream of an anonymous session; the access rules decide what it may do. */
  async #serveStranger(open: OpenSession, stream: Stream): Promise<void> {
    const { session } = open;
    const caller = { sessionId: session.id, peer: STRANGER, bucket: this.#newBucket() };
    const requests = this.#requestStream(open, stream, caller);
    open.streams.add(requests);
    await this.strangers.serve(session, requests);
  }

  #requestStream({ account }: OpenSession, stream: Stream, caller: Caller): RequestStream {
    return new RequestStream({ ...this.#options, stream, caller, account, watch: this.#watch });
  }

  #newBucket(): TokenBucket {
    const { world, rate } = this.#options;
    return new TokenBucket({
      ratePerSecond: rate.requestsPerSecond,
      burst: rate.burst,
      nowMs: world.monotonic.nowMs(),
    });
  }

  /** Waits for Hello and answers it; returns `undefined` if the session ended before. */
  async #greet(open: OpenSession, stream: Stream): Promise<Caller | undefined> {
    const { facts, ringMap } = this.#options;
    const { session } = open;
    open.control = new Outbox(stream, {
      bytesMax: 4 * CONTROL_FRAME_BYTES_MAX,
      onFailure: () => session.abort("The control stream failed"),
    });
    const control = new ControlReader(stream);
    const first = await this.#inTime(session, "No Hello arrived in time", control.next());
    if (first === undefined) return undefined;
    if (first.kind !== "hello") {
      throw new RegistryError("malformed", "The first control frame must be a Hello");
    }
    const version = this.#checkHello(first.hello);
    const peer = open.proof!.peer;
    if (peer.revoked.aborted) {
      throw new RegistryError("unauthenticated", "The identity of this session was revoked");
    }
    const reply: Greeting = { ...facts, version, ringMap: ringMap() };
    send(open.control, { kind: "hello_reply", reply });
    open.greeted = true;
    // All clients without certificates are one peer, but their sessions have nothing in common.
    if (peer.role !== "development") open.account.identify(peer.subject);
    this.#followControl(open, control);
    open.caller = {
      sessionId: session.id,
      peer,
      bucket: this.#newBucket(),
      useToken: (token) => this.#useToken(open, token),
    };
    return open.caller;
  }

  /** Waits for a stage; ends the session if the peer takes too long. */
  async #inTime<T>(session: Session, late: string, stage: Promise<T>): Promise<T> {
    const timer = this.#options.world.scheduler.after(HELLO_MS_MAX, () => session.abort(late));
    try {
      return await stage;
    } finally {
      timer.cancel();
    }
  }

  /** Replaces the session's proof, and ends the session when the new one becomes invalid. */
  #hold(open: OpenSession, proof: Proof): void {
    open.proof?.close();
    open.proof = proof;
    open.provenAtMs = this.#options.world.monotonic.nowMs();
    if (open.caller !== undefined) open.caller.peer = proof.peer;
    // One signal may serve very many sessions, so each removes its listener when it ends.
    const { signal } = open.ended;
    const onRevoked = () => {
      if (open.proof === proof) this.#revoke(open);
    };
    proof.peer.revoked.addEventListener("abort", onRevoked, { once: true, signal });
  }

  /** Applies a token: the caller becomes the peer that the token makes it. Returns its expiry. */
  #useToken(open: OpenSession, token: string): number {
    const { proof, caller } = open;
    if (proof?.useToken === undefined || caller === undefined) {
      throw new RegistryError("permission_denied", "This session's identity takes no tokens");
    }
    caller.peer = proof.useToken(token);
    return caller.peer.expiresAtMs;
  }

  /** Begins a renewal: one at a time and not too often, as it costs more than any request. */
  #beginRenewal(open: OpenSession, stream: Stream): void {
    const nowMs = this.#options.world.monotonic.nowMs();
    if (open.renewing || nowMs < open.provenAtMs + AUTH_RENEW_MS_MIN) return stream.abort();
    open.renewing = true;
    this.#renew(open, stream)
      .catch((error) => this.#streamFailed(open, stream, error))
      .finally(() => open.renewing = false);
  }

  /** Renews the proof. It must have the same subject and be pinned to the channel as before. */
  async #renew(open: OpenSession, stream: Stream): Promise<void> {
    const before = open.proof!.peer;
    const proof = await this.#options.identity.prove(open.session, stream);
    const { subject, pinned, revoked } = proof.peer;
    const isSame = subject === before.subject && pinned === before.pinned;
    if (!isSame || revoked.aborted || open.ended.signal.aborted) {
      proof.close();
      throw new RegistryError(
        "unauthenticated",
        "A session can be renewed only by the identity that began it",
      );
    }
    this.#keepToken(open, proof);
    this.#hold(open, proof);
    // The client ends the stream once it has read everything. Not every transport reports that.
    const timer = this.#options.world.scheduler.after(HELLO_MS_MAX, () => stream.abort());
    await stream.read(new Uint8Array(1));
    timer.cancel();
    stream.abort();
  }

  /** Keeps the token in use if the new proof is by the same certificate; drops it otherwise. */
  #keepToken(open: OpenSession, proof: Proof): void {
    const token = open.proof?.token;
    if (token === undefined) return;
    try {
      proof.useToken?.(token);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
    }
  }

  /** Checks versions and cluster; returns the protocol version that both sides speak. */
  #checkHello(hello: Hello): number {
    const version = Math.min(hello.versionMax, PROTOCOL_VERSION_MAX);
    if (version < hello.versionMin || version < PROTOCOL_VERSION_MIN) {
      throw new RegistryError(
        "unsupported_version",
        `This node speaks versions ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION_MAX}: ` +
          `the client ${hello.versionMin} to ${hello.versionMax}`,
      );
    }
    const ours = this.#options.facts.clusterId;
    if (!isNilUuid(hello.clusterId) && !bytesEqual(hello.clusterId, ours)) {
      throw new RegistryError("wrong_cluster", "This node belongs to another cluster");
    }
    return version;
  }

  /** Reads the control stream after the Hello; the client may only say goodbye on it. */
  #followControl(open: OpenSession, control: ControlReader): void {
    const follow = async () => {
      for (;;) {
        const message = await control.next();
        if (message === undefined) return;
        if (message.kind === "goodbye") {
          // The side that receives a goodbye closes the session; its peer waits for that.
          await open.session.goodbye(undefined, "", { lingerMs: 0 });
          return;
        }
        throw new RegistryError(
          "malformed",
          `After its Hello a client may only say goodbye: found ${message.kind}`,
        );
      }
    };
    follow().catch((error) => {
      const { code, message } = toRegistryError(error);
      if (code === "connection_lost") return;
      this.#options.onError("session", error);
      return this.#goodbye(open, code, message);
    });
  }

  async #serveStreams(open: OpenSession, caller: Caller): Promise<void> {
    for (;;) {
      const stream = await open.session.accept();
      if (stream === undefined) return;
      if (stream.kind === "control") {
        this.#beginRenewal(open, stream);
        continue;
      }
      if (stream.kind !== "request") {
        this.#options.onError(
          "stream",
          new RegistryError("malformed", `A client may open request streams, not ${stream.kind}`),
        );
        stream.abort();
        continue;
      }
      const requests = this.#requestStream(open, stream, caller);
      open.streams.add(requests);
      requests.run()
        .catch((error) => this.#streamFailed(open, stream, error))
        .finally(() => open.streams.delete(requests));
    }
  }

  /** Handles a failed stream. Lost framing ends the session, as its peer cannot be trusted. */
  #streamFailed(open: OpenSession, stream: Stream, error: unknown): void {
    const { code, message } = toRegistryError(error);
    if (code === "connection_lost") return;
    this.#options.onError("stream", error);
    stream.abort();
    this.#goodbye(open, code, message);
  }

  #revoke(open: OpenSession): void {
    this.#goodbye(open, "unauthenticated", "The identity of this session was revoked");
  }

  async #goodbye(open: OpenSession, code: ErrorCode, message: string): Promise<void> {
    const goodbye: Goodbye = { code: errorCodeToWire(code), message, retryAfterMs: 0 };
    let lingerMs = REFUSAL_LINGER_MS;
    // A client that has not read the data already sent will not read this either.
    if (open.control !== undefined && open.control.gatheredBytes <= CONTROL_FRAME_BYTES_MAX) {
      send(open.control, { kind: "goodbye", goodbye });
      // Its last replies may be in flight: it closes once it has read them and the goodbye.
      if (code === "shutting_down") lingerMs = GOODBYE_LINGER_MS;
    }
    await open.session.goodbye(code, message, { lingerMs });
  }
}

function send(control: Outbox, message: ControlMessage): void {
  writeControl(control.writer, message);
  control.flush();
}
