/**
 * One end of a session of a simulated wire. As with QUIC, streams are ordered and reliable until the
 * session ends; an end that hears nothing for its idle time ends silently, and its peer notices by
 * silence too, or by its next packet.
 *
 * Everything that reaches an end runs in the program that has it: later while that program stands still,
 * and never once it was killed.
 */
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { GOODBYE_LINGER_MS } from "../../../src/base/limits.ts";
import { waitForGoodbye } from "../../../transport/goodbye_wait.ts";
import { Handoff } from "../../../transport/handoff.ts";
import {
  MemoryStream,
  type MemoryStreamOwner,
  type StreamChannel,
} from "../../../transport/memory/stream.ts";
import type {
  GoodbyeOptions,
  Session,
  SessionEnd,
  SessionLimits,
  Stream,
  StreamKind,
} from "../../../transport/transport.ts";
import type { Machine, Process } from "../machine.ts";

/** The amount that QUIC sends to a peer that does not read. */
const WINDOW_BYTES = 1_250_000;

/** Services of a wire to the ends of its sessions. */
export interface SessionWire {
  /** Creates a channel to an end of a session from its peer. */
  channel(from: WireSession, to: WireSession): StreamChannel;
}

/** Parameters of a {@link WireSession}. */
export interface WireSessionOptions {
  readonly id: number;
  readonly wire: SessionWire;
  /** The machine and the program that have this end. */
  readonly machine: Machine;
  readonly process: Process;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  /** The silence after which it gives up, ms. */
  readonly idleMs: number;
  readonly nowMs: number;
  readonly onEnd: (session: WireSession) => void;
}

/** One end of a session; {@link WireSession.join} connects it to its peer. */
export class WireSession implements Session, MemoryStreamOwner {
  readonly id: number;
  readonly transport = "memory";
  readonly authenticatesPeers = false;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  readonly closed: Promise<SessionEnd>;
  readonly options: WireSessionOptions;
  /** When something of the peer last arrived, true time, ms. */
  heardMs: number;
  readonly #streams = new Set<MemoryStream>();
  readonly #accepted: Handoff<Stream>;
  readonly #resolveClosed: (end: SessionEnd) => void;
  #peer: WireSession | undefined;
  #signals: StreamChannel | undefined;
  #writesQueued = 0;
  #onWritesSettled: (() => void) | undefined;
  #goodbye: Promise<void> | undefined;
  #end: SessionEnd | undefined;

  constructor(options: WireSessionOptions) {
    this.options = options;
    this.id = options.id;
    this.remoteAddress = options.remoteAddress;
    this.limits = options.limits;
    this.heardMs = options.nowMs;
    this.#accepted = new Handoff(options.limits.streamsMax);
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Connects two ends. */
  static join(left: WireSession, right: WireSession): void {
    left.#peer = right;
    right.#peer = left;
    left.#signals = left.#channel();
    right.#signals = right.#channel();
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Whether the program that has this end lives, and the end with it. */
  get isAlive(): boolean {
    return !this.ended && this.options.process.isAlive;
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
    const near = new MemoryStream(kind, this, WINDOW_BYTES);
    const far = new MemoryStream(kind, peer, WINDOW_BYTES);
    const channel = this.#channel();
    near.join(far, channel);
    far.join(near, peer.#channel());
    this.#streams.add(near);
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
    this.#signals!.send(() => peer.#finish({ by: "peer", code, message }));
    this.#finish({ by: "local", code, message });
  }

  /** Ends the session silently, as after its idle time. */
  lose(message: string): void {
    this.#finish({ by: "lost", code: "connection_lost", message });
  }

  signal(deliver: () => void): void {
    if (!this.ended) this.#signals!.send(deliver);
  }

  writeQueued(change: 1 | -1): void {
    this.#writesQueued += change;
    if (this.#writesQueued === 0) this.#onWritesSettled?.();
  }

  streamReleased(stream: MemoryStream): void {
    this.#streams.delete(stream);
  }

  #channel(): StreamChannel {
    return this.options.wire.channel(this, this.#peer!);
  }

  #onOpened(stream: MemoryStream): void {
    if (this.ended) return;
    if (this.#streams.size >= this.limits.streamsMax) return stream.abort();
    this.#streams.add(stream);
    if (!this.#accepted.push(stream)) stream.abort();
  }

  async #sayGoodbye(code: ErrorCode | undefined, message: string, lingerMs: number): Promise<void> {
    const whenWritten = (done: () => void) => {
      this.#onWritesSettled = done;
    };
    const queued = this.#writesQueued > 0 ? whenWritten : undefined;
    await waitForGoodbye(this, this.options.process, lingerMs, queued);
    this.close(code, message);
  }

  #finish(end: SessionEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#accepted.close();
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const stream of streams) stream.onSessionEnd();
    this.options.onEnd(this);
    this.#resolveClosed(end);
  }
}
