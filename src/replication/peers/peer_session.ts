/**
 * An established session with another node, after handshake and hello: frames on one stream, images
 * on bulk streams, operations on request streams, and on the control stream pings, by which silence
 * is noticed and the round trip is measured.
 *
 * Contract: nothing of the peer is handed on after the session was ended here. Everything it may
 * make this node hold is bounded: a frame, the images of {@link ImagePlaces}, a few streams.
 */
import {
  errorCodeFromWire,
  errorCodeToWire,
  RegistryError,
  toRegistryError,
} from "../../base/errors.ts";
import {
  PEER_FRAME_BYTES_MAX,
  PEER_PING_MS,
  PEER_REQUEST_STREAMS_MAX,
  PEER_SILENCE_MS,
  PEER_STALL_MS,
  REFUSAL_LINGER_MS,
  STREAM_READ_BYTES_MAX,
} from "../../base/limits.ts";
import type { NodeId } from "../../base/ids.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { Timer, World } from "../../base/world.ts";
import { FrameAssembler } from "../../wire/frame_assembler.ts";
import {
  encodePeerControl,
  type PeerControlMessage,
  type PeerGoodbye,
  type PeerHello,
} from "../../wire/peer_control.ts";
import type { SessionLife } from "../../../identity/trust/session_life.ts";
import type { OwnedBytes, Session, Stream } from "../../../transport/transport.ts";
import type { PeerControlReader } from "./control_reader.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { ImagePlaces } from "./image_places.ts";
import type { ImageRate } from "./image_rate.ts";
import type { ImageOutcome, OutgoingImage } from "./image_stream.ts";
import type { PartialImages } from "./partial_images.ts";
import type { PeerCounts } from "./peer_counts.ts";
import { SessionImages } from "./session_images.ts";

/** Interval of looking for silence, ms: it is noticed that much late at the most. */
const LOOK_MS = PEER_PING_MS / 2;
const LOOKS_PER_PING = 2;

/** The most that is kept of what a node says about its program. */
const PROGRAM_CHARS_MAX = 64;

/** Takes what a peer sends. */
export interface PeerSessionHandlers {
  /** Takes a frame; its bytes are valid during the call only. */
  onFrame(frame: Uint8Array): void;
  onImage(header: Uint8Array, image: Uint8Array): Promise<void>;
  /** Takes a stream of operations, which the handler ends; `undefined` if none are served. */
  readonly onRequests:
    | ((peer: AuthenticatedPeer, stream: Stream) => Promise<void>)
    | undefined;
}

/** The parameters of all sessions with one node. */
export interface PeerSessionParts {
  readonly node: NodeId;
  readonly world: World;
  readonly counts: PeerCounts;
  readonly places: ImagePlaces;
  /** The images from the node that were cut. */
  readonly partials: PartialImages;
  readonly rate: ImageRate;
  readonly handlers: PeerSessionHandlers;
  /** Reports whether this node's log takes writes, which the peer is told. */
  readonly isWritable: () => boolean;
}

/** The parts of a session. */
export interface PeerSessionOptions extends PeerSessionParts {
  /** The hello of the other end. */
  readonly hello: PeerHello;
  /** The version of the protocol that both ends speak. */
  readonly version: number;
  readonly session: Session;
  readonly control: Stream;
  readonly reader: PeerControlReader;
  readonly life: SessionLife;
}

/** A session with another node. */
export class PeerSession {
  readonly node: NodeId;
  readonly processId: Uint8Array;
  /** The version of the protocol that both ends speak. */
  readonly version: number;
  /** The version of the other end's program; empty if it does not say. */
  readonly program: string;
  readonly remoteAddress: string;
  /** Resolves with the reason as soon as nothing passes any more; never rejects. */
  readonly ended: Promise<RegistryError | undefined>;
  /** Resolves when the transport's session is closed, too; never rejects. */
  readonly closed: Promise<void>;
  readonly #options: PeerSessionOptions;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly #ended = Promise.withResolvers<RegistryError | undefined>();
  readonly #probes: ((alive: boolean) => void)[] = [];
  #frames: FrameQueue | undefined;
  #over = false;
  #timer: Timer | undefined;
  /** Whether anything has arrived since the last look. */
  #isHeard = true;
  /** Looks, and those in a row without anything heard; they count time in which this process ran. */
  #looks = 0;
  #silentLooks = 0;
  #pingSequence = 0;
  #pingSentMs = 0;
  #roundTripMs: number | undefined;
  #isWritingControl = false;
  /** Whether the peer's log takes writes, and whether the peer was told that this node's does. */
  #isPeerWritable = true;
  #toldWritable = true;
  readonly #images: SessionImages;
  /** Whether another session has replaced this one. */
  #isRetired = false;
  #requestStreams = 0;

  constructor(options: PeerSessionOptions) {
    this.#options = options;
    this.node = options.node;
    const { session, life, hello } = options;
    this.processId = hello.processId;
    this.version = options.version;
    this.program = hello.program.slice(0, PROGRAM_CHARS_MAX);
    this.remoteAddress = session.remoteAddress;
    this.#images = new SessionImages({
      ...options,
      processId: this.processId,
      onImage: (header, image) => options.handlers.onImage(header, image),
      onHeard: () => void (this.#isHeard = true),
      onPassed: () => this.#endRetired(),
      isOver: () => this.#over,
    });
    this.ended = this.#ended.promise;
    this.closed = session.closed.then(({ by, code, message }) => {
      if (code === undefined) return this.#finish(undefined);
      const told = by === "peer" ? `The node ended the session: ${message}` : message;
      this.#finish(new RegistryError(code, told));
    });
    const { revoked } = life.peer;
    if (revoked.aborted) this.end(toRegistryError(revoked.reason));
    else revoked.addEventListener("abort", () => this.end(toRegistryError(revoked.reason)));
  }

  /** The last measured round trip, ms; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Whether the peer's log takes writes, as it said last. */
  get isPeerWritable(): boolean {
    return this.#isPeerWritable;
  }

  /** Bytes of frames that the peer has not read. */
  get backlogBytes(): number {
    return this.#frames?.bytes ?? 0;
  }

  /** Whether the session is over, or about to be. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Opens the stream for frames; the node that dialed does. @throws RegistryError `connection_lost`. */
  async open(): Promise<void> {
    this.#run();
    this.#takeFrames(await this.#options.session.open("peer"));
  }

  /** Waits for the peer to open the stream for frames; returns false if the session ended first. */
  async opened(): Promise<boolean> {
    this.#run();
    return await this.#ready.promise;
  }

  /** Sends a frame, which the session owns from now on; returns false if it was dropped. */
  send(frame: Uint8Array): boolean {
    if (this.#over || !(this.#frames?.push(frame) ?? false)) return false;
    this.#options.counts.framesOut++;
    this.#options.counts.bytesOut += frame.length;
    return true;
  }

  /** Sends an image, or the rest of it after a cut. Never rejects. */
  sendImage(image: OutgoingImage): Promise<ImageOutcome> {
    return this.#images.send(image);
  }

  /** Opens a stream of operations. @throws RegistryError `connection_lost`, `overloaded`. */
  openRequests(): Promise<Stream> {
    return this.#options.session.open("request");
  }

  /** Resolves with whether the process at the other end answers a ping within `withinMs`. */
  probe(withinMs: number): Promise<boolean> {
    if (this.#over) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = this.#options.world.scheduler.after(withinMs, () => resolve(false));
      this.#probes.push((alive) => {
        timer.cancel();
        resolve(alive);
      });
      this.#ping();
    });
  }

  /** Ends the session once the images on it have passed: another session has replaced it. */
  retire(): void {
    this.#isRetired = true;
    this.#endRetired();
  }

  #endRetired(): void {
    if (this.#isRetired && this.#images.isIdle) this.end(undefined);
  }

  /** Ends the session, and tells the peer the reason if it can still be told. Idempotent. */
  end(reason: RegistryError | undefined): void {
    if (this.#over) return;
    this.#finish(reason);
    const { session, control } = this.#options;
    const message = reason?.message ?? "";
    const code = reason === undefined ? 0 : errorCodeToWire(reason.code);
    const goodbye = encodePeerControl({ kind: "goodbye", goodbye: { code, message } });
    // A peer that reads nothing, or has gone, is not waited for: `goodbye` bounds the time of writes.
    control.write(goodbye).catch(() => {});
    void session.goodbye(reason?.code, message, { lingerMs: REFUSAL_LINGER_MS });
  }

  #finish(reason: RegistryError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#frames?.close();
    this.#options.life.close();
    this.#ready.resolve(false);
    this.#answerProbes(false);
    this.#ended.resolve(reason);
  }

  /** Gives the session up without waiting for the peer, which does not answer or not read. */
  #giveUp(message: string): void {
    if (this.#over) return;
    this.#finish(new RegistryError("connection_lost", message));
    this.#options.session.abort(message);
  }

  #run(): void {
    this.#lookLater();
    this.#guard(this.#readControl());
    this.#guard(this.#acceptStreams());
  }

  /** Ends the session when one of its readers fails, as its framing is lost then. */
  #guard(reading: Promise<void>): void {
    reading.catch((error) => {
      const { code } = toRegistryError(error);
      if (this.#over || code === "connection_lost") return;
      this.end(this.#options.counts.rejectError(error));
    });
  }

  // Pings.

  #lookLater(): void {
    this.#timer = this.#options.world.scheduler.after(LOOK_MS, () => this.#look());
  }

  #look(): void {
    if (this.#over) return;
    this.#silentLooks = this.#isHeard ? 0 : this.#silentLooks + 1;
    this.#isHeard = false;
    if (this.#silentLooks * LOOK_MS >= PEER_SILENCE_MS) {
      return this.#giveUp(`Nothing was heard for ${PEER_SILENCE_MS} ms`);
    }
    if ((this.#frames?.stalledMs ?? 0) > PEER_STALL_MS) {
      return this.#giveUp(`The node has read no frame for ${PEER_STALL_MS} ms`);
    }
    if (++this.#looks % LOOKS_PER_PING === 0) this.#ping();
    this.tellWritable();
    this.#lookLater();
  }

  /** Tells the peer whether this node may lead, which a log that takes no writes may not, if that changed. */
  tellWritable(): void {
    const isWritable = this.#options.isWritable();
    if (isWritable === this.#toldWritable) return;
    if (this.#writeControl({ kind: "writable", isWritable })) this.#toldWritable = isWritable;
  }

  #ping(): void {
    const isSent = this.#writeControl({ kind: "ping", sequence: this.#pingSequence + 1 });
    if (!isSent) return;
    this.#pingSequence++;
    this.#pingSentMs = this.#options.world.monotonic.nowMs();
  }

  /** Writes a control frame unless another one is being written; pings and answers are few. */
  #writeControl(message: PeerControlMessage): boolean {
    if (this.#over || this.#isWritingControl) return false;
    this.#isWritingControl = true;
    const written = () => void (this.#isWritingControl = false);
    // A write that fails ended the session, which its own `closed` reports.
    this.#options.control.write(encodePeerControl(message)).then(written, written);
    return true;
  }

  async #readControl(): Promise<void> {
    for (;;) {
      const message = await this.#options.reader.next();
      if (message === undefined || this.#over) return;
      this.#isHeard = true;
      switch (message.kind) {
        case "ping":
          this.#writeControl({ kind: "pong", sequence: message.sequence });
          break;
        case "pong":
          this.#ponged(message.sequence);
          break;
        case "writable":
          this.#isPeerWritable = message.isWritable;
          break;
        case "goodbye":
          this.#finish(reasonOf(message.goodbye));
          // The side that receives a goodbye closes the session; its peer waits for that.
          return await this.#options.session.goodbye(undefined, "", { lingerMs: 0 });
        default:
          throw new RegistryError("malformed", "A node says hello once per session");
      }
    }
  }

  #ponged(sequence: number): void {
    if (sequence !== this.#pingSequence) return;
    this.#roundTripMs = this.#options.world.monotonic.nowMs() - this.#pingSentMs;
    this.#answerProbes(true);
  }

  #answerProbes(alive: boolean): void {
    for (const answer of this.#probes.splice(0)) answer(alive);
  }

  // Streams.

  async #acceptStreams(): Promise<void> {
    for (;;) {
      const stream = await this.#options.session.accept();
      if (stream === undefined) return;
      if (!this.#admit(stream)) {
        this.#options.counts.reject("unexpected_stream");
        stream.abort();
      }
    }
  }

  #admit(stream: Stream): boolean {
    if (this.#over) return false;
    switch (stream.kind) {
      case "peer":
        if (this.#frames !== undefined) return false;
        this.#takeFrames(stream);
        return true;
      case "bulk":
        return this.#images.take(stream);
      case "request":
        return this.#takeRequests(stream);
      case "control":
        return false;
    }
  }

  #takeFrames(stream: Stream): void {
    this.#frames = new FrameQueue(
      stream,
      () => this.#options.world.monotonic.nowMs(),
      (error) => this.#giveUp(toRegistryError(error).message),
    );
    this.#guard(this.#readFrames(stream));
    this.#ready.resolve(true);
  }

  async #readFrames(stream: Stream): Promise<void> {
    const { counts, handlers } = this.#options;
    const limits = { frameBytesMax: PEER_FRAME_BYTES_MAX, segmentsMax: 1 };
    const assembler = new FrameAssembler(limits);
    let buffer: OwnedBytes = new Uint8Array(STREAM_READ_BYTES_MAX);
    for (;;) {
      const chunk = await stream.read(buffer);
      if (chunk === undefined) return this.#giveUp("The node ended the stream for frames");
      counts.bytesIn += chunk.length;
      this.#isHeard = true;
      assembler.push(chunk, (_view, bytes, start, end) => {
        if (this.#over) return;
        counts.framesIn++;
        handlers.onFrame(bytes.subarray(start, end));
      });
      buffer = new Uint8Array(chunk.buffer);
    }
  }

  #takeRequests(stream: Stream): boolean {
    const { handlers: { onRequests }, life, counts } = this.#options;
    if (onRequests === undefined || this.#requestStreams >= PEER_REQUEST_STREAMS_MAX) return false;
    this.#requestStreams++;
    onRequests(life.peer, stream)
      .catch((error) => {
        if (toRegistryError(error).code !== "connection_lost") counts.rejectError(error);
        stream.abort();
      })
      .finally(() => this.#requestStreams--);
    return true;
  }
}

/** Returns the reason that a goodbye states; undefined if the session ended well. */
function reasonOf({ code, message }: PeerGoodbye): RegistryError | undefined {
  if (code === 0) return undefined;
  return new RegistryError(errorCodeFromWire(code), `The node ended the session: ${message}`);
}
