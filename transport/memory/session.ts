/**
 * One end of a session of a memory network: streams, orderly ends and silent ends.
 *
 * As over a real network, a side notices only by silence that the other is gone: a lost end
 * notifies nobody, and its peer gives up one idle time later.
 */
import type { ErrorCode } from "../../src/base/errors.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { GOODBYE_LINGER_MS } from "../../src/base/limits.ts";
import type { Scheduler } from "../../src/base/world.ts";
import { waitForGoodbye } from "../goodbye_wait.ts";
import { Handoff } from "../handoff.ts";
import type {
  GoodbyeOptions,
  ListenerStats,
  Session,
  SessionEnd,
  SessionLimits,
  Stream,
  StreamKind,
} from "../transport.ts";
import type { MemoryLink } from "./link.ts";
import type { MemoryStreamOwner, StreamChannel } from "./stream.ts";
import { MemoryStream } from "./stream.ts";

/** Parameters of a {@link MemorySession}. */
export interface MemorySessionOptions {
  readonly id: number;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  /** Creates an ordered channel away from this end. */
  readonly newChannel: () => StreamChannel;
  readonly scheduler: Scheduler;
  /** Silence after which a side gives up, ms. */
  readonly idleMs: number;
  readonly windowBytes: number;
  readonly stats: ListenerStats;
  readonly onEnd: (session: MemorySession) => void;
}

/** One end of a session; {@link MemorySession.join} connects it to its peer. */
export class MemorySession implements Session, MemoryStreamOwner {
  readonly id: number;
  readonly transport = "memory";
  readonly authenticatesPeers = false;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  readonly closed: Promise<SessionEnd>;
  readonly #options: MemorySessionOptions;
  readonly #streams = new Set<MemoryStream>();
  readonly #accepted: Handoff<Stream>;
  readonly #resolveClosed: (end: SessionEnd) => void;
  #peer: MemorySession | undefined;
  #signals: StreamChannel | undefined;
  #writesQueued = 0;
  #onWritesSettled: (() => void) | undefined;
  #goodbye: Promise<void> | undefined;
  #end: SessionEnd | undefined;

  constructor(options: MemorySessionOptions) {
    this.#options = options;
    this.id = options.id;
    this.remoteAddress = options.remoteAddress;
    this.limits = options.limits;
    this.#accepted = new Handoff(options.limits.streamsMax);
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Connects two ends. */
  static join(left: MemorySession, right: MemorySession): void {
    left.#peer = right;
    right.#peer = left;
    left.#signals = left.#options.newChannel();
    right.#signals = right.#options.newChannel();
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  open(kind: StreamKind): Promise<Stream> {
    if (this.ended) {
      return Promise.reject(new RegistryError("connection_lost", "The session has ended"));
    }
    if (this.#streams.size >= this.limits.streamsMax) {
      const message =
        `Cannot open a stream as at most ${this.limits.streamsMax} may be open on a session`;
      return Promise.reject(new RegistryError("overloaded", message));
    }
    const peer = this.#peer!;
    const { newChannel, windowBytes } = this.#options;
    const near = new MemoryStream(kind, this, windowBytes);
    const far = new MemoryStream(kind, peer, peer.#options.windowBytes);
    const channel = newChannel();
    near.join(far, channel);
    far.join(near, peer.#options.newChannel());
    this.#retain(near);
    channel.send(() => peer.#onOpened(far));
    return Promise.resolve(near);
  }

  accept(): Promise<Stream | undefined> {
    return this.#accepted.take();
  }

  goodbye(
    code: ErrorCode | undefined,
    message: string,
    options: GoodbyeOptions = {},
  ): Promise<void> {
    this.#goodbye ??= this.#sayGoodbye(code, message, options.lingerMs ?? GOODBYE_LINGER_MS);
    return this.#goodbye;
  }

  abort(reason: string): void {
    this.close("canceled", reason);
  }

  /** Ends the session at once and tells the peer. */
  close(code: ErrorCode | undefined, message: string): void {
    if (this.ended) return;
    const peer = this.#peer!;
    this.#signals!.send(() => peer.finish({ by: "peer", code, message }));
    this.finish({ by: "local", code, message });
  }

  /** Ends the session silently, like a crash or a timeout; the peer notices one idle time later. */
  lose(message: string): void {
    if (this.ended) return;
    this.finish({ by: "lost", code: "connection_lost", message });
    this.#signals!.end();
    const peer = this.#peer!;
    const { scheduler, idleMs } = this.#options;
    scheduler.after(idleMs, () => peer.lose("timed out"));
  }

  /**
   * Handles a cut of the link towards this end: gives up after an idle time unless the link heals
   * first.
   */
  onInboundCut(inbound: MemoryLink): void {
    const { scheduler } = inbound.world;
    const cutAtMs = inbound.cutAtMs;
    scheduler.after(this.#options.idleMs, () => {
      if (inbound.cutAtMs === cutAtMs) this.lose("timed out");
    });
  }

  signal(deliver: () => void): void {
    if (!this.ended) this.#signals!.send(deliver);
  }

  writeQueued(change: 1 | -1): void {
    this.#writesQueued += change;
    if (this.#writesQueued === 0) this.#onWritesSettled?.();
  }

  streamReleased(stream: MemoryStream): void {
    if (this.#streams.delete(stream)) this.#options.stats.streams--;
  }

  #retain(stream: MemoryStream): void {
    this.#streams.add(stream);
    this.#options.stats.streams++;
  }

  #onOpened(stream: MemoryStream): void {
    if (this.ended) return;
    if (this.#streams.size >= this.limits.streamsMax) {
      this.#options.stats.streamsRefused++;
      stream.abort();
      return;
    }
    this.#retain(stream);
    if (!this.#accepted.push(stream)) stream.abort();
  }

  async #sayGoodbye(code: ErrorCode | undefined, message: string, lingerMs: number): Promise<void> {
    const whenWritten = (done: () => void) => {
      this.#onWritesSettled = done;
    };
    const queued = this.#writesQueued > 0 ? whenWritten : undefined;
    await waitForGoodbye(this, this.#options.scheduler, lingerMs, queued);
    this.close(code, message);
  }

  /** Ends this end alone. */
  protected finish(end: SessionEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#accepted.close();
    this.#options.stats.streams -= this.#streams.size;
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const stream of streams) stream.onSessionEnd();
    this.#options.onEnd(this);
    this.#resolveClosed(end);
  }
}
