/**
 * The network between nodes, and between clients and nodes: frames are delayed, lost, duplicated
 * and reordered; links are cut in one direction or both, or clogged, after which all held frames
 * arrive at once.
 *
 * A link has one direction. Nodes notice after {@link SESSION_MS} of silence that a session is
 * lost, as production does by its keep-alives; a new session is established soon after it is
 * possible again.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { SimWorld } from "./world.ts";

/** Time without a connection in both directions after which a session ends, ms. */
const SESSION_MS = 3_000;
/** Maximum time from a restored connection to a new session, ms. */
const CONNECT_MS_MAX = 200;
/** Rate at which images are sent, in addition to the delay: 100 MB/s. */
const IMAGE_BYTES_PER_MS = 100_000;
/** Probability that an image arrives a second time, from a stream that was given up. */
const IMAGE_AGAIN = 0.2;
/** Maximum delay of that second image, ms. */
const IMAGE_AGAIN_MS_MAX = 1_000;

/** The properties of all links of a network. */
export interface NetworkSettings {
  /** Minimum delay, ms. */
  readonly delayMs: number;
  /** Mean of the additional delay, exponentially distributed, ms. */
  readonly jitterMs: number;
  /** Probabilities per frame, `[0, 1)`. */
  readonly loss: number;
  readonly doubled: number;
  /** Whether frames may overtake each other. */
  readonly reorders: boolean;
}

/** The network of a data centre, without faults. */
export const CALM_NETWORK: NetworkSettings = {
  delayMs: 0.2,
  jitterMs: 0.1,
  loss: 0,
  doubled: 0,
  reorders: false,
};

/** An end of links: receives frames while it exists. */
export interface NetworkEnd {
  readonly isUp: boolean;
  receive(from: number, frame: Uint8Array): void;
  receiveImage(from: number, header: Uint8Array, image: Uint8Array): void;
  connected(peer: number): void;
  lost(peer: number): void;
}

interface Link {
  isCut: boolean;
  isClogged: boolean;
  /** Frames held by a clogged link. */
  held: (() => void)[];
  /** Arrival time of the last frame: without reordering the next one does not arrive earlier. */
  lastMs: number;
}

/** All links. Ends are identified by number: nodes from 1. */
export class SimNetwork {
  settings: NetworkSettings = CALM_NETWORK;
  framesSent = 0;
  bytesSent = 0;
  readonly #world: SimWorld;
  readonly #entropy: SeededEntropy;
  readonly #ends = new Map<number, NetworkEnd>();
  readonly #links = new Map<number, Link>();
  /** Pairs with a session, as `low * 64 + high`. */
  readonly #sessions = new Set<number>();

  constructor(world: SimWorld, seed: number) {
    this.#world = world;
    this.#entropy = new SeededEntropy(seed);
  }

  /** Adds an end, whose links are intact. */
  join(id: number, end: NetworkEnd): void {
    this.#ends.set(id, end);
  }

  /** Handles the start of a node: sessions with all others are established. */
  started(id: number): void {
    for (const other of this.#ends.keys()) if (other !== id) this.#connectSoon(id, other);
  }

  /** Handles the end of a node: the others notice immediately, or when its sessions time out. */
  stopped(id: number): void {
    for (const [other, end] of this.#ends) {
      if (other === id || !this.#sessions.delete(pairOf(id, other))) continue;
      const delayMs = this.#entropy.unit() < 0.5 ? this.#delayMs() : SESSION_MS;
      this.#world.after(delayMs, () => {
        if (!this.#sessions.has(pairOf(id, other))) end.lost(id);
      });
    }
  }

  /** Sends a frame, which the network owns from here on. */
  send(from: number, to: number, frame: Uint8Array): void {
    this.framesSent++;
    this.bytesSent += frame.length;
    // The recipient of a frame owns its bytes, so a duplicate needs a copy.
    const copies = [frame];
    if (this.settings.doubled > 0) copies.push(frame.slice());
    this.pass(from, to, () => {
      const arrived = copies.pop();
      if (arrived !== undefined) this.#ends.get(to)?.receive(from, arrived);
    });
  }

  /**
   * Calls `arrive` for a frame that is delayed, lost or duplicated like any other. Returns whether it is
   * duplicated.
   */
  pass(from: number, to: number, arrive: () => void): boolean {
    const { loss, doubled } = this.settings;
    if (loss > 0 && this.#entropy.unit() < loss) return false;
    this.#carry(from, to, arrive);
    const isDoubled = doubled > 0 && this.#entropy.unit() < doubled;
    if (isDoubled) this.#carry(from, to, arrive);
    return isDoubled;
  }

  /**
   * Sends an image. `done` reports whether it arrived, as far as the sender can know: an image that
   * arrived may be reported lost.
   */
  sendImage(
    from: number,
    to: number,
    { header, image }: { header: Uint8Array; image: Uint8Array },
    done: (delivered: boolean) => void,
  ): void {
    this.bytesSent += header.length + image.length;
    const takesMs = image.length / IMAGE_BYTES_PER_MS;
    const isWhole = this.#entropy.unit() >= this.settings.loss;
    const isKnown = this.#entropy.unit() >= this.settings.loss / 4;
    const isAgain = this.#entropy.unit() < IMAGE_AGAIN;
    const arrive = () => {
      const end = this.#ends.get(to);
      const arrives = isWhole && end?.isUp === true && !this.link(from, to).isCut;
      if (arrives) end.receiveImage(from, header, image);
      return arrives;
    };
    this.#world.after(takesMs + this.#delayMs(), () => {
      const arrives = arrive();
      if (isAgain) this.#world.after(this.#entropy.unit() * IMAGE_AGAIN_MS_MAX, arrive);
      const delivered = arrives && isKnown && !this.link(to, from).isCut;
      this.#world.after(delivered ? this.#delayMs() : SESSION_MS, () => done(delivered));
    });
  }

  /** Cuts the link from one end to another: frames in transit still arrive. */
  cut(from: number, to: number): void {
    this.link(from, to).isCut = true;
    this.#judgeLater(from, to);
  }

  /** Holds back everything sent on the link until {@link heal}. */
  clog(from: number, to: number): void {
    this.link(from, to).isClogged = true;
  }

  /** Handles a node that stands still or continues: sessions time out, or are established again. */
  stood(id: number): void {
    for (const other of this.#ends.keys()) if (other !== id) this.#judgeLater(id, other);
  }

  /** Restores a link: frames that it held arrive now. */
  heal(from: number, to: number): void {
    const link = this.link(from, to);
    link.isCut = false;
    link.isClogged = false;
    const { held } = link;
    link.held = [];
    for (const arrive of held) this.#carry(from, to, arrive);
    if (this.#ends.has(from) && this.#ends.has(to)) this.#connectSoon(from, to);
  }

  /** Restores all links. */
  healAll(): void {
    for (const [key, { isCut, isClogged }] of this.#links) {
      if (isCut || isClogged) this.heal(key >>> 16, key & 0xffff);
    }
  }

  /** Returns the link from one end to another. */
  link(from: number, to: number): Link {
    const key = (from << 16) | to;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { isCut: false, isClogged: false, held: [], lastMs: 0 };
      this.#links.set(key, link);
    }
    return link;
  }

  /** Calls `arrive` after the link's delay, unless it is cut. */
  #carry(from: number, to: number, arrive: () => void): void {
    const link = this.link(from, to);
    if (link.isCut) return;
    if (link.isClogged) {
      link.held.push(arrive);
      return;
    }
    let atMs = this.#world.nowMs + this.#delayMs();
    if (!this.settings.reorders && atMs < link.lastMs) atMs = link.lastMs;
    link.lastMs = atMs;
    this.#world.at(atMs, arrive);
  }

  #connectSoon(one: number, other: number): void {
    this.#world.after(this.#entropy.unit() * CONNECT_MS_MAX, () => {
      const pair = pairOf(one, other);
      if (!this.#isOpen(one, other) || this.#sessions.has(pair)) return;
      this.#sessions.add(pair);
      this.#ends.get(one)?.connected(other);
      this.#ends.get(other)?.connected(one);
    });
  }

  #judgeLater(one: number, other: number): void {
    this.#world.after(SESSION_MS, () => {
      if (this.#isOpen(one, other) || !this.#sessions.delete(pairOf(one, other))) return;
      this.#ends.get(one)?.lost(other);
      this.#ends.get(other)?.lost(one);
    });
  }

  #isOpen(one: number, other: number): boolean {
    if (this.link(one, other).isCut || this.link(other, one).isCut) return false;
    return this.#ends.get(one)?.isUp === true && this.#ends.get(other)?.isUp === true;
  }

  #delayMs(): number {
    const { delayMs, jitterMs } = this.settings;
    return delayMs - jitterMs * Math.log(1 - this.#entropy.unit());
  }
}

function pairOf(one: number, other: number): number {
  return Math.min(one, other) * 64 + Math.max(one, other);
}
