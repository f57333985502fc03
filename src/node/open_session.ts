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
import { type ControlMessage, FEATURE_ANNOUNCES_STREAMS, type Greeting } from "../wire/control.ts";
import type { OnError, Session, Stream } from "../../transport/transport.ts";
import type { Caller } from "../serving/caller.ts";
import { type DelegationCounts, Delegations } from "../serving/delegations.ts";
import type { FirstStreamOwner } from "../serving/first_stream.ts";
import { type RequestServices, RequestStream } from "../serving/request_stream.ts";
import type { BudgetedSession, SessionAccount, SessionBudget } from "../serving/session_budget.ts";
import { checkHello, readHello } from "./hello.ts";
import type { Proof, SessionIdentity } from "./session_identity.ts";
import type { AnonymousSessions } from "./anonymous_sessions.ts";

/** The facts about the node in every HelloReply. */
export type NodeFacts = Omit<Greeting, "version" | "ringMap">;

/** The services of a node to its sessions. */
export interface SessionServices extends RequestServices {
  readonly world: World;
  readonly onError: OnError;
  readonly identity: SessionIdentity;
  readonly facts: NodeFacts;
  readonly ringMap: () => RingMap;
  readonly rate: { readonly requestsPerSecond: number; readonly burst: number };
  readonly budget: SessionBudget;
  readonly anonymous: AnonymousSessions;
  /** Counts of all delegations of the node. */
  readonly delegations: DelegationCounts;
}

/** One session of a node, which is the caller of its requests. */
export class OpenSession implements Caller, FirstStreamOwner, BudgetedSession {
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
  /** The peer that the proof, or a token, makes the caller. */
  #peer: AuthenticatedPeer = ANONYMOUS;
  readonly bucket: TokenBucket;
  /** Absent before the first use. */
  #delegations: Delegations | undefined;
  /**
   * The number of streams that the client announced and that were not accepted yet; Infinity for a
   * client that announces none.
   */
  #awaitedStreams = 0;
  /** Ends the session when its proof becomes invalid; absent for one that never does. */
  #onRevoked: (() => void) | undefined;
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
    this.#account = services.budget.open(this);
    const { world, rate } = services;
    this.bucket = new TokenBucket({
      ratePerSecond: rate.requestsPerSecond,
      burst: rate.burst,
      nowMs: world.monotonic.nowMs(),
    });
  }

  get delegations(): Delegations | undefined {
    const { identity: { delegate: check }, delegations: counts, world, rate } = this.#services;
    if (check === undefined) return undefined;
    return this.#delegations ??= new Delegations(this.session.id, {
      ...{ check, counts, rate, clock: world.monotonic, scheduler: world.scheduler },
    });
  }

  get sessionId(): number {
    return this.session.id;
  }

  get peer(): AuthenticatedPeer {
    return this.#peer;
  }

  /** The number of requests accepted and not yet answered. */
  get inFlight(): number {
    let count = this.#main?.inFlight ?? 0;
    for (const stream of this.#others ?? []) count += stream.inFlight;
    return count;
  }

  /**
   * Authenticates and greets the peer, and begins to serve it; never rejects. An idle session then
   * waits in the read of its first stream alone. A suspended function, or the wait for a further
   * stream, would take half a kilobyte and one and a half in each.
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
    if (this.#isOver) return;
    this.#isOver = true;
    this.#account.close();
    this.#delegations?.endAll();
    this.#drop(this.#proof);
    this.session.abort("The session is over");
    this.#onOver(this);
  }

  /** Sends the current ring map, once the peer has read enough replies. */
  pushRingMap(): void {
    if (!this.#greeted) return;
    this.#main?.sayWhenRoom(() => ({ kind: "ring_map", ringMap: this.#services.ringMap() }));
  }

  /** Implements {@link BudgetedSession.endFor}. */
  endFor(code: ErrorCode, message: string): void {
    void this.goodbye(code, message);
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
    const { session, bucket } = this;
    const requests = this.#newRequests(stream, {
      sessionId: session.id,
      peer: ANONYMOUS,
      bucket,
    });
    this.#others = new Set([requests]);
    await this.#services.anonymous.serve(session, requests);
  }

  #newRequests(stream: Stream, caller: Caller): RequestStream {
    return new RequestStream(this.#services, { stream, caller, account: this.#account });
  }

  /** Waits for Hello and answers it; returns false if the session ended before. */
  async #greet(stream: Stream): Promise<boolean> {
    const { facts, ringMap } = this.#services;
    const account = this.#account;
    this.#main = new RequestStream(this.#services, { stream, caller: this, account, owner: this });
    const hello = await this.#inTime("No Hello arrived in time", readHello(stream));
    if (hello === undefined) return false;
    const version = checkHello(hello, facts.clusterId);
    if (this.#proof!.peer.revoked.aborted) {
      throw new RegistryError("unauthenticated", "The identity of this session was revoked");
    }
    this.#main.say({ kind: "hello_reply", reply: { ...facts, version, ringMap: ringMap() } });
    this.#greeted = true;
    if ((hello.features & FEATURE_ANNOUNCES_STREAMS) === 0) this.#awaitedStreams = Infinity;
    // All clients without certificates are one peer, but their sessions have nothing in common.
    const { peer } = this.#proof!;
    if (peer.role !== "development") account.identify(peer.subject);
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

  /** Takes a control message after the Hello. */
  hear(message: ControlMessage): void {
    if (message.kind === "stream_opening") return this.#awaitStream();
    if (message.kind !== "goodbye") {
      throw new RegistryError(
        "malformed",
        `After its Hello a client may announce streams or say goodbye: found ${message.kind}`,
      );
    }
    // The side that receives a goodbye closes the session; its peer waits for that.
    void this.session.goodbye(undefined, "", { lingerMs: 0 });
  }

  /** Serves the first stream and those that the peer opens, until the session ends. */
  #serveStreams(): void {
    this.#main!.begin();
    this.#acceptNext();
  }

  /** Implements {@link FirstStreamOwner.firstStreamEnded}: the session ends with it. */
  firstStreamEnded(reason: unknown): void {
    const end = () => {
      this.session.abort("The first stream of the session has ended");
      this.#end();
    };
    // The first stream stays open when it fails, as the goodbye is sent on it.
    if (reason === undefined) end();
    else void this.#failed("stream", reason).then(end);
  }

  #awaitStream(): void {
    if (this.#awaitedStreams >= this.session.limits.streamsMax) return;
    this.#awaitedStreams++;
    if (this.#awaitedStreams === 1) this.#acceptNext();
  }

  #acceptNext(): void {
    if (this.#awaitedStreams > 0) void this.session.accept().then((stream) => this.#take(stream));
  }

  #take(stream: Stream | undefined): void {
    if (stream === undefined) return this.#end();
    if (stream.kind === "control") this.#beginRenewal(stream);
    else if (stream.kind === "request") this.#beginRequests(stream);
    else {
      const message = `A client may open request streams, not ${stream.kind}`;
      this.#services.onError("stream", new RegistryError("malformed", message));
      stream.abort();
    }
    this.#awaitedStreams--;
    this.#acceptNext();
  }

  #beginRequests(stream: Stream): void {
    const others = this.#others ??= new Set();
    const requests = this.#newRequests(stream, this);
    others.add(requests);
    void requests.run().catch((error) => this.#streamFailed(stream, error))
      .then(() => others.delete(requests));
  }

  /** Replaces the session's proof, and ends the session when the new one becomes invalid. */
  #hold(proof: Proof): void {
    this.#drop(this.#proof);
    this.#proof = proof;
    this.#provenAtMs = this.#services.world.monotonic.nowMs();
    this.#peer = proof.peer;
    if (proof.isPermanent === true) return;
    this.#onRevoked ??= () => {
      // At once, as the session takes requests until its goodbye was heard.
      this.#delegations?.endAll();
      void this.goodbye("unauthenticated", "The identity of this session was revoked");
    };
    proof.peer.revoked.addEventListener("abort", this.#onRevoked);
  }

  /** Lets go of a proof. One signal may serve very many sessions, so its listener is removed. */
  #drop(proof: Proof | undefined): void {
    proof?.close();
    if (this.#onRevoked === undefined) return;
    proof?.peer.revoked.removeEventListener("abort", this.#onRevoked);
  }

  /** Applies a token: the caller becomes the peer that the token makes it. Returns its expiry. */
  useToken(token: string): number {
    const proof = this.#proof;
    if (proof?.useToken === undefined) {
      throw new RegistryError("permission_denied", "This session's identity takes no tokens");
    }
    this.#peer = proof.useToken(token);
    return this.#peer.expiresAtMs;
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
