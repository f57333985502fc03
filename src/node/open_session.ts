/**
 * One session, from its first stream to its goodbye: authenticates the peer, answers its Hello, and
 * serves its requests.
 *
 * The first stream carries everything: the proof of identity, the Hello, then control frames and
 * requests. The client may open further request streams, for large answers. It renews its proof in
 * place by opening another control stream for the time of the renewal. Nothing is done for a peer
 * before it has proven its identity and its Hello was checked. Each stage has a deadline, each
 * session a limit of streams (the transport's), and nothing that a peer sends can end more than its
 * own session.
 *
 * A session that begins with a request stream is anonymous: its client has no identity yet. It may
 * request a certificate, within a short time, and nothing else.
 */
import { errorCodeToWire, RegistryError, toRegistryError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import {
  AUTH_RENEW_MS_MIN,
  GOODBYE_LINGER_MS,
  HELLO_MS_MAX,
  REFUSAL_LINGER_MS,
} from "../base/limits.ts";
import { ANONYMOUS, type AuthenticatedPeer } from "../base/peer.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { ControlMessage, Greeting } from "../wire/control.ts";
import type { OnError, Session, Stream } from "../../transport/transport.ts";
import type { Caller } from "../serving/caller.ts";
import type { HeldClock } from "../serving/held_clock.ts";
import type { ReplyWriter } from "../serving/reply_writer.ts";
import {
  type RequestHandler,
  type RequestObserver,
  RequestStream,
} from "../serving/request_stream.ts";
import type { SessionAccount, SessionBudget } from "../serving/session_budget.ts";
import type { StallWatch } from "../serving/stall_watch.ts";
import { checkHello, readHello } from "./hello.ts";
import type { Proof, SessionIdentity } from "./session_identity.ts";
import type { AnonymousSessions } from "./anonymous_sessions.ts";

/** The facts about the node in every HelloReply. */
export type NodeFacts = Omit<Greeting, "version" | "ringMap">;

/** The services of a node to its sessions. */
export interface SessionServices {
  readonly world: World;
  readonly onError: OnError;
  readonly identity: SessionIdentity;
  readonly facts: NodeFacts;
  readonly ringMap: () => RingMap;
  readonly handler: RequestHandler;
  readonly replies: ReplyWriter;
  readonly clock: HeldClock;
  readonly observer: RequestObserver;
  readonly rate: { readonly requestsPerSecond: number; readonly burst: number };
  readonly budget: SessionBudget;
  readonly watch: StallWatch;
  readonly anonymous: AnonymousSessions;
}

/** A caller whose proof is renewed in place. */
interface RenewableCaller extends Caller {
  peer: AuthenticatedPeer;
}

/** One session of a node. */
export class OpenSession {
  readonly session: Session;
  readonly #services: SessionServices;
  /** The memory that the session makes the node hold. */
  readonly #account: SessionAccount;
  /** The first stream, once the peer has proven its identity. */
  #main: RequestStream | undefined;
  /** The further request streams. */
  #others: Set<RequestStream> | undefined;
  /** The proof of the peer's identity, once there is one; renewed in place. */
  #proof: Proof | undefined;
  /** When the peer was last authenticated, by the monotonic clock. */
  #provenAtMs = 0;
  #caller: RenewableCaller | undefined;
  /** Whether Hello was answered; ring maps may be sent only after that. */
  #greeted = false;
  /** Whether a renewal is in progress; there is at most one at a time. */
  #renewing = false;
  #isOver = false;
  readonly #onOver: (open: OpenSession) => void;

  /** @param onOver called once, when the session is over. */
  constructor(
    session: Session,
    services: SessionServices,
    onOver: (open: OpenSession) => void,
  ) {
    this.session = session;
    this.#services = services;
    this.#onOver = onOver;
    this.#account = services.budget.open((code, message) => void this.goodbye(code, message));
  }

  /** The number of requests accepted and not yet answered. */
  get inFlight(): number {
    let count = this.#main?.inFlight ?? 0;
    for (const stream of this.#others ?? []) count += stream.inFlight;
    return count;
  }

  /**
   * Authenticates and greets the peer, and begins to serve it; never rejects. An idle session is
   * then a few callbacks and no suspended function, which would take half a kilobyte each.
   */
  async begin(): Promise<void> {
    try {
      const stream = await this.#prove();
      if (stream !== undefined && await this.#greet(stream)) return this.#serveStreams();
    } catch (error) {
      await this.#failed("session", error);
    }
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#account.close();
    this.#drop(this.#proof);
    this.session.abort("The session is over");
    this.#onOver(this);
  }

  /** Sends the current ring map, once the peer has read enough replies. */
  pushRingMap(): void {
    if (!this.#greeted) return;
    this.#main?.sayWhenRoom(() => ({ kind: "ring_map", ringMap: this.#services.ringMap() }));
  }

  /** Says goodbye and ends the session. */
  async goodbye(code: ErrorCode, message: string): Promise<void> {
    const goodbye = { code: errorCodeToWire(code), message, retryAfterMs: 0 };
    this.#main?.say({ kind: "goodbye", goodbye });
    // Its last replies may be in flight: it closes once it has read them and the goodbye.
    const isAwaited = this.#greeted && code === "shutting_down";
    const lingerMs = isAwaited ? GOODBYE_LINGER_MS : REFUSAL_LINGER_MS;
    await this.session.goodbye(code, message, { lingerMs });
  }

  /**
   * Waits for the first stream and the peer's proof; returns `undefined` if the session ended before,
   * or was an anonymous one and has been served.
   */
  async #prove(): Promise<Stream | undefined> {
    const { session } = this;
    const stream = await this.#inTime("No stream was opened in time", session.accept());
    if (stream === undefined) return undefined;
    if (stream.kind === "request") {
      await this.#serveAnonymous(stream);
      return undefined;
    }
    if (stream.kind !== "control") {
      throw new RegistryError("malformed", "A session must begin with its control stream");
    }
    this.#hold(await this.#services.identity.prove(session, stream));
    return stream;
  }

  /** Serves the only stream of an anonymous session; the access rules decide what it may do. */
  async #serveAnonymous(stream: Stream): Promise<void> {
    const { session } = this;
    const caller = { sessionId: session.id, peer: ANONYMOUS, bucket: this.#newBucket() };
    const requests = new RequestStream({ ...this.#parts, stream, caller });
    this.#others = new Set([requests]);
    await this.#services.anonymous.serve(session, requests);
  }

  get #parts() {
    return { ...this.#services, account: this.#account };
  }

  #newBucket(): TokenBucket {
    const { world, rate } = this.#services;
    return new TokenBucket({
      ratePerSecond: rate.requestsPerSecond,
      burst: rate.burst,
      nowMs: world.monotonic.nowMs(),
    });
  }

  /** Waits for Hello and answers it; returns false if the session ended before. */
  async #greet(stream: Stream): Promise<boolean> {
    const { facts, ringMap } = this.#services;
    const { peer } = this.#proof!;
    const caller = {
      sessionId: this.session.id,
      peer,
      bucket: this.#newBucket(),
      useToken: (token: string) => this.#useToken(token),
    };
    const onControl = (message: ControlMessage) => this.#hear(message);
    this.#main = new RequestStream({ ...this.#parts, stream, caller, onControl });
    const hello = await this.#inTime("No Hello arrived in time", readHello(stream));
    if (hello === undefined) return false;
    const version = checkHello(hello, facts.clusterId);
    if (this.#proof!.peer.revoked.aborted) {
      throw new RegistryError("unauthenticated", "The identity of this session was revoked");
    }
    this.#main.say({ kind: "hello_reply", reply: { ...facts, version, ringMap: ringMap() } });
    this.#greeted = true;
    // All clients without certificates are one peer, but their sessions have nothing in common.
    if (peer.role !== "development") this.#account.identify(peer.subject);
    this.#caller = caller;
    return true;
  }

  /** Waits for a stage; ends the session if the peer takes too long. */
  async #inTime<T>(late: string, stage: Promise<T>): Promise<T> {
    const { scheduler } = this.#services.world;
    const timer = scheduler.after(HELLO_MS_MAX, () => this.session.abort(late));
    try {
      return await stage;
    } finally {
      timer.cancel();
    }
  }

  /** Takes a control message after the Hello; the client may only say goodbye. */
  #hear(message: ControlMessage): void {
    if (message.kind !== "goodbye") {
      throw new RegistryError(
        "malformed",
        `After its Hello a client may only say goodbye: found ${message.kind}`,
      );
    }
    // The side that receives a goodbye closes the session; its peer waits for that.
    void this.session.goodbye(undefined, "", { lingerMs: 0 });
  }

  /** Serves the first stream and those that the peer opens, until the session ends. */
  #serveStreams(): void {
    const ended = () => this.session.abort("The first stream of the session has ended");
    // The first stream stays open when it fails, as the goodbye is sent on it.
    this.#main!.run().then(ended, (error) => void this.#failed("stream", error).then(ended));
    this.#acceptNext();
  }

  #acceptNext(): void {
    this.session.accept().then(this.#onStream);
  }

  readonly #onStream = (stream: Stream | undefined): void => {
    if (stream === undefined) return this.#end();
    if (stream.kind === "control") this.#beginRenewal(stream);
    else if (stream.kind === "request") this.#beginRequests(stream);
    else {
      const message = `A client may open request streams, not ${stream.kind}`;
      this.#services.onError("stream", new RegistryError("malformed", message));
      stream.abort();
    }
    this.#acceptNext();
  };

  #beginRequests(stream: Stream): void {
    const others = this.#others ??= new Set();
    const requests = new RequestStream({ ...this.#parts, stream, caller: this.#caller! });
    others.add(requests);
    void requests.run().catch((error) => this.#streamFailed(stream, error))
      .then(() => others.delete(requests));
  }

  /** Replaces the session's proof, and ends the session when the new one becomes invalid. */
  #hold(proof: Proof): void {
    this.#drop(this.#proof);
    this.#proof = proof;
    this.#provenAtMs = this.#services.world.monotonic.nowMs();
    if (this.#caller !== undefined) this.#caller.peer = proof.peer;
    proof.peer.revoked.addEventListener("abort", this.#onRevoked);
  }

  /** Lets go of a proof. One signal may serve very many sessions, so its listener is removed. */
  #drop(proof: Proof | undefined): void {
    proof?.close();
    proof?.peer.revoked.removeEventListener("abort", this.#onRevoked);
  }

  readonly #onRevoked = (): void => {
    void this.goodbye("unauthenticated", "The identity of this session was revoked");
  };

  /** Applies a token: the caller becomes the peer that the token makes it. Returns its expiry. */
  #useToken(token: string): number {
    const proof = this.#proof;
    const caller = this.#caller;
    if (proof?.useToken === undefined || caller === undefined) {
      throw new RegistryError("permission_denied", "This session's identity takes no tokens");
    }
    caller.peer = proof.useToken(token);
    return caller.peer.expiresAtMs;
  }

  /** Begins a renewal: one at a time and not too often, as it costs more than any request. */
  #beginRenewal(stream: Stream): void {
    const nowMs = this.#services.world.monotonic.nowMs();
    if (this.#renewing || nowMs < this.#provenAtMs + AUTH_RENEW_MS_MIN) return stream.abort();
    this.#renewing = true;
    this.#renew(stream)
      .catch((error) => this.#streamFailed(stream, error))
      .finally(() => this.#renewing = false);
  }

  /** Renews the proof. It must have the same subject and be pinned to the channel as before. */
  async #renew(stream: Stream): Promise<void> {
    const before = this.#proof!.peer;
    const proof = await this.#services.identity.prove(this.session, stream);
    const { subject, pinned, revoked } = proof.peer;
    const isSame = subject === before.subject && pinned === before.pinned;
    if (!isSame || revoked.aborted || this.#isOver) {
      proof.close();
      throw new RegistryError(
        "unauthenticated",
        "A session can be renewed only by the identity that began it",
      );
    }
    this.#keepToken(proof);
    this.#hold(proof);
    // The client ends the stream once it has read everything. Not every transport reports that.
    const timer = this.#services.world.scheduler.after(HELLO_MS_MAX, () => stream.abort());
    await stream.read(new Uint8Array(1));
    timer.cancel();
    stream.abort();
  }

  /** Keeps the token in use if the new proof is by the same certificate; drops it otherwise. */
  #keepToken(proof: Proof): void {
    const token = this.#proof?.token;
    if (token === undefined) return;
    try {
      proof.useToken?.(token);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
    }
  }

  /** Handles a failed stream beside the first. */
  #streamFailed(stream: Stream, error: unknown): Promise<void> {
    stream.abort();
    return this.#failed("stream", error);
  }

  /** Ends the session for what a peer did, as it cannot be trusted; not if the peer is just gone. */
  async #failed(stage: "session" | "stream", error: unknown): Promise<void> {
    const { code, message } = toRegistryError(error);
    if (code === "connection_lost") return;
    this.#services.onError(stage, error);
    await this.goodbye(code, message);
  }
}
